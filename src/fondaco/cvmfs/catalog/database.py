"""A file catalog opened for reading: an SQLite image in memory."""

import itertools
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from types import NoneType
from typing import Any, Self, cast

from fondaco.cvmfs import paths
from fondaco.cvmfs.catalog import schema
from fondaco.cvmfs.catalog.counters import COUNTER_NAMES, Counters
from fondaco.cvmfs.catalog.row import BULK_COLUMNS, Row
from fondaco.cvmfs.digest import DIGEST_BYTES, Digest
from fondaco.cvmfs.entry import DIR, NANO, NESTED_MOUNTPOINT, Chunk, Entry
from fondaco.cvmfs.errors import MalformedData
from fondaco.cvmfs.sqlite_image import FAULTS, open_image

MAX_CATALOG_BYTES = 1 << 31  # an uncompressed catalog larger than this is refused

_SELECT = f"SELECT {schema.ROW_COLUMNS} FROM catalog "
_WHERE_KEY = "WHERE md5path_1 = ? AND md5path_2 = ?"

# Columns of schema.ROW_COLUMNS, as every good publisher writes them.
_Row = tuple[int, bytes | None, int, int, int, int | None, int, str, str, int, int, bytes | None]
_INTEGER, _TEXT, _BLOB, _OPTIONAL = (int,), (str,), (bytes, NoneType), (int, NoneType)
_TYPES = (
    _INTEGER, _BLOB, _INTEGER, _INTEGER, _INTEGER, _OPTIONAL, _INTEGER, _TEXT, _TEXT, _INTEGER, _INTEGER, _BLOB,
)  # fmt: skip
_USUAL = set(itertools.product(*_TYPES))
_NO_HASH = bytes(DIGEST_BYTES)
_MAX_REAL = float(1 << 62)  # beyond it a real number is no time or size
_MAX_MODE = (1 << 32) - 1  # mode_t


class NestedReference:
    """A row of ``nested_catalogs`` or ``bind_mountpoints``: where another catalog begins and which object it is."""

    __slots__ = ("digest", "is_bind", "path", "size")

    def __init__(self, path: str, digest: Digest, size: int, *, is_bind: bool = False) -> None:
        self.path = path  # mountpoint, "/a/b"
        self.digest = digest
        self.size = size  # bytes of the uncompressed database, 0 when not recorded
        self.is_bind = is_bind  # a root catalog (of a tag, say), whose own paths begin elsewhere


class CatalogDatabase:
    """One catalog. Its mountpoint is ``""`` for the root catalog. Not safe for use from two threads at once."""

    def __init__(self, connection: sqlite3.Connection, mountpoint: str) -> None:
        self.connection = connection
        self.mountpoint = mountpoint
        self._select = _SELECT
        self._bulk = f"SELECT {BULK_COLUMNS} FROM catalog "
        self._nested_size = "coalesce(size, 0)"
        self._has_bind = True

    @classmethod
    def load(cls, image: bytes, *, expected_mountpoint: str | None = None) -> Self:
        """Open the uncompressed bytes of a catalog; MalformedData for anything that is not one."""
        connection = open_image(image, "catalog")
        try:
            properties = dict(connection.execute("SELECT key, value FROM properties"))
            version = str(properties.get("schema", ""))
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            columns = {row[1] for row in connection.execute("PRAGMA table_info(catalog)")}
            nested_columns = {row[1] for row in connection.execute("PRAGMA table_info(nested_catalogs)")}
        except FAULTS as error:
            raise malformed(str(error)) from error
        if version not in schema.READABLE_SCHEMAS:
            raise malformed(f"its schema is {version!r}, not one of {', '.join(schema.READABLE_SCHEMAS)}")
        missing = {"catalog", "nested_catalogs", "statistics", "chunks"} - tables
        if missing:
            raise malformed(f"it has no table {min(missing)}")
        mountpoint = str(properties.get("root_prefix", paths.ROOT))
        if expected_mountpoint is not None and mountpoint != expected_mountpoint:
            raise malformed(f"it is mounted at {mountpoint!r} instead of {expected_mountpoint!r}")
        catalog = cls(connection, mountpoint)
        revision = schema.revision_of(properties)
        for column, since in schema.COLUMNS_SINCE.items():
            if revision < since or column not in columns:
                catalog._select = catalog._select.replace(f" {column}", " NULL")
                catalog._bulk = catalog._bulk.replace(f"coalesce({column}, 0)", "0").replace(f" {column}", " NULL")
        if revision < schema.NESTED_SIZE_SINCE or "size" not in nested_columns:
            catalog._nested_size = "0"
        catalog._has_bind = revision >= schema.BIND_MOUNTPOINTS_SINCE and "bind_mountpoints" in tables
        return catalog

    def close(self) -> None:
        self.connection.close()

    def properties(self) -> dict[str, str]:
        return {key: str(value) for key, value in self._rows("SELECT key, value FROM properties")}

    def lookup(self, path: str, *, chunks: bool = True) -> Entry | None:
        """The row of *path*, None if this catalog has none. The catalog's own root has a row here too."""
        key = paths.path_key(path)
        for row in self._rows(self._select + _WHERE_KEY, key):
            entry = _entry(row)
            return _with_chunks(entry, self.chunks(path)) if chunks and entry.is_chunked else entry
        return None

    def children(self, path: str, *, chunks: bool = False) -> Iterator[Entry]:
        """The rows of a directory's content, in no promised order."""
        key = paths.path_key(path)
        rows = self._rows(self._select + "WHERE parent_1 = ? AND parent_2 = ?", key)
        for row in rows:
            entry = _entry(row)
            if path == paths.ROOT and entry.name == "":
                continue
            yield _with_chunks(entry, self.chunks(f"{path}/{entry.name}")) if chunks and entry.is_chunked else entry

    def rows(self, path: str) -> Iterator[Row]:
        """What :meth:`children` gives, by name and quicker, for walks. Another query may run before this one ends."""
        sql = self._bulk + "WHERE parent_1 = ? AND parent_2 = ? ORDER BY name"
        try:
            # Through map, which hides the cursor: it could not be closed when a walk ends early, after its database.
            yield from map(Row._make, self.connection.execute(sql, paths.path_key(path)))
        except FAULTS as error:
            raise malformed(str(error)) from error

    def chunks(self, path: str) -> tuple[Chunk, ...]:
        """The chunks of a file in order of offset."""
        rows = self._rows(f"SELECT offset, size, hash FROM chunks {_WHERE_KEY} ORDER BY offset", paths.path_key(path))
        return tuple(_chunk(row) for row in rows)

    def leaf_counts(self) -> list[tuple[str, int]]:
        """Every directory whose content is here with the number of its children that are none, parents first.

        Counted by SQLite: to look at 10,000 rows one by one takes 50 ms, this 2.
        """
        own = f"flags & {DIR | NESTED_MOUNTPOINT} = {DIR}"
        leaves = {
            (first, second): count
            for first, second, count in self._rows(
                f"SELECT parent_1, parent_2, count(*) FROM catalog WHERE NOT {own} GROUP BY parent_1, parent_2"
            )
        }
        below: dict[paths.PathKey, list[tuple[paths.PathKey, str]]] = {}
        for first, second, *parent, name in self._rows(
            f"SELECT md5path_1, md5path_2, parent_1, parent_2, name FROM catalog WHERE {own}"
        ):
            below.setdefault((parent[0], parent[1]), []).append(((first, second), name))
        found = []
        waiting = [(paths.path_key(self.mountpoint), self.mountpoint)]
        while waiting:
            key, path = waiting.pop()
            found.append((path, leaves.get(key, 0)))
            waiting.extend((child, f"{path}/{name}") for child, name in below.get(key, ()) if child != key)
        return found

    def nested(self) -> list[NestedReference]:
        """The nested catalogs that begin in this one."""
        rows = self._rows(f"SELECT path, sha1, {self._nested_size} FROM nested_catalogs")
        return [_reference(row) for row in rows]

    def bind_mountpoints(self) -> list[NestedReference]:
        """Directories that show another root catalog, such as that of a tag."""
        if not self._has_bind:
            return []
        rows = self._rows("SELECT path, sha1, coalesce(size, 0) FROM bind_mountpoints")
        return [_reference(row, is_bind=True) for row in rows]

    def counters(self) -> tuple[Counters, Counters]:
        """The statistics: (self, subtree). Absent counters read as 0."""
        values = dict(self._rows("SELECT counter, value FROM statistics"))
        if not all(isinstance(value, int) for value in values.values()):
            raise malformed("a counter of its statistics is no number")
        own = {name: values.get(f"self_{name}", 0) for name in COUNTER_NAMES}
        below = {name: values.get(f"subtree_{name}", 0) for name in COUNTER_NAMES}
        return Counters(**own), Counters(**below)

    def _rows(self, sql: str, parameters: tuple[int | str, ...] = ()) -> Iterator[tuple]:  # type: ignore[type-arg]  # SQLite rows
        try:
            yield from self.connection.execute(sql, parameters)
        except FAULTS as error:
            raise malformed(str(error)) from error


def _reference(row: tuple[object, ...], *, is_bind: bool = False) -> NestedReference:
    match row:
        case (str(path), str(text), int(size)) if size >= 0:
            return NestedReference(path, Digest.parse(text), size, is_bind=is_bind)
    raise malformed(f"a nested catalog is registered as {row!r:.200}")


def _entry(row: tuple[Any, ...]) -> Entry:
    if tuple(map(type, row)) not in _USUAL:
        row = tuple(map(_as_clients_read, row, _TYPES))
    links, digest, size, mode, mtime, mtime_ns, flags, name, link, uid, gid, xattr = cast("_Row", row)
    if not 0 <= mode <= _MAX_MODE:
        raise malformed(f"the mode of {name!r:.300} is {mode}")
    return Entry(
        name=name,
        mode=mode,
        flags=flags,
        size=size,
        mtime_ns=mtime * NANO + (mtime_ns or 0),
        uid=uid,
        gid=gid,
        digest=digest if digest and digest != _NO_HASH else None,
        symlink=link,
        xattrs=xattr,
        linkcount=links & 0xFFFFFFFF,
        hardlink_group=links >> 32,
    )


def _as_clients_read(value: Any, types: tuple[type, ...]) -> Any:
    """A value of another SQL type than publishers write, as far as clients make sense of it: NULL is 0, 1.5 is 1."""
    if isinstance(value, types):
        return value
    if types is _INTEGER and value is None:
        return 0
    if int in types and isinstance(value, float) and abs(value) < _MAX_REAL:
        return int(value)
    raise malformed(f"a row holds {value!r:.100} where {' or '.join(kind.__name__ for kind in types)} belongs")


def _chunk(row: tuple[object, ...]) -> Chunk:
    match row:
        case (int(offset), int(size), bytes() | None as digest):
            return Chunk(offset, size, digest or b"")
    raise malformed(f"a chunk is {row!r:.200}")


def _with_chunks(entry: Entry, chunks: tuple[Chunk, ...]) -> Entry:
    return replace(entry, chunks=chunks)


def malformed(why: str) -> MalformedData:
    """The error of a catalog that is not what it should be."""
    return MalformedData("a catalog cannot be read", why, "run check; publish again from an intact revision")
