"""Finding entries."""

import pytest

from fondaco.cvmfs.catalog.row import Row
from fondaco.cvmfs.entry import Entry, directory, special, symlink
from fondaco.cvmfs.searching import KINDS, Criteria, search
from tests.cvmfs.trees import NARROW, Trees, file


@pytest.mark.parametrize(
    ("criteria", "entry", "matches"),
    [
        (Criteria(), file("/f"), True),
        (Criteria(name="*.so"), file("/lib.so"), True),
        (Criteria(name="*.so"), file("/lib.so.1"), False),
        (Criteria(name="*.SO"), file("/lib.so"), False),
        (Criteria(name="[ab]?"), file("/b\udcff"), True),
        (Criteria(name="a*b"), file("/a\nb"), True),
        (Criteria(kinds=frozenset({"file", "symlink"})), symlink("f", "x"), True),
        (Criteria(kinds=frozenset({"file"})), directory("f"), False),
        (Criteria(kinds=frozenset({KINDS["p"]})), special("f", 0o010644), True),
        (Criteria(min_size=3), file("/f", "abc"), True),
        (Criteria(min_size=4), file("/f", "abc"), False),
        (Criteria(max_size=3), file("/f", "abc"), True),
        (Criteria(max_size=2), file("/f", "abc"), False),
        (Criteria(max_size=9999), directory("f"), False),
        (Criteria(newer_ns=5), file("/f", mtime_ns=6), True),
        (Criteria(newer_ns=5), file("/f", mtime_ns=5), False),
        (Criteria(older_ns=5), file("/f", mtime_ns=4), True),
        (Criteria(older_ns=5), file("/f", mtime_ns=5), False),
        (Criteria(name="f", min_size=1, newer_ns=0), file("/f", mtime_ns=1), True),
        (Criteria(name="f", min_size=2, newer_ns=0), file("/f", mtime_ns=1), False),
    ],
)
def test_all_that_is_given_must_hold(criteria: Criteria, entry: Entry, matches: bool) -> None:
    assert criteria.match(Row.of(entry)) == matches


def test_a_search_goes_through_nested_catalogs_and_shows_the_top_too() -> None:
    trees = Trees()
    entries = {path: file(path) for number in range(5) for path in (f"/d{number}/f", f"/d{number}/g", f"/d{number}/h")}
    with trees.chain(trees.make(entries, balance=NARROW)) as chain:
        assert [path for path, _ in search(chain, "", Criteria(name="g"))] == [f"/d{number}/g" for number in range(5)]
        assert [path for path, _ in search(chain, "/d1", Criteria(name="d1"))] == ["/d1"]
        assert [path for path, _ in search(chain, "/d1/f", Criteria())] == ["/d1/f"]
