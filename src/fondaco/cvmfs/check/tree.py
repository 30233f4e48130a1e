"""The rows of one catalog as a tree: every row reached from its root, by the keys that clients look paths up with."""

import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from fondaco.cvmfs import paths
from fondaco.cvmfs.catalog.counters import Counters
from fondaco.cvmfs.catalog.schema import SPECIAL_SINCE
from fondaco.cvmfs.check.catalog import CheckedCatalog, stored_counters
from fondaco.cvmfs.check.findings import Code
from fondaco.cvmfs.check.objects import Found, WantedObject
from fondaco.cvmfs.check.rows import Fault, entry_faults, read_row, transition_faults
from fondaco.cvmfs.digest import DIGEST_BYTES, Digest, Suffix
from fondaco.cvmfs.entry import NESTED_ROOT, Chunk, Entry
from fondaco.cvmfs.errors import MalformedData
from fondaco.cvmfs.paths import CATALOG_MARKER, PathKey

MAX_DANGLING = 100  # rows named one by one for each catalog

_DANGLING_CHUNKS = (
    "SELECT count(*) FROM chunks WHERE NOT EXISTS (SELECT 1 FROM catalog WHERE catalog.md5path_1 = chunks.md5path_1"
    " AND catalog.md5path_2 = chunks.md5path_2 AND catalog.flags & 64)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NestedCatalog:
    """A nested catalog that is named and still to be looked at."""

    mountpoint: str
    digest: Digest
    size: int  # bytes of the uncompressed database; 0: not recorded
    row: Entry | None  # of the mountpoint in the parent, None if it has none


@dataclass(slots=True, kw_only=True)
class CatalogSummary:
    """What the statistics of this and the catalogs above are compared with."""

    mountpoint: str
    own: Counters = field(default_factory=Counters)  # counted
    stored: tuple[Counters, Counters]  # self and subtree, as they stand there; -1 for what is missing
    nested: list[NestedCatalog] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Row:
    rowid: int
    key: PathKey
    parent: PathKey
    entry: Entry
    faults: list[Fault]


class TreeCheck:
    """Checks the rows of one catalog."""

    def __init__(
        self,
        catalog: CheckedCatalog,
        mountpoint: str,
        *,
        above: Entry | None,
        found: Found,
        want: Callable[[WantedObject], None],
        counted: Callable[[int], None],
    ) -> None:
        """*above* is the mountpoint's row in the parent; *counted* is told of rows looked at."""
        self._catalog = catalog
        self._mountpoint = mountpoint
        self._above = above
        self._found = found
        self._want = want
        self._counted = counted
        self._reached: set[int] = set()  # rowids
        self._groups: dict[int, str] = {}  # hard link group → directory in which it was met first
        self._mountpoints: dict[str, Entry] = {}
        self._bind: set[str] = set()
        self._own = Counters()

    def run(self) -> CatalogSummary:
        """Look at everything; MalformedData when the database breaks in the middle."""

        def note(code: Code, message: str) -> None:
            self._found(code, self._mountpoint, message)

        root = self._root()
        waiting = [(self._mountpoint, root)]
        while waiting:
            path, entry = waiting.pop()
            waiting += self._directory(path, entry)
        self._dangling()
        chunks = self._catalog.number(_DANGLING_CHUNKS)
        if chunks:
            note(Code.CHUNKS_DANGLING, f"{chunks} rows of chunks belong to no chunked file")
        return CatalogSummary(
            mountpoint=self._mountpoint,
            own=self._own,
            stored=stored_counters(self._catalog, note),
            nested=list(self._nested()),
        )

    # -- the catalog's own root ----------------------------------------------------------------------------------------

    def _root(self) -> Entry | None:
        path = self._mountpoint
        values = self._catalog.row(path)
        if values is None:
            self._found(Code.ROOT_ROW, path, "the catalog has no row for its own root, at which clients crash")
            return None
        row = _row(values)
        entry = row.entry
        self._reached.add(row.rowid)
        self._own.count(entry)
        self._note(path, [*row.faults, *entry_faults(entry, is_root=True), *self._root_faults(row)])
        if self._above is not None:
            self._note(path, transition_faults(self._above, entry))
        if path == paths.ROOT and row.rowid != 1 and self._catalog.number("SELECT rowid FROM catalog WHERE rowid = 1"):
            self._found(
                Code.ROOT_ROWID, path, "another row than the root has rowid 1 and so the inode of the mountpoint"
            )
        return entry

    def _root_faults(self, row: _Row) -> Iterator[Fault]:
        entry = row.entry
        if not stat.S_ISDIR(entry.mode):
            yield Code.ROOT_ROW, "the root of the catalog is no directory"
        if bool(entry.flags & NESTED_ROOT) != (self._mountpoint != paths.ROOT):
            has = "has" if entry.flags & NESTED_ROOT else "lacks"
            yield Code.ROOT_ROW, f"the root row {has} the flag of a nested catalog's root"
        if entry.name != paths.name_of(self._mountpoint):
            yield Code.ROOT_ROW, f"the root row is named {entry.name!r}"
        if row.parent != paths.parent_key(self._mountpoint):
            expected = "0, 0" if self._mountpoint == paths.ROOT else "the path above"
            yield Code.PARENT_KEY, f"the parent's key in the root row is not that of {expected}"

    # -- directories -------------------------------------------------------------------------------------------------

    def _directory(self, path: str, directory: Entry | None) -> list[tuple[str, Entry]]:
        """Check what lies in a directory; its subdirectories in this catalog are returned."""
        subdirectories: list[tuple[str, Entry]] = []
        groups: dict[int, list[Entry]] = {}
        directories = 0
        marked = False
        rows = 0
        for row in map(_row, self._catalog.rows_below(path)):
            if row.rowid in self._reached:  # the root's own row
                continue
            rows += 1
            entry = self._child(path, row)
            child = f"{path}/{entry.name}"
            if stat.S_ISDIR(entry.mode):
                directories += 1
                if not self._is_mountpoint(child, entry):
                    subdirectories.append((child, entry))
            elif entry.hardlink_group:
                groups.setdefault(entry.hardlink_group, []).append(entry)
            if entry.name == CATALOG_MARKER:
                marked = self._is_marker(path, entry)
        self._counted(rows)
        if path == self._mountpoint != paths.ROOT and not marked:
            self._found(Code.MARKER_MISSING, path, f"the nested catalog has no {CATALOG_MARKER} in it")
        if directory is not None and stat.S_ISDIR(directory.mode) and directory.linkcount != directories + 2:
            message = f"its link count is {directory.linkcount}, with {directories} directories in it that is "
            self._found(Code.LINK_COUNT, path, message + f"{directories + 2}")
        self._hard_links(path, groups)
        return subdirectories

    def _child(self, path: str, row: _Row) -> Entry:
        entry = row.entry
        child = f"{path}/{entry.name}"
        self._reached.add(row.rowid)
        if entry.is_chunked:
            entry = replace(entry, chunks=tuple(self._chunks(child)))
        self._own.count(entry)
        self._note(child, row.faults)
        self._note(child, entry_faults(entry, special_flag=self._catalog.revision >= SPECIAL_SINCE))
        if row.key != paths.path_key(child):
            self._found(Code.PATH_KEY, child, "its row is not filed under the key of its path: clients do not find it")
        self._want_objects(child, entry)
        return entry

    def _chunks(self, path: str) -> Iterator[Chunk]:
        for offset, size, digest in self._catalog.chunks(path):
            if isinstance(offset, int) and isinstance(size, int) and isinstance(digest, bytes):
                yield Chunk(offset, size, digest)
            else:
                self._found(Code.COLUMN_TYPE, path, "a chunk's offset, size or hash is of the wrong type")

    def _is_marker(self, path: str, entry: Entry) -> bool:
        if path != self._mountpoint:
            message = "it marks a nested catalog where none begins"
            self._found(Code.MARKER_ABANDONED, f"{path}/{entry.name}", message)
        return entry.is_regular

    def _hard_links(self, path: str, groups: dict[int, list[Entry]]) -> None:
        for group, members in groups.items():
            first = members[0]
            place = f"{path}/{first.name}"
            other = self._groups.setdefault(group, path)
            if other != path:
                message = f"its hard link group is used in {other!r} as well, so that clients show one inode for both"
                self._found(Code.HARD_LINK, place, message)
            if first.linkcount != len(members):
                message = f"its link count is {first.linkcount}, its hard link group has {len(members)} members here"
                self._found(Code.HARD_LINK, place, message)
            for member in members[1:]:
                if replace(member, name=first.name) != first:
                    message = f"it differs from {first.name!r} of the same hard link group"
                    self._found(Code.HARD_LINK, f"{path}/{member.name}", message)

    def _want_objects(self, path: str, entry: Entry) -> None:
        if not entry.is_regular or entry.is_external:
            return
        try:
            algorithm, compression = entry.algorithm, entry.compression
        except ValueError:
            return  # noted with the row
        parts = [(chunk.digest, chunk.size, Suffix.CHUNK) for chunk in entry.chunks]
        if entry.digest:
            parts.append((entry.digest, entry.size, Suffix.FILE))
        for raw, size, suffix in parts:
            if len(raw) == DIGEST_BYTES and size >= 0:
                digest = Digest(raw, algorithm)
                self._want(WantedObject(digest=digest, suffix=suffix, path=path, size=size, compression=compression))

    # -- mountpoints -------------------------------------------------------------------------------------------------

    def _is_mountpoint(self, path: str, entry: Entry) -> bool:
        if entry.is_mountpoint:
            self._mountpoints[path] = entry
        elif entry.is_bind_mountpoint:
            self._bind.add(path)
        else:
            return False
        below = sum(1 for _ in self._catalog.rows_below(path))
        if below:
            self._found(Code.MOUNTPOINT_NOT_EMPTY, path, f"{below} rows lie below the mountpoint in the outer catalog")
        return True

    def _nested(self) -> Iterator[NestedCatalog]:
        """The nested catalogs to go on with; the references are compared with the mountpoints found."""
        bind, rows = self._bind_references(), self._catalog.nested()
        registered = {str(row[0]) for row in rows}
        for row in rows:
            reference = self._reference(*row)
            if reference is None:
                continue
            path = reference.mountpoint
            if path not in self._mountpoints:
                message = "a nested catalog is registered, but there is no mountpoint for it"
                self._found(Code.NO_MOUNTPOINT, path, message)
            if paths.is_below(path, self._mountpoint):  # following another could lead in circles
                yield reference
        for path in sorted(registered & bind):
            self._found(Code.TRANSITION, path, "it is registered as a nested catalog and as a bind mountpoint")
        for path in sorted(self._mountpoints.keys() - registered) + sorted(self._bind - bind):
            self._found(Code.NOT_REGISTERED, path, "it is a mountpoint, but the catalog does not name what is mounted")
        for path in sorted(bind - self._bind):
            self._found(Code.NO_MOUNTPOINT, path, "a bind mountpoint is registered, but there is none")

    def _bind_references(self) -> set[str]:
        """Where catalogs are shown whose own place is elsewhere; that they are there is asked, nothing more."""
        rows = self._catalog.bind_mountpoints()
        for row in rows:
            reference = self._reference(*row)
            if reference is not None:
                self._want(WantedObject(digest=reference.digest, suffix=Suffix.CATALOG, path=reference.mountpoint))
        return {str(row[0]) for row in rows}

    def _reference(self, path: Any, text: Any, size: Any) -> NestedCatalog | None:
        """A row that registers a catalog; None (and noted) when it does not say which."""
        if not isinstance(path, str) or not isinstance(text, str) or not isinstance(size, int | None):
            message = f"a catalog is registered as {(path, text, size)!r:.200}"
            self._found(Code.COLUMN_TYPE, self._mountpoint, message)
            return None
        try:
            digest = Digest.parse(text)
        except MalformedData as error:
            self._found(Code.NOT_REGISTERED, path, f"the hash of the catalog there is none: {error.why}")
            return None
        return NestedCatalog(mountpoint=path, digest=digest, size=size or 0, row=self._mountpoints.get(path))

    # -- what is left ------------------------------------------------------------------------------------------------

    def _dangling(self) -> None:
        """Rows that no path leads to: invisible to clients, but counted."""
        rows = self._catalog.number("SELECT count(*) FROM catalog")
        left = rows - len(self._reached)
        if not left:
            return
        named = 0
        for row in map(_row, self._catalog.all_rows()):
            if row.rowid in self._reached:
                continue
            named += 1
            if named > MAX_DANGLING:
                break
            message = f"row {row.rowid} ({row.entry.name!r}) is reached by no path from the root of the catalog"
            self._found(Code.DANGLING, self._mountpoint, message)
        if left > MAX_DANGLING:
            self._found(Code.DANGLING, self._mountpoint, f"{left - MAX_DANGLING} more rows are reached by no path")

    def _note(self, path: str, faults: Iterable[Fault]) -> None:
        for code, message in faults:
            self._found(code, path, message)


def _row(values: tuple[Any, ...]) -> _Row:
    rowid, own_1, own_2, parent_1, parent_2, *columns = values
    entry, faults = read_row(tuple(columns))
    return _Row(rowid, (own_1, own_2), (parent_1, parent_2), entry, faults)
