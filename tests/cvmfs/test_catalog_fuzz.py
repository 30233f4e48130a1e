"""Damaged and hostile catalogs: read, checked and opened for change, they give values or an error of ours."""

import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hypothesis import example, given
from hypothesis import strategies as st

from fondaco.cvmfs import paths, xattrs
from fondaco.cvmfs.catalog.database import CatalogDatabase, NestedReference
from fondaco.cvmfs.catalog.tree import CatalogTree
from fondaco.cvmfs.catalog.writable import WritableCatalog
from fondaco.cvmfs.check.catalog import open_catalog
from fondaco.cvmfs.check.tree import TreeCheck
from fondaco.cvmfs.digest import Digest
from fondaco.cvmfs.entry import Chunk, Content, directory, regular, special, symlink
from fondaco.cvmfs.errors import CvmfsError
from fondaco.cvmfs.reading import check_chunks

if TYPE_CHECKING:
    from fondaco.cvmfs.check.findings import Code

DIGEST = Digest(b"\7" * 20)
MAX_WALKED = 1_000


def good_image() -> bytes:
    tree = CatalogTree.empty(directory("", mtime_ns=5))
    for path in ("/dir", "/dir/sub", "/mount", "/snapshot"):
        tree.put(path, directory(paths.name_of(path)))
    tree.put("/dir/file", regular("file", Content(size=3, digest=b"\1" * 20), xattrs=xattrs.pack({b"user.a": b"b"})))
    chunks = (Chunk(0, 5, b"\2" * 20), Chunk(5, 6, b"\3" * 20))
    tree.put("/dir/large", regular("large", Content(size=11, digest=None, chunks=chunks)))
    tree.put("/dir/sub/link", symlink("link", "target"))
    tree.put("/fifo", special("fifo", 0o010644))
    tree.root.refer(NestedReference("/mount", DIGEST, 4096))
    tree.root.set_flags("/mount", on=2)
    tree.root.bind([NestedReference("/snapshot", DIGEST, 4096)])
    tree.root.set_flags("/snapshot", on=0x4000)
    return tree.root.seal(revision=1, now=1, ttl=240)


IMAGE = good_image()
COLUMNS = [
    (table, column)
    for table, columns in {
        "properties": ("key", "value"),
        "catalog": (
            "md5path_1", "md5path_2", "parent_1", "parent_2", "hardlinks", "hash", "size", "mode", "mtime", "mtimens",
            "flags", "name", "symlink", "uid", "gid", "xattr",
        ),
        "chunks": ("md5path_1", "offset", "size", "hash"),
        "nested_catalogs": ("path", "sha1", "size"),
        "bind_mountpoints": ("path", "sha1", "size"),
        "statistics": ("counter", "value"),
    }.items()
    for column in columns
]  # fmt: skip
VALUES = st.one_of(
    st.none(),
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.sampled_from([-1, 0, 1, 3, 33, 0o040755, 0o120777, 0o010644, 0x1C00, 0x4001, 0xFFFFFFFF, 1 << 32, 1 << 62]),
    st.floats(allow_nan=False),
    st.text(max_size=20),
    st.sampled_from(["", ".", "..", "a/b", "/dir", "/mount/x", "2.4", "2.6", "1e5", "٣", "0" * 40, "a" * 300]),
    st.binary(max_size=30),
)


def read_all(image: bytes) -> None:
    """Everything that a reader asks of a catalog."""
    catalog = CatalogDatabase.load(image)
    catalog.properties()
    catalog.nested()
    catalog.bind_mountpoints()
    catalog.counters()
    waiting = [catalog.mountpoint, "/dir", "/dir/sub"]
    for path in waiting:
        entry = catalog.lookup(path)
        for child in catalog.children(path, chunks=True):
            assert isinstance(child.name, str)
            assert [child.is_dir, child.is_symlink, child.is_regular, child.is_special].count(True) == 1
            if child.is_dir and len(waiting) < MAX_WALKED:
                waiting.append(f"{path}/{child.name}")
            if child.is_chunked:
                raised(check_chunks, path, child)
            raised(xattrs.unpack, child.xattrs)
        if entry is not None:
            assert isinstance(entry.mtime_ns, int)


def check_all(image: bytes) -> None:
    """Everything that check looks at: findings instead of errors, but where the database breaks."""
    found: list[Code] = []
    catalog = open_catalog(image, "", lambda code, message: found.append(code))
    if catalog is None:
        assert found
        return
    tree = TreeCheck(
        catalog,
        "",
        above=None,
        found=lambda code, path, message: found.append(code),
        want=lambda wanted: None,
        counted=lambda rows: None,
    )
    tree.run()


def change(image: bytes) -> None:
    """What publishing does with a catalog."""
    catalog = WritableCatalog.open(image, "", DIGEST)
    tree = CatalogTree(catalog, lambda digest: IMAGE)
    tree.put("/dir/new", regular("new", Content(size=3, digest=b"\1" * 20)))
    tree.remove("/dir/sub")


def raised(work: Callable[..., object], *arguments: Any) -> bool:
    """Whether *work* ended with an error of ours; any other one passes through and fails the test."""
    try:
        work(*arguments)
    except CvmfsError:
        return True
    return False


def with_value(table: str, column: str, value: object) -> bytes | None:
    """The good catalog with one value everywhere in a column, None if the database itself refuses it."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.deserialize(IMAGE)
    try:
        connection.execute(f"UPDATE OR IGNORE {table} SET {column} = ?", (value,))
    except (sqlite3.IntegrityError, UnicodeEncodeError):
        return None
    return connection.serialize()


def test_the_catalog_that_is_damaged_here_is_good() -> None:
    for work in (read_all, check_all, change):
        assert not raised(work, IMAGE)


@given(st.sampled_from(COLUMNS), VALUES)
@example(("catalog", "mode"), -1)
@example(("catalog", "mtime"), float("inf"))
@example(("catalog", "mtime"), "soon")
@example(("catalog", "hash"), "text")
@example(("statistics", "value"), "many")
@example(("chunks", "offset"), None)
def test_any_value_in_any_column_is_read_or_malformed(place: tuple[str, str], value: object) -> None:
    image = with_value(*place, value)
    if image is not None:
        for work in (read_all, check_all, change):
            raised(work, image)


@given(st.lists(st.tuples(st.integers(0, len(IMAGE) - 1), st.binary(min_size=1, max_size=8)), min_size=1, max_size=6))
def test_a_damaged_image_is_read_or_malformed(edits: list[tuple[int, bytes]]) -> None:
    image = bytearray(IMAGE)
    for at, raw in edits:
        image[at : at + len(raw)] = raw
    for work in (read_all, check_all, change):
        raised(work, bytes(image))


@given(st.integers(0, len(IMAGE)))
def test_a_catalog_that_was_cut_off_is_read_or_malformed(length: int) -> None:
    for work in (read_all, check_all, change):
        raised(work, IMAGE[:length])
