"""One catalog as a database: opened with suspicion, before its rows are looked at."""

import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

from fondaco.cvmfs import paths
from fondaco.cvmfs.catalog import schema
from fondaco.cvmfs.catalog.counters import COUNTER_NAMES, Counters
from fondaco.cvmfs.check.findings import Code
from fondaco.cvmfs.check.rows import COLUMNS
from fondaco.cvmfs.digest import Digest
from fondaco.cvmfs.errors import MalformedData
from fondaco.cvmfs.sqlite_image import FAULTS, open_image

MAX_MODIFIED = (1 << 31) - 1  # last_modified is read into 32 bits

Note = Callable[[Code, str], None]  # code, message: about this catalog

_JOURNAL_BYTES = slice(18, 20)  # of the SQLite header: write and read version, 1 rollback journal, 2 write-ahead log
_TABLES = {"properties", "catalog", "chunks", "nested_catalogs", "statistics"}
_KEYS = ("md5path_1", "md5path_2", "parent_1", "parent_2")


class CheckedCatalog:
    """The database of a catalog that can at least be walked."""

    def __init__(self, connection: sqlite3.Connection, tables: set[str], columns: set[str]) -> None:
        self._connection = connection
        self.revision = schema.revision_of(self.properties())  # of the schema
        self._has_bind = self.revision >= schema.BIND_MOUNTPOINTS_SINCE and "bind_mountpoints" in tables
        nested = {row[1] for row in self.query("PRAGMA table_info(nested_catalogs)")}
        self._nested_size = "size" if self.revision >= schema.NESTED_SIZE_SINCE and "size" in nested else "NULL"
        due = {name for name in COLUMNS if self.revision >= schema.COLUMNS_SINCE.get(name, 0)}
        present = (name if name in columns & due else "NULL" for name in COLUMNS)
        # What the revision should have brought and is not there.
        self.promised = [f"column {name}" for name in COLUMNS if name in due - columns]
        if self.revision >= schema.BIND_MOUNTPOINTS_SINCE and not self._has_bind:
            self.promised.append("table bind_mountpoints")
        self._select = f"SELECT rowid, {', '.join(_KEYS)}, {', '.join(present)} FROM catalog "  # noqa: S608  # names from COLUMNS

    def close(self) -> None:
        self._connection.close()

    def row(self, path: str) -> tuple[Any, ...] | None:
        """rowid, own key, parent's key and COLUMNS of the row filed under the key of *path*."""
        found = self.query(self._select + "WHERE md5path_1 = ? AND md5path_2 = ?", paths.path_key(path))
        return next(found, None)

    def rows_below(self, path: str) -> Iterator[tuple[Any, ...]]:
        """The rows whose parent is *path*, as row()."""
        return self.query(self._select + "WHERE parent_1 = ? AND parent_2 = ?", paths.path_key(path))

    def all_rows(self) -> Iterator[tuple[Any, ...]]:
        """Every row, as row()."""
        return self.query(self._select)

    def chunks(self, path: str) -> list[tuple[Any, Any, Any]]:
        """offset, size and hash of the chunks of *path*, by offset."""
        sql = "SELECT offset, size, hash FROM chunks WHERE md5path_1 = ? AND md5path_2 = ? ORDER BY offset"
        return list(self.query(sql, paths.path_key(path)))

    def number(self, sql: str) -> int:
        """The one number that a query gives; no row or NULL is 0."""
        return int(next(self.query(sql), (0,))[0] or 0)

    def properties(self) -> dict[str, str]:
        return {str(key): str(value) for key, value in self.query("SELECT key, value FROM properties")}

    def nested(self) -> list[tuple[Any, Any, Any]]:
        """path, hash text and size of the nested catalogs."""
        return list(self.query(f"SELECT path, sha1, {self._nested_size} FROM nested_catalogs"))  # noqa: S608  # as above

    def bind_mountpoints(self) -> list[tuple[Any, ...]]:
        """path, hash text and size of the root catalogs that are shown elsewhere."""
        return list(self.query("SELECT path, sha1, size FROM bind_mountpoints")) if self._has_bind else []

    def counters(self) -> dict[str, Any]:
        """The statistics as they stand there."""
        return dict(self.query("SELECT counter, value FROM statistics"))

    def query(self, sql: str, values: tuple[int, ...] = ()) -> Iterator[tuple[Any, ...]]:
        """Rows of a query; MalformedData when the database is damaged."""
        try:
            yield from self._connection.execute(sql, values)
        except FAULTS as error:
            raise MalformedData(
                "a catalog cannot be read", str(error), "publish again from an intact revision"
            ) from error


def open_catalog(image: bytes, mountpoint: str, note: Note) -> CheckedCatalog | None:
    """Open the bytes of a catalog; None when nothing in it can be looked at. What is wrong goes to *note*."""
    if image[_JOURNAL_BYTES] == b"\2\2":
        note(Code.JOURNAL_MODE, "it is in write-ahead-log mode, at which clients abort")
        image = image[:18] + b"\1\1" + image[20:]
    try:
        connection = open_image(image, "catalog")
    except MalformedData as error:
        note(Code.CATALOG_UNREADABLE, error.why)
        return None
    try:
        catalog = _opened(connection, mountpoint, note)
    except (MalformedData, *FAULTS) as error:
        note(Code.CATALOG_UNREADABLE, error.why if isinstance(error, MalformedData) else str(error))
        catalog = None
    if catalog is None:
        connection.close()
    return catalog


def _opened(connection: sqlite3.Connection, mountpoint: str, note: Note) -> CheckedCatalog | None:
    damage = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if damage != ("ok",):
        note(Code.CATALOG_UNREADABLE, f"the database is damaged: {damage[0]}")
        return None
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if _TABLES - tables:
        note(Code.SCHEMA, f"it has no table {min(_TABLES - tables)}")
        return None
    (ddl,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'catalog'").fetchone()
    if "WITHOUT ROWID" in " ".join(str(ddl).upper().split()):
        note(Code.SCHEMA, "its table catalog has no rowids, at which clients abort")
        return None
    columns = {str(row[1]) for row in connection.execute("PRAGMA table_info(catalog)")}
    missing = {*_KEYS, *COLUMNS} - columns - schema.COLUMNS_SINCE.keys()
    if missing:
        note(Code.SCHEMA, f"its table catalog has no column {min(missing)}")
        return None
    catalog = CheckedCatalog(connection, tables, columns)
    if not _check_properties(catalog, mountpoint, note):
        return None
    if not _has_parent_index(connection):
        note(Code.INDEX_MISSING, "there is no index on the parents: listings read the whole catalog")
        connection.execute("CREATE INDEX checked_parent ON catalog (parent_1, parent_2)")
    return catalog


def _check_properties(catalog: CheckedCatalog, mountpoint: str, note: Note) -> bool:
    """False when no client can read this schema."""
    properties = catalog.properties()
    version = properties.get("schema")
    if version not in schema.READABLE_SCHEMAS:
        note(Code.SCHEMA, f"its schema is {version or 'not given'}, clients read {', '.join(schema.READABLE_SCHEMAS)}")
        return False
    for absent in catalog.promised:
        note(Code.SCHEMA, f"its schema revision {catalog.revision} promises the {absent}, which is not there")
    prefix = properties.get("root_prefix")
    if prefix != (mountpoint or None):
        note(Code.ROOT_PREFIX, f"it says that it is mounted at {prefix or 'the root'}")
    for name in ("revision", "last_modified"):
        _check_number(properties, name, required=True, note=note)
    _check_number(properties, "TTL", required=False, note=note)
    previous = properties.get("previous_revision")
    if previous is not None:
        try:
            Digest.parse(previous)
        except MalformedData:
            note(Code.PROPERTY, f"its previous_revision {previous!r:.60} is no hash")
    return True


def _check_number(properties: dict[str, str], name: str, *, required: bool, note: Note) -> None:
    text = properties.get(name)
    if text is None:
        if required:
            note(Code.PROPERTY, f"it has no property {name}")
    elif not (text.isascii() and text.isdigit()):
        note(Code.PROPERTY, f"its {name} {text!r:.60} is no number")
    elif name == "last_modified" and int(text) > MAX_MODIFIED:
        note(Code.PROPERTY, f"its {name} {text:.60} does not fit into 32 bits, as which clients read it")


def _has_parent_index(connection: sqlite3.Connection) -> bool:
    for row in connection.execute("PRAGMA index_list(catalog)").fetchall():
        quoted = str(row[1]).replace('"', '""')
        columns = [str(info[2]) for info in connection.execute(f'PRAGMA index_info("{quoted}")')]
        if columns[:2] in (["parent_1", "parent_2"], ["parent_2", "parent_1"]):
            return True
    return False


def stored_counters(catalog: CheckedCatalog, note: Note) -> tuple[Counters, Counters]:
    """The statistics as (self, subtree); a counter that is missing or no number is noted and is -1 here."""
    values = catalog.counters()
    legacy = catalog.properties().get("schema") != schema.SCHEMA  # clients take what is missing there as 0
    halves = []
    for half in ("self", "subtree"):
        numbers = {}
        for name in COUNTER_NAMES:
            value = values.get(f"{half}_{name}")
            if value is None and (legacy or catalog.revision < schema.COUNTERS_SINCE.get(name, 0)):
                value = 0
            elif value is None:
                note(Code.COUNTER_MISSING, f"it has no counter {half}_{name}, without which clients cannot mount it")
            elif not isinstance(value, int):
                note(Code.COUNTER, f"its counter {half}_{name} is {value!r:.60}, no number")
            numbers[name] = value if isinstance(value, int) else -1
        halves.append(Counters(**numbers))
    return halves[0], halves[1]
