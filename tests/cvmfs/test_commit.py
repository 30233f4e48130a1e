"""The commit journal."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fondaco.cvmfs.commit import Commit, _hash, _unpack, commit, recover
from fondaco.cvmfs.errors import MalformedData, RepositoryBusy
from fondaco.cvmfs.stores.base import JOURNAL, MANIFEST, REFLOG
from fondaco.cvmfs.stores.local import LocalStore


@given(st.binary(max_size=50), st.binary(max_size=50), st.binary(max_size=50))
def test_a_journal_says_all_that_is_needed(base: bytes, reflog: bytes, manifest: bytes) -> None:
    found, change = _unpack(Commit(base=base, reflog=reflog, manifest=manifest).pack())
    assert (found, change.reflog, change.manifest) == (_hash(base), reflog, manifest)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_journal_or_malformed(raw: bytes) -> None:
    try:
        _unpack(raw)
    except MalformedData:
        return
    assert raw.startswith(b"{")


def test_two_at_this_step_are_kept_apart(tmp_path: Path) -> None:
    store = LocalStore.create(tmp_path)
    store.replace(MANIFEST, b"old")
    mine = Commit(base=b"old", reflog=b"log", manifest=b"mine")
    store.replace(JOURNAL, Commit(base=b"old", reflog=b"log", manifest=b"theirs").pack())
    with pytest.raises(RepositoryBusy):
        commit(store, mine)
    assert store.get(MANIFEST) == b"old"
    assert recover(store)
    assert (store.get(MANIFEST), store.get(REFLOG)) == (b"theirs", b"log")
    assert not recover(store)


def test_a_commit_that_somebody_else_finished_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a store without locks the next publisher may take a slow one for dead and finish its commit."""
    store = LocalStore.create(tmp_path)
    store.replace(MANIFEST, b"old")
    mine = Commit(base=b"old", reflog=b"log", manifest=b"mine")
    real = store.replace

    def overtaken(key: str, data: bytes, *, previous: bytes | None = None) -> None:
        if key == MANIFEST and store.get(MANIFEST) == b"old":
            monkeypatch.undo()
            assert recover(store)
        real(key, data, previous=previous)

    monkeypatch.setattr(store, "replace", overtaken)
    commit(store, mine)
    assert store.get(MANIFEST) == b"mine"
    assert not store.exists(JOURNAL)


def test_a_damaged_journal_is_left_to_a_person(tmp_path: Path) -> None:
    store = LocalStore.create(tmp_path)
    store.replace(JOURNAL, b"not a journal")
    with pytest.raises(MalformedData, match="by hand"):
        recover(store)
    assert store.exists(JOURNAL)


NUMBERS = st.integers(-9, 9) | st.floats(allow_nan=True) | st.text(max_size=3) | st.none() | st.lists(st.none())


@given(
    st.fixed_dictionaries({"version": NUMBERS | st.just(1), "base": NUMBERS, "reflog": NUMBERS, "manifest": NUMBERS})
)
@example({"version": 1, "base": "", "reflog": float("inf"), "manifest": 0})
@example({"version": 1, "base": "", "reflog": -1, "manifest": 7})
def test_a_journal_with_odd_lengths_is_one_or_malformed(head: dict[str, Any]) -> None:
    try:
        _, change = _unpack(json.dumps(head).encode() + b"\nabcdef")
    except MalformedData:
        return
    assert change.reflog + change.manifest == b"abcdef"
    assert (len(change.reflog), len(change.manifest)) == (int(head["reflog"]), int(head["manifest"]))


def test_a_journal_of_endless_brackets_is_malformed() -> None:
    with pytest.raises(MalformedData):
        _unpack(b"[" * 100_000 + b"\n")
