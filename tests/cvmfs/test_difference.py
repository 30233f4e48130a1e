"""What differs between two trees, against dictionaries, however their catalogs are cut."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fondaco.cvmfs import paths
from fondaco.cvmfs.catalog.row import Row
from fondaco.cvmfs.difference import Aspect, Change, compare, differences, row_aspects
from fondaco.cvmfs.digest import Digest
from fondaco.cvmfs.entry import EXTERNAL, Entry, directory, special, symlink
from tests.cvmfs.trees import NARROW, WIDE, Trees, chunked, file

NAMES = st.sampled_from(["a", "b", "c", "\udcff"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map(lambda names: "/" + "/".join(names))
BALANCES = st.sampled_from([NARROW, WIDE])


def entry_at(path: str, which: int) -> Entry:
    name = paths.name_of(path)
    return (
        file(path, "one"),
        file(path, "two", mtime_ns=7),
        symlink(name, "there"),
        chunked(path, "p", "q"),
        chunked(path, "p", "r"),
        directory(name, mode=0o700),
    )[which]


def whole(wanted: dict[str, int]) -> dict[str, Entry]:
    """A tree: what is above another path is a directory, and every directory is there by itself."""
    above = {level for path in wanted for level in paths.ancestors(path) if level}
    entries = {path: directory(paths.name_of(path)) for path in above}
    return entries | {path: entry_at(path, which) for path, which in wanted.items() if path not in above}


TREES = st.dictionaries(PATHS, st.integers(0, 5), max_size=25).map(whole)


def found(trees: Trees, old: Digest, new: Digest) -> set[tuple[str, str]]:
    listed = [(one.change.value, one.path) for one in differences(trees.store, old, new)]
    assert len(listed) == len(set(listed))
    return set(listed)


def expected(old: dict[str, Entry], new: dict[str, Entry]) -> set[tuple[str, str]]:
    """Of entries below a file that became a directory, and the other way round, too."""
    return (
        {("added", path) for path in new.keys() - old.keys()}
        | {("removed", path) for path in old.keys() - new.keys()}
        | {("changed", path) for path in old.keys() & new.keys() if old[path] != new[path]}
    )


@given(TREES, TREES, BALANCES, BALANCES, st.booleans())
def test_it_is_that_of_two_dictionaries(
    old: dict[str, Entry], new: dict[str, Entry], cut: object, other_cut: object, derived: bool
) -> None:
    trees = Trees()
    before = trees.make(old, balance=cut)  # type: ignore[arg-type]
    after = trees.make(new, balance=other_cut, base=before if derived else None)  # type: ignore[arg-type]
    assert found(trees, before, after) == expected(old, new)
    assert found(trees, after, before) == expected(new, old)


@given(TREES)
def test_catalogs_cut_or_merged_are_no_difference(entries: dict[str, Entry]) -> None:
    trees = Trees()
    assert found(trees, trees.make(entries), trees.make(entries, balance=NARROW)) == set()


def wide_tree(folders: int = 10) -> dict[str, Entry]:
    entries = {}
    for folder in range(folders):
        for name in ("f", "g", ".cvmfscatalog"):
            path = f"/d{folder}/{name}"
            entries[path] = file(path)
    return entries


def test_catalogs_that_both_share_are_not_read() -> None:
    trees = Trees()
    entries = wide_tree()
    old = trees.make(entries)
    new = trees.make(entries | {"/d3/f": file("/d3/f", "changed")}, base=old)
    with trees.chain(old) as before, trees.chain(new) as after:
        assert [one.path for one in compare(before, after)] == ["/d3/f"]
        assert (before.opened, after.opened) == (2, 2)
    trees.store.asked.clear()
    assert found(trees, old, old) == set()
    assert trees.store.asked == []


def test_a_user_s_own_marker_is_a_file_as_others() -> None:
    trees = Trees()
    old = trees.make({"/d/f": file("/d/f")})
    new = trees.make({"/d/f": file("/d/f"), "/d/.cvmfscatalog": file("/d/.cvmfscatalog")})
    assert found(trees, old, new) == {("added", "/d/.cvmfscatalog")}


def test_what_came_is_told_path_by_path() -> None:
    trees = Trees()
    entries = {f"/d/{number}/{name}": file(f"/d/{number}/{name}") for number in range(4) for name in "abc"}
    new = trees.make({"/e": file("/e"), **entries}, balance=NARROW)
    old = trees.make({"/e": file("/e")})
    listed = [(one.change, one.path, one.row.kind) for one in differences(trees.store, old, new)]
    assert listed[0] == (Change.ADDED, "/d", "directory")
    assert {path for _, path, _ in listed} == {"/d", *(f"/d/{number}" for number in range(4)), *entries}


@pytest.mark.parametrize(
    ("old", "new", "aspects"),
    [
        (file("/f", "a"), file("/f", "b"), (Aspect.CONTENT,)),
        (file("/f", "a"), file("/f", "ab", mtime_ns=1), (Aspect.CONTENT, Aspect.MTIME)),
        (file("/f"), file("/f", mtime_ns=1), (Aspect.MTIME,)),
        (file("/f"), file("/f", mode=0o755), (Aspect.MODE,)),
        (file("/f"), file("/f", uid=1), (Aspect.OWNER,)),
        (file("/f"), file("/f", gid=1), (Aspect.OWNER,)),
        (file("/f"), replace(file("/f"), xattrs=b"\x01\x01\x01\x01ab"), (Aspect.XATTRS,)),
        (file("/f"), replace(file("/f"), flags=file("/f").flags | EXTERNAL), (Aspect.CONTENT,)),
        (file("/f"), replace(file("/f"), linkcount=2, hardlink_group=3), ()),
        (file("/f", "ab"), chunked("/f", "a", "b"), (Aspect.CONTENT,)),
        (symlink("f", "a"), symlink("f", "b"), (Aspect.TARGET,)),
        (special("f", 0o020644, rdev=1), special("f", 0o020644, rdev=2), (Aspect.DEVICE,)),
        (special("f", 0o020644), special("f", 0o060644), (Aspect.KIND,)),
        (file("/f"), symlink("f", "b"), (Aspect.KIND,)),
        (directory("f"), replace(directory("f"), linkcount=9, size=1), ()),
        (directory("f"), directory("f", mode=0o700), (Aspect.MODE,)),
    ],
)
def test_it_says_in_what(old: Entry, new: Entry, aspects: tuple[Aspect, ...]) -> None:
    assert row_aspects(Row.of(old), Row.of(new)) == aspects


def test_chunks_that_differ_are_other_content() -> None:
    trees = Trees()
    old, new = trees.make({"/f": chunked("/f", "a", "b")}), trees.make({"/f": chunked("/f", "a", "c")})
    (one,) = differences(trees.store, old, new)
    assert one.aspects == (Aspect.CONTENT,)


def test_the_root_directory_can_differ() -> None:
    trees = Trees()
    old = trees.make({"/f": file("/f")})
    new = trees.make({"/f": file("/f"), "": directory("", mode=0o700)})
    (one,) = differences(trees.store, old, new)
    assert (one.path, one.change, one.aspects) == ("", Change.CHANGED, (Aspect.MODE,))
