"""Going through a tree: every path once, in order, with few catalogs open."""

import zlib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fondaco.cvmfs import paths
from fondaco.cvmfs.catalog.row import Row
from fondaco.cvmfs.catalog.writable import WritableCatalog
from fondaco.cvmfs.digest import Suffix
from fondaco.cvmfs.entry import Entry, directory, special, symlink
from fondaco.cvmfs.errors import MalformedData, NotInRepository, VerificationFailed
from fondaco.cvmfs.walking import CatalogChain, walk_directories, walk_rows
from tests.cvmfs.trees import NARROW, Trees, chunked, file

NAMES = st.sampled_from(["a", "b", "c", "d", "e\udcff"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map(lambda names: "/" + "/".join(names))


def without_clashes(wanted: list[str]) -> dict[str, Entry]:
    """Files at the paths that are not above others."""
    above = {level for path in wanted for level in paths.ancestors(path)}
    return {path: file(path) for path in wanted if path not in above}


TREES = st.lists(PATHS, max_size=30).map(without_clashes)


@given(TREES)
def test_every_path_is_met_once_directory_by_directory(entries: dict[str, Entry]) -> None:
    trees = Trees()
    root = trees.make(entries, balance=NARROW)
    with trees.chain(root) as chain:
        met = [path for path, _ in walk_rows(chain)]
    markers = {path for path in met if paths.name_of(path) in (paths.CATALOG_MARKER, paths.AUTO_MARKER)}
    expected = {level for path in entries for level in (*paths.ancestors(path), path)} | {""}
    assert set(met) - markers == expected
    assert len(met) == len(set(met))
    for path in met[1:]:
        assert met.index(paths.parent_of(path)) < met.index(path)


def test_rows_of_a_directory_come_by_name_and_may_be_left() -> None:
    trees = Trees()
    root = trees.make({path: file(path) for path in ("/b/2", "/b/1", "/a", "/c/1", "/b/d/x")})
    with trees.chain(root) as chain:
        assert [(path, [row.name for row in rows]) for path, rows in walk_directories(chain)] == [
            ("", ["a", "b", "c"]),
            ("/b", ["1", "2", "d"]),
            ("/b/d", ["x"]),
            ("/c", ["1"]),
        ]
        assert [path for path, _ in walk_directories(chain)] == ["", "/b", "/b/d", "/c"], "also if no row is taken"


def deep(levels: int) -> dict[str, Entry]:
    entries = {}
    for top in "pqr":
        for level in range(levels):
            folder = f"/{top}" + "/d" * level
            for path in (f"{folder}/f", f"{folder}/.cvmfscatalog"):
                entries[path] = file(path)
    return entries


def test_only_the_catalogs_on_the_way_are_open(monkeypatch: pytest.MonkeyPatch) -> None:
    trees = Trees()
    root = trees.make(deep(4))
    most = 0
    with trees.chain(root) as chain:
        for _ in walk_rows(chain):
            most = max(most, len(chain._chain))
        assert chain.opened == 13
    assert most == 5
    assert not chain._chain


def test_a_walk_given_up_half_way_leaves_nothing_behind() -> None:
    """A row asked for later must not meet a closed database: that would be an exception nobody can catch."""
    trees = Trees()
    root = trees.make(deep(2))
    with trees.chain(root) as chain:
        rows = walk_rows(chain)
        next(rows)
        next(rows)
    del rows  # warnings of exceptions in __del__ are errors


def test_a_walk_may_begin_anywhere() -> None:
    trees = Trees()
    root = trees.make(deep(3))
    with trees.chain(root) as chain:
        assert [path for path, _ in walk_rows(chain, "/q/d/d")] == ["/q/d/d", "/q/d/d/.cvmfscatalog", "/q/d/d/f"]
        assert [path for path, _ in walk_rows(chain, "/q/f")] == ["/q/f"]
        with pytest.raises(NotInRepository, match="/none"):
            next(walk_rows(chain, "/none"))


@pytest.mark.parametrize(
    "entry",
    [
        file("/f", "text", mtime_ns=-1_500_000_000, uid=7, gid=8, mode=0o4755),
        symlink("f", "$(X)/\udcff", mtime_ns=1),
        special("f", 0o010600),
        special("f", 0o020600, rdev=259),
        directory("f", mtime_ns=5, xattrs=b"\x01\x01\x01\x01ab"),
    ],
)
def test_a_row_tells_what_an_entry_tells(entry: Entry) -> None:
    trees = Trees()
    root = trees.make({"/f": entry})
    with trees.chain(root) as chain:
        (row,) = chain.enter("").rows("")
        assert row.entry() == entry
        assert row == Row.of(entry)
        assert chain.lookup("/f") == row
        assert row.mtime_ns == entry.mtime_ns


@pytest.mark.parametrize(
    ("entry", "kind"),
    [
        (file("/f"), "file"),
        (chunked("/f", "a", "b"), "file"),
        (directory("f"), "directory"),
        (symlink("f", "x"), "symlink"),
        (special("f", 0o010644), "fifo"),
        (special("f", 0o140644), "socket"),
        (special("f", 0o020644), "character device"),
        (special("f", 0o060644), "block device"),
    ],
)
def test_kinds_have_names(entry: Entry, kind: str) -> None:
    assert Row.of(entry).kind == kind


def damaged(name: bytes) -> tuple[Trees, CatalogChain]:
    catalog = WritableCatalog.new("", directory(""))
    catalog.insert("/d", directory("d"))
    catalog.flush()
    catalog.connection.execute("UPDATE catalog SET name = CAST(? AS TEXT) WHERE name = 'd'", (name,))
    trees = Trees()
    image = catalog.seal(revision=1, now=1, ttl=1)
    return trees, trees.chain(trees.store.add(zlib.compress(image), suffix=Suffix.CATALOG))


@pytest.mark.parametrize("name", [b"", b"..", b".", b"a/b", b"x" * 256])
def test_a_directory_that_leads_astray_is_refused(name: bytes) -> None:
    _, chain = damaged(name)
    with chain, pytest.raises(MalformedData, match="it has a directory"):
        exhaust(walk_rows(chain))


def test_a_nested_catalog_that_is_another_one_is_refused() -> None:
    trees = Trees()
    root = trees.make({"/n/.cvmfscatalog": file("/n/.cvmfscatalog"), "/n/f": file("/n/f")})
    with trees.chain(root) as chain:
        chain.enter("")
        nested = chain.nested("/n")
        assert nested is not None
    key = f"data/{str(nested.digest)[:2]}/{str(nested.digest)[2:]}C"
    trees.store.files[key] = zlib.compress(b"other")
    with trees.chain(root) as chain, pytest.raises(VerificationFailed):
        exhaust(walk_rows(chain))


def exhaust(rows: Iterator[object]) -> None:
    for _ in rows:
        pass
