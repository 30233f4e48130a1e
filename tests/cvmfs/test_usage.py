"""How much lies where, against counting one by one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fondaco.cvmfs import paths
from fondaco.cvmfs.entry import Entry, special, symlink
from fondaco.cvmfs.errors import NotInRepository
from fondaco.cvmfs.usage import measure
from fondaco.cvmfs.walking import walk_rows
from tests.cvmfs.test_walking import PATHS, deep, without_clashes
from tests.cvmfs.trees import NARROW, Trees, file


def with_kinds(entries: dict[str, Entry]) -> dict[str, Entry]:
    """Some of the files as other things, the others of different sizes."""
    made = {}
    for number, path in enumerate(entries):
        name = paths.name_of(path)
        kinds = (file(path, "x" * number), symlink(name, "t"), special(name, 0o010644), file(path, "xyz"))
        made[path] = kinds[number % 4]
    return made


TREES = st.lists(PATHS, max_size=30).map(without_clashes).map(with_kinds)


@given(TREES, st.integers(0, 4))
def test_it_is_what_counting_gives(entries: dict[str, Entry], depth: int) -> None:
    trees = Trees()
    root = trees.make(entries, balance=NARROW)
    with trees.chain(root) as chain:
        rows = list(walk_rows(chain))
    with trees.chain(root) as chain:
        measured = list(measure(chain, depth=depth))
    assert [usage.path for usage in measured][-1] == ""
    assert {usage.path for usage in measured} == {path for path, row in rows if row.is_dir and path.count("/") <= depth}
    for usage in measured:
        inside = [row for path, row in rows if path == usage.path or paths.is_below(path, usage.path)]
        assert usage.entries == len(inside)
        assert usage.size == sum(row.size for row in inside if row.is_regular)
        assert usage.files == sum(row.is_regular for row in inside)
        assert usage.directories == sum(row.is_dir for row in inside)
        assert usage.symlinks == sum(row.kind == "symlink" for row in inside)
        assert usage.specials == sum(row.kind == "fifo" for row in inside)


def test_inner_directories_come_first() -> None:
    trees = Trees()
    with trees.chain(trees.make({path: file(path) for path in ("/a/b/c", "/a/d/e", "/f/g")})) as chain:
        assert [usage.path for usage in measure(chain, depth=2)] == ["/a/b", "/a/d", "/a", "/f", ""]


def test_statistics_spare_the_walk() -> None:
    trees = Trees()
    root = trees.make(deep(4))
    for depth, opened in ((0, 1), (1, 4), (2, 7)):
        with trees.chain(root) as chain:
            (*_, total) = measure(chain, depth=depth)
            assert total.entries == 1 + 3 * (4 + 8)
            assert chain.opened == opened


def test_a_file_and_a_place_further_down_can_be_measured() -> None:
    trees = Trees()
    with trees.chain(trees.make(deep(3))) as chain:
        (one,) = measure(chain, "/p/f", depth=3)
        assert (one.path, one.entries, one.size) == ("/p/f", 1, 1)
        (one,) = measure(chain, "/p/d")
        assert one.entries == 6
        with pytest.raises(NotInRepository):
            list(measure(chain, "/none"))


def test_a_catalog_without_statistics_is_walked() -> None:
    trees = Trees()
    with trees.chain(trees.make(deep(2))) as chain:
        chain.enter("").database.connection.execute("DELETE FROM statistics")
        (total,) = measure(chain)
        assert total.entries == 1 + 3 * (2 + 4)
