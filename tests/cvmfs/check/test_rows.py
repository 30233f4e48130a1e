import stat
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fondaco.cvmfs.check import Code
from fondaco.cvmfs.check.rows import COLUMNS, entry_faults, read_row, transition_faults
from fondaco.cvmfs.entry import (
    NANO,
    NESTED_MOUNTPOINT,
    NESTED_ROOT,
    Chunk,
    Content,
    Entry,
    directory,
    regular,
    special,
    symlink,
)
from fondaco.cvmfs.xattrs import pack

INTEGERS = st.integers(-(1 << 63), (1 << 63) - 1)
TEXT = st.binary(max_size=8).map(lambda raw: raw.decode("utf-8", "surrogateescape"))
VALUES = st.one_of(st.none(), INTEGERS, st.floats(), TEXT, st.binary(max_size=24))
TIMES = st.integers(-(1 << 40), 1 << 40)

NAMES = (
    st.binary(min_size=1, max_size=12)
    .filter(lambda raw: raw not in (b".", b"..") and not set(raw) & set(b"/\0"))
    .map(lambda raw: raw.decode("utf-8", "surrogateescape"))
)
COMMON = st.fixed_dictionaries(
    {
        "mtime_ns": TIMES,
        "uid": st.integers(0, 1 << 32),
        "gid": st.integers(0, 1 << 32),
        "xattrs": st.sampled_from([None, pack({b"user.a": b"b"})]),
    }
)
CONTENTS = st.sampled_from(
    [
        Content(size=5, digest=b"x" * 20),
        Content(size=9, digest=None, chunks=(Chunk(0, 4, b"a" * 20), Chunk(4, 5, b"b" * 20))),
    ]
)
PUBLISHED = st.one_of(
    st.builds(lambda name, more: directory(name, **more), NAMES, COMMON),
    st.builds(lambda name, content, more: regular(name, content, **more), NAMES, CONTENTS, COMMON),
    st.builds(lambda name, target, more: symlink(name, target, **more), NAMES, NAMES, COMMON),
    st.builds(lambda name, more: special(name, stat.S_IFIFO | 0o644, **more), NAMES, COMMON),
    st.builds(lambda name, more: special(name, stat.S_IFCHR | 0o644, rdev=259, **more), NAMES, COMMON),
)


@given(st.tuples(*[VALUES] * len(COLUMNS)), st.booleans())
def test_no_row_is_too_odd_to_be_looked_at(values: tuple[Any, ...], is_root: bool) -> None:
    entry, faults = read_row(values)
    for code, message in [*faults, *entry_faults(entry, is_root=is_root), *transition_faults(entry, directory("x"))]:
        assert isinstance(code, Code)
        assert message


@given(PUBLISHED)
def test_nothing_is_wrong_with_what_is_published(entry: Entry) -> None:
    assert list(entry_faults(entry)) == []


@given(PUBLISHED)
def test_a_row_is_read_as_it_was_written(entry: Entry) -> None:
    row = {
        "hardlinks": entry.hardlink_group << 32 | entry.linkcount,
        "hash": entry.digest,
        "size": entry.size,
        "mode": entry.mode,
        "mtime": entry.mtime_ns // NANO,
        "mtimens": entry.mtime_ns % NANO,
        "flags": entry.flags,
        "name": entry.name,
        "symlink": entry.symlink,
        "uid": entry.uid,
        "gid": entry.gid,
        "xattr": entry.xattrs,
    }
    assert read_row(tuple(row[name] for name in COLUMNS)) == (replace(entry, chunks=()), [])


def test_only_the_flags_of_the_transition_may_differ_at_a_mountpoint() -> None:
    inner = directory("a", mtime_ns=7)
    above = replace(inner, flags=inner.flags | NESTED_MOUNTPOINT)
    below = replace(inner, flags=inner.flags | NESTED_ROOT)
    assert list(transition_faults(above, below)) == []
    for change in ({"mode": 0o040700}, {"uid": 1}, {"linkcount": 3}, {"mtime_ns": 8}, {"xattrs": b"x"}, {"flags": 0}):
        assert [code for code, _ in transition_faults(above, replace(below, **change))] == [Code.TRANSITION]  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\0", "x" * 256])
def test_impossible_names_are_found(name: str) -> None:
    assert [code for code, _ in entry_faults(directory(name))] == [Code.NAME]


@pytest.mark.parametrize("mode", [-1, 1 << 32, -(1 << 63), (1 << 63) - 1])
def test_a_mode_that_is_none_is_found(mode: int) -> None:
    row = {name: "" if name in ("name", "symlink") else 0 for name in COLUMNS} | {
        "mode": mode,
        "hash": b"",
        "xattr": b"",
    }
    entry, faults = read_row(tuple(row[name] for name in COLUMNS))
    assert (entry.mode, [code for code, _ in faults]) == (0, [Code.KIND])
