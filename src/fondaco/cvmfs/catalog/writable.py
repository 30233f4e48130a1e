"""A file catalog opened for change: rows, counters and the references to nested catalogs, kept consistent."""

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, Self

from fondaco.cvmfs import paths
from fondaco.cvmfs.catalog import schema
from fondaco.cvmfs.catalog.counters import COUNTER_NAMES, Counters
from fondaco.cvmfs.catalog.database import CatalogDatabase, NestedReference, malformed
from fondaco.cvmfs.catalog.hardlinks import GROUP_SHIFT, HardLinks
from fondaco.cvmfs.digest import NULL_DIGEST_TEXT, Digest
from fondaco.cvmfs.entry import DIR, NANO, NESTED_MOUNTPOINT, NESTED_ROOT, Entry
from fondaco.cvmfs.errors import BadChange
from fondaco.cvmfs.paths import PathKey, path_key
from fondaco.cvmfs.sqlite_image import FAULTS

MAX_ROWID_WASTE = 0.25  # inode ranges are sized by MAX(rowid); the reference publisher compacts above this share too
MAX_FREE_PAGES = 0.20
PENDING_ROWS = 5_000  # rows held back for one executemany; bounds memory, more gains nothing measurable

# Names and link targets may hold bytes that are not UTF-8; those are bound as blobs, and the casts keep them text.
_INSERT = (  # by name: a catalog that was brought up from an older schema revision has its columns in another order
    f"INSERT INTO catalog (md5path_1, md5path_2, parent_1, parent_2, {schema.ROW_COLUMNS})"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, CAST(? AS TEXT), CAST(? AS TEXT), ?, ?, ?)"
)
_UPDATE = (
    "UPDATE catalog SET hardlinks = ?, hash = ?, size = ?, mode = ?, mtime = ?, mtimens = ?, flags = ?,"
    " name = CAST(? AS TEXT), symlink = CAST(? AS TEXT), uid = ?, gid = ?, xattr = ?"
    " WHERE md5path_1 = ? AND md5path_2 = ?"
)
_BY_KEY = "md5path_1 = ? AND md5path_2 = ?"


class WritableCatalog(CatalogDatabase):
    """One catalog in a :class:`~fondaco.cvmfs.catalog.tree.CatalogTree`."""

    def __init__(self, connection: sqlite3.Connection, mountpoint: str) -> None:
        super().__init__(connection, mountpoint)
        self.parent: WritableCatalog | None = None
        self.own = Counters()
        self.below = Counters()
        self.references: dict[str, NestedReference] = {}  # nested catalogs by mountpoint, opened or not
        self.opened: dict[str, WritableCatalog] = {}
        self.digest: Digest | None = None  # of the stored state that this one began with; None: a new catalog
        self.total_when_stored = Counters()  # what the parent's subtree counters hold for this catalog
        self.entries_when_stored = 0
        self.dirty = False
        self._links = HardLinks(connection)
        self._pending: list[tuple[Any, ...]] = []
        self._parent_key: tuple[str, PathKey] = ("", paths.path_key(""))

    @classmethod
    def new(cls, mountpoint: str, root: Entry) -> Self:
        """An empty catalog whose first row (rowid 1, as clients need it in the root catalog) is its own root."""
        connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        connection.text_factory = paths.decode
        for statement in schema.DDL:
            connection.execute(statement)
        catalog = cls(connection, mountpoint)
        catalog._begin()
        catalog.set_property("schema", schema.SCHEMA)
        catalog.set_property("schema_revision", schema.SCHEMA_REVISION)
        if mountpoint != paths.ROOT:
            catalog.set_property("root_prefix", mountpoint)
        flags = DIR | NESTED_ROOT if mountpoint != paths.ROOT else DIR
        catalog.insert(mountpoint, replace(root, flags=flags))
        return catalog

    @classmethod
    def open(cls, image: bytes, mountpoint: str, digest: Digest) -> Self:
        """A stored catalog, ready for change; one of an older schema revision is brought up to the current one."""
        catalog = cls.load(image, expected_mountpoint=mountpoint)
        properties = catalog.properties()
        version, revision = properties["schema"], schema.revision_of(properties)
        if version != schema.SCHEMA or revision > int(schema.SCHEMA_REVISION):
            raise BadChange(
                f"the catalog at {mountpoint or '/'} cannot be changed",
                f"its schema is {version} revision {revision}, this publisher writes {schema.SCHEMA} revision"
                f" {schema.SCHEMA_REVISION}",
                "use a publisher of its generation",
            )
        if revision < int(schema.SCHEMA_REVISION):
            for statement in schema.upgrades(revision):
                catalog._run(statement)
            connection = catalog.connection
            catalog = cls(connection, mountpoint)
        catalog.digest = digest
        catalog.own, catalog.below = catalog.counters()
        catalog.total_when_stored = catalog.total()
        catalog.entries_when_stored = catalog.own.entries
        catalog.references = {reference.path: reference for reference in catalog.nested()}
        catalog._begin()
        return catalog

    def total(self) -> Counters:
        """What this catalog adds to its parent's subtree counters."""
        return Counters.sum((self.own, self.below))

    # -- rows ------------------------------------------------------------------------------------------------------

    def insert(self, path: str, entry: Entry) -> None:
        """Add the row of *path*, which must not have one."""
        key = path_key(path)
        self._pending.append((*key, *self._key_of_parent(path), *_columns(entry)))
        self._insert_chunks(key, entry)
        self.own.count(entry)
        self.dirty = True
        if len(self._pending) >= PENDING_ROWS:
            self.flush()

    def update(self, path: str, old: Entry, entry: Entry) -> None:
        """Change the row of *path* in place, so that it keeps its rowid (and with it its inode)."""
        key = path_key(path)
        self.flush()
        if old.is_chunked:
            self._run(f"DELETE FROM chunks WHERE {_BY_KEY}", key)
        self._run(_UPDATE, (*_columns(entry), *key))
        self._insert_chunks(key, entry)
        self.own.count(old, -1)
        self.own.count(entry)
        if old.hardlink_group and old.hardlink_group != entry.hardlink_group:
            self._links.touch(self._key_of_parent(path))
        self.dirty = True

    def delete(self, path: str, old: Entry) -> None:
        """Remove the row of *path*; *old* is what it holds."""
        key = path_key(path)
        self.flush()
        if old.is_chunked:
            self._run(f"DELETE FROM chunks WHERE {_BY_KEY}", key)
        self._run(f"DELETE FROM catalog WHERE {_BY_KEY}", key)
        self.own.count(old, -1)
        if old.hardlink_group:
            self._links.touch(self._key_of_parent(path))
        self.dirty = True

    def add_links(self, path: str, delta: int) -> None:
        """Change the link count of a directory's row."""
        self.flush()
        sql = f"UPDATE catalog SET hardlinks = hardlinks + ? WHERE {_BY_KEY}"
        self._run(sql, (delta, *path_key(path)))
        self.dirty = True

    def set_flags(self, path: str, *, on: int = 0, off: int = 0) -> None:
        """Change flag bits of a row."""
        self.flush()
        sql = f"UPDATE catalog SET flags = (flags | ?) & ~? WHERE {_BY_KEY}"
        self._run(sql, (on, off, *path_key(path)))
        self.own.nested += bool(on & NESTED_MOUNTPOINT) - bool(off & NESTED_MOUNTPOINT)
        self.dirty = True

    def lookup(self, path: str, *, chunks: bool = True) -> Entry | None:
        self.flush()
        return super().lookup(path, chunks=chunks)

    def children(self, path: str, *, chunks: bool = False) -> Iterator[Entry]:
        self.flush()
        return super().children(path, chunks=chunks)

    def flush(self) -> None:
        """Hand rows held back to SQLite."""
        if self._pending:
            self._run_many(_INSERT, self._pending)
            self._pending.clear()

    # -- hard links ------------------------------------------------------------------------------------------------

    def new_group(self) -> int:
        """The id of a new hard-link group."""
        self.flush()
        return self._links.new_group()

    def group_of(self, path: str, entry: Entry) -> int:
        """The hard-link group of the file *entry* at *path*, made if need be, for another member to join."""
        self._links.touch(self._key_of_parent(path))
        if entry.hardlink_group:
            return entry.hardlink_group
        group = self.new_group()
        self.update(path, entry, replace(entry, hardlink_group=group))
        return group

    def settle_links(self, directory: str | None = None) -> None:
        """Bring link counts of hard-link groups up to date, unless those in *directory* are."""
        if directory is None or self._links.is_touched(path_key(directory)):
            self.flush()
            self._links.settle()

    # -- nested catalogs -------------------------------------------------------------------------------------------

    def refer(self, reference: NestedReference) -> None:
        """Record (or renew) the object of a nested catalog."""
        self._run(
            "INSERT OR REPLACE INTO nested_catalogs VALUES (CAST(? AS TEXT), ?, ?)",
            (_bindable(reference.path), str(reference.digest), reference.size),
        )
        self.references[reference.path] = reference
        self.dirty = True

    def forget(self, mountpoint: str) -> None:
        """Drop the reference to a nested catalog, if it was recorded yet."""
        sql = "DELETE FROM nested_catalogs WHERE path = CAST(? AS TEXT)"
        self._run(sql, (_bindable(mountpoint),))
        self.references.pop(mountpoint, None)
        self.opened.pop(mountpoint, None)
        self.dirty = True

    def bind(self, references: Iterable[NestedReference]) -> None:
        """Record bind mountpoints."""
        rows = [(_bindable(item.path), str(item.digest), item.size) for item in references]
        self._run_many("INSERT OR REPLACE INTO bind_mountpoints VALUES (CAST(? AS TEXT), ?, ?)", rows)

    def take_bind(self, top: str) -> list[NestedReference]:
        """Forget the bind mountpoints at and below *top*; what they were."""
        taken = [item for item in self.bind_mountpoints() if item.path == top or paths.is_below(item.path, top)]
        sql = "DELETE FROM bind_mountpoints WHERE path = CAST(? AS TEXT)"
        self._run_many(sql, [(_bindable(item.path),) for item in taken])
        return taken

    # -- storing ---------------------------------------------------------------------------------------------------

    def set_property(self, key: str, value: str) -> None:
        sql = "INSERT OR REPLACE INTO properties VALUES (?, CAST(? AS TEXT))"
        self._run(sql, (key, _bindable(value)))

    def seal(self, *, revision: int | None, now: int, ttl: int) -> bytes:
        """The bytes to store: statistics and properties brought up to date, rowids dense, no free pages.

        *revision* is the repository's for the root catalog; None counts a nested catalog's own up by one.
        """
        self.settle_links()
        if revision is None:
            revision = int(self.properties().get("revision", "0")) + 1
        if self.mountpoint == paths.ROOT:
            self.set_property("TTL", str(ttl))
        self.set_property("revision", str(revision))
        self.set_property("last_modified", str(now))
        self.set_property("previous_revision", str(self.digest) if self.digest else NULL_DIGEST_TEXT)
        rows = [(f"self_{name}", getattr(self.own, name)) for name in COUNTER_NAMES]
        rows += [(f"subtree_{name}", getattr(self.below, name)) for name in COUNTER_NAMES]
        self._run_many("INSERT OR REPLACE INTO statistics VALUES (?, ?)", rows)
        self._compact()
        self._run("COMMIT")
        image = self.connection.serialize()
        self._begin()
        return image

    def _begin(self) -> None:
        # An aborted change throws the whole database away, so no rollback journal is wanted.
        self._run("PRAGMA journal_mode = OFF")
        self._run("BEGIN")

    def _compact(self) -> None:
        rows, highest = self._run("SELECT count(*), max(rowid) FROM catalog").fetchone()
        wasted = 1 - rows / highest > MAX_ROWID_WASTE
        pages = self._pragma("page_count")
        if not wasted and self._pragma("freelist_count") <= MAX_FREE_PAGES * pages:
            return
        if wasted:  # copying in rowid order keeps the root row first
            self._run("CREATE TEMP TABLE dense AS SELECT * FROM catalog ORDER BY rowid")
            self._run("DELETE FROM catalog")
            self._run("INSERT INTO catalog SELECT * FROM dense ORDER BY rowid")
            self._run("DROP TABLE dense")
        self._run("COMMIT")
        self._run("VACUUM")
        self._run("BEGIN")

    def _run(self, sql: str, values: tuple[Any, ...] = ()) -> sqlite3.Cursor:
        try:
            return self.connection.execute(sql, values)
        except FAULTS as error:
            raise malformed(str(error)) from error

    def _run_many(self, sql: str, rows: Iterable[tuple[Any, ...]]) -> None:
        try:
            self.connection.executemany(sql, rows)
        except FAULTS as error:
            raise malformed(str(error)) from error

    def _pragma(self, name: str) -> int:
        return int(self._run(f"PRAGMA {name}").fetchone()[0])

    # -- small parts -----------------------------------------------------------------------------------------------

    def _key_of_parent(self, path: str) -> PathKey:
        if path == paths.ROOT:
            return paths.NO_PARENT
        parent = paths.parent_of(path)
        if self._parent_key[0] != parent:
            self._parent_key = (parent, path_key(parent))
        return self._parent_key[1]

    def _insert_chunks(self, key: PathKey, entry: Entry) -> None:
        if entry.chunks:
            rows = [(*key, chunk.offset, chunk.size, chunk.digest) for chunk in entry.chunks]
            self._run_many("INSERT INTO chunks VALUES (?, ?, ?, ?, ?)", rows)

    # -- moving rows between catalogs --------------------------------------------------------------------------------

    def take_rows(self, directories: Iterable[str]) -> Iterator[tuple[str, Entry]]:
        """Remove and yield everything that lies directly in *directories* (paths), with its chunks.

        Hard-link groups keep their ids, which mean something in this catalog alone: see :meth:`take_in`.
        """
        self.settle_links()
        for directory in directories:
            rows = list(self.children(directory, chunks=True))
            yield from ((f"{directory}/{entry.name}", entry) for entry in rows)
            chunked = [path_key(f"{directory}/{entry.name}") for entry in rows if entry.is_chunked]
            self._run_many(f"DELETE FROM chunks WHERE {_BY_KEY}", chunked)
            self._run("DELETE FROM catalog WHERE parent_1 = ? AND parent_2 = ?", path_key(directory))
            for entry in rows:
                self.own.count(entry, -1)
        self.dirty = True

    def take_in(self, rows: Iterable[tuple[str, Entry]]) -> None:
        """Add rows of another catalog; their hard-link groups get ids that are free here."""
        groups: dict[int, int] = {}
        for path, entry in rows:
            group = entry.hardlink_group
            if group and group not in groups:
                groups[group] = self.new_group()
            self.insert(path, replace(entry, hardlink_group=groups[group]) if group else entry)

    def drop_rows(self, directories: Iterable[str]) -> None:
        """Remove everything that lies directly in *directories*."""
        for _ in self.take_rows(directories):
            pass


def _columns(entry: Entry) -> tuple[Any, ...]:
    return (
        entry.hardlink_group << GROUP_SHIFT | entry.linkcount,
        entry.digest,
        entry.size,
        entry.mode,
        entry.mtime_ns // NANO,
        entry.mtime_ns % NANO,
        entry.flags,
        _bindable(entry.name),
        _bindable(entry.symlink),
        entry.uid,
        entry.gid,
        entry.xattrs,
    )


def _bindable(text: str) -> str | bytes:
    """*text* for the sqlite3 module, which refuses surrogates."""
    return text if text.isascii() else paths.encode(text)
