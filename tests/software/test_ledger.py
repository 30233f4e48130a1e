"""The ledger keeps what it was told, whatever the keys are, and is one repository's only."""

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fondaco.software.errors import LedgerUnusable
from fondaco.software.ledger import MAX_TIMELINE, Ledger, SyncRecord
from fondaco.software.records import Row, State, Treatment
from fondaco.software.refusal import Reason

FQRN = "ledger.example.org"


def row(key: str, **more: object) -> Row:
    return Row(**({"key": key, "fingerprint": "v 1 1", "path": f"/{key}"} | more))  # type: ignore[arg-type]


names = st.text(alphabet=st.characters(codec=None), min_size=1, max_size=20).map(
    lambda text: text.encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape")
)
rows = st.builds(
    Row,
    key=names,
    fingerprint=st.text(max_size=5),
    path=names,
    treatment=st.sampled_from(Treatment),
    state=st.sampled_from(State),
    posix=st.text(max_size=3),
    reason=st.none() | st.sampled_from(Reason),
    detail=st.text(max_size=5),
)


@given(st.lists(rows, max_size=10, unique_by=lambda one: one.key))
def test_what_goes_in_comes_out(written: list[Row]) -> None:
    with Ledger(":memory:", FQRN) as ledger:
        ledger.record(rows=written)
        keys = {one.key for one in written}
        assert ledger.rows(keys) == {one.key: one for one in written}
        known = ledger.known()
        assert set(known.files) | set(known.others) == keys
        assert not set(known.files) & set(known.others)
        for one in written:
            plain = one.treatment is Treatment.FILE and one.state is State.PUBLISHED and one.reason is None
            assert known.files.get(one.key) == (one.fingerprint if plain else None)
            assert known.others.get(one.key) == (None if plain else one)
        ledger.record(forget=keys)
        assert ledger.counts() == {}


def test_it_is_kept_in_its_file_for_its_repository(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l", FQRN) as ledger:
        ledger.record(rows=[row("a")], facts={"rules": "x", "other": "y"})
        ledger.record(facts={"other": None})
    with Ledger(tmp_path / "l", FQRN) as ledger:
        assert (ledger.rows(["a", "b"]), ledger.fact("rules"), ledger.fact("other")) == ({"a": row("a")}, "x", None)
    with pytest.raises(LedgerUnusable, match="another"):
        Ledger(tmp_path / "l", "other.example.org")


@pytest.mark.parametrize("content", [b"this is no database at all, just some text that is long enough", None])
def test_a_file_that_is_no_ledger_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "l"
    if content is None:
        file.mkdir()
    else:
        file.write_bytes(content)
    with pytest.raises(LedgerUnusable, match=str(file)):
        Ledger(file, FQRN)


def test_a_record_that_fails_changes_nothing() -> None:
    with Ledger(":memory:", FQRN) as ledger:
        ledger.record(rows=[row("a")])
        with pytest.raises(sqlite3.ProgrammingError):
            ledger.record(forget=["a"], facts={"x": object()})  # type: ignore[dict-item]
        assert set(ledger.rows(["a"])) == {"a"}


def test_a_reason_that_names_a_key_that_is_no_text_is_kept() -> None:
    with Ledger(":memory:", FQRN) as ledger:
        failed = SyncRecord(cause="sweep", seen_at=1, planned_at=1, error="no \udcff")
        ledger.record(rows=[row("a", reason=Reason.CLASH, detail="with \udcff")], sync=failed)
        assert ledger.rows(["a"])["a"].detail == "with \\udcff"
        assert [one.error for _, one in ledger.timeline()] == ["no \\udcff"]


def test_who_makes_a_directory() -> None:
    with Ledger(":memory:", FQRN) as ledger:
        ledger.record(
            rows=[
                row("a/b"),
                row("c/", treatment=Treatment.DIRECTORY),
                row("d/x", state=State.REFUSED, reason=Reason.DOT_PART),
                row("e/x", treatment=Treatment.IGNORED),
                row("f/x", state=State.REFUSED, reason=Reason.CLASH),
                row("g0"),
                row("g.x"),
            ]
        )
        assert [stem for stem in "abcdefg" if ledger.makes_directory(stem, besides=set())] == ["a", "c", "f"]
        assert not ledger.makes_directory("a", besides={"a/b", "a/none", "a/0"})


def test_what_else_is_shown() -> None:
    with Ledger(":memory:", FQRN) as ledger:
        ledger.record(rows=[row("a", treatment=Treatment.SETTINGS), row("b", state=State.REFUSED, reason=Reason.CLASH)])
        assert not ledger.shows_more_than(set())
        ledger.record(rows=[row("c"), row("d", state=State.PENDING)])
        assert ledger.shows_more_than({"c"})
        assert not ledger.shows_more_than({"c", "d"})


def test_refusals_come_in_pages_and_archives_apart() -> None:
    with Ledger(":memory:", FQRN) as ledger:
        bad = [row(f"k{number}", state=State.REFUSED, reason=Reason.CLASH) for number in range(5)]
        archive = row("z.zip", treatment=Treatment.ARCHIVE)
        ledger.record(rows=[*bad, row("good"), archive])
        assert ledger.refusals(most=3) == bad[:3]
        assert ledger.refusals(after="k2") == bad[3:]
        assert ledger.archives() == [archive]
        assert ledger.counts() == {"refused": 5, "published": 2}


def test_rows_of_a_state_come_in_pages_also_behind_keys_that_are_no_text() -> None:
    with Ledger(":memory:", FQRN) as ledger:
        good = [row(key, path="/x") for key in ("a", "b", "é", "\udc80", "\udc81")]
        refused = {"path": "", "state": State.REFUSED, "reason": Reason.NOT_UTF8}
        bad = [row(key, **refused) for key in ("bad", "\udcff", "\udcff\udcff")]
        late = row("late", state=State.PENDING)
        ledger.record(rows=[*good, *bad, late])
        assert ledger.page(State.REFUSED) == bad
        assert ledger.page(State.PENDING) == [late]
        for state, rows in ((None, {*good, *bad, late}), (State.PUBLISHED, {*good}), (State.REFUSED, {*bad})):
            after, found = "", []
            while page := ledger.page(state, most=2, after=after):
                found += page
                after = page[-1].key
            assert len(found) == len(rows)
            assert set(found) == rows
        assert ledger.refusals(after="\udcff") == bad[2:]


def test_the_timeline_is_bounded_and_learns_what_is_visible() -> None:
    with Ledger(":memory:", FQRN) as ledger:
        for number in range(MAX_TIMELINE + 5):
            revision = number if number % 2 else None
            ledger.record(sync=SyncRecord(cause="events", seen_at=number, planned_at=number, revision=revision))
        ledger.visible(MAX_TIMELINE + 1, at=7.0)
        timeline = dict(ledger.timeline(most=2 * MAX_TIMELINE))
        assert len(timeline) == MAX_TIMELINE
        assert {one.visible_at for one in timeline.values() if one.revision and one.revision <= MAX_TIMELINE + 1} == {
            7.0
        }
        assert {one.visible_at for one in timeline.values() if not one.revision or one.revision > MAX_TIMELINE + 1} == {
            None
        }
