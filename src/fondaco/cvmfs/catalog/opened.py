"""Catalogs kept open for reading: fetched when they are needed, verified, and a bounded number of them."""

import copy
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

from fondaco.cvmfs import paths
from fondaco.cvmfs.catalog.database import MAX_CATALOG_BYTES, CatalogDatabase, NestedReference
from fondaco.cvmfs.catalog.row import Row
from fondaco.cvmfs.digest import Digest, Suffix
from fondaco.cvmfs.entry import Chunk, Entry
from fondaco.cvmfs.errors import MalformedData
from fondaco.cvmfs.objects import fetch
from fondaco.cvmfs.stores.base import ReadableStore

MAX_OPEN = 64  # catalogs; one of the recommended size (up to 200,000 entries) has up to 40 MB


class OpenCatalog:
    """A catalog, the catalogs that it names, and where it is mounted: elsewhere than it says at a bind mountpoint."""

    def __init__(self, database: CatalogDatabase) -> None:
        self.database = database
        self.mountpoint = database.mountpoint
        self._nested = {reference.path: reference for reference in database.nested()}
        references = (*self._nested.values(), *database.bind_mountpoints())
        self._below = {reference.path: reference for reference in references}  # by the paths that the catalog uses

    def mounted_at(self, place: str) -> "OpenCatalog":
        """The same catalog, its paths beginning with *place*."""
        if place == self.mountpoint:
            return self
        moved = copy.copy(self)
        moved.mountpoint = place
        return moved

    def lookup(self, path: str, *, chunks: bool = True) -> Entry | None:
        """The row of *path*, None if this catalog has none."""
        return self.database.lookup(self._inner(path), chunks=chunks)

    def children(self, path: str) -> Iterator[Entry]:
        """The rows of a directory's content, in no promised order."""
        return self.database.children(self._inner(path))

    def rows(self, path: str) -> Iterator[Row]:
        """What :meth:`children` gives, by name and quicker, for walks."""
        return self.database.rows(self._inner(path))

    def chunks(self, path: str) -> tuple[Chunk, ...]:
        """The chunks of a file in order of offset."""
        return self.database.chunks(self._inner(path))

    def nested(self, path: str) -> NestedReference | None:
        """The nested catalog that begins at *path*, None if none does."""
        return self._nested.get(self._inner(path))

    def next_towards(self, path: str) -> tuple[str, NestedReference] | None:
        """The catalog that *path* or a directory above it begins, and where; None if *path* belongs to this one."""
        if not self._below:
            return None
        inner = self._inner(path)
        for above in (*paths.ancestors(inner), inner):
            if above in self._below:
                return self.mountpoint + above[len(self.database.mountpoint) :], self._below[above]
        return None

    def _inner(self, path: str) -> str:
        """*path* as the catalog calls it."""
        return self.database.mountpoint + path[len(self.mountpoint) :]


class CatalogCache:
    """The open catalogs of one repository, the least recently used ones closed. Thread-safe: one user at a time."""

    def __init__(self, store: ReadableStore, *, limit: int = MAX_OPEN) -> None:
        self._store = store
        self._limit = limit
        self._open: OrderedDict[Digest, OpenCatalog] = OrderedDict()
        self._lock = threading.RLock()

    @contextmanager
    def holding(self, root: Digest, path: str, *, inside: bool) -> Iterator[OpenCatalog]:
        """The catalog with the row of *path*; with *inside*, the one with the rows of its content.

        They differ for a mountpoint. The catalog may be used only within the block. Raises what fetching and opening a
        catalog raises.
        """
        with self._lock:
            catalog = self._get(NestedReference(paths.ROOT, root, 0))
            target = path if inside else paths.parent_of(path)
            while following := catalog.next_towards(target):
                place, reference = following
                if not paths.is_below(reference.path, catalog.database.mountpoint):
                    raise _malformed(f"it names a nested catalog at {reference.path!r}, which is not below it")
                catalog = self._get(reference).mounted_at(place)
            yield catalog

    def _get(self, reference: NestedReference) -> OpenCatalog:
        digest = reference.digest
        catalog = self._open.get(digest)
        if catalog is None:
            image = fetch(self._store, digest, Suffix.CATALOG, size=reference.size or None, limit=MAX_CATALOG_BYTES)
            catalog = OpenCatalog(CatalogDatabase.load(image))
            self._open[digest] = catalog
            if len(self._open) > self._limit:
                self._open.popitem(last=False)[1].database.close()
        self._open.move_to_end(digest)
        if not reference.is_bind and catalog.mountpoint != reference.path:
            raise _malformed(f"it is mounted at {catalog.mountpoint!r} instead of {reference.path!r}")
        return catalog

    def close(self) -> None:
        """Close them all; they are opened again when needed."""
        with self._lock:
            while self._open:
                self._open.popitem()[1].database.close()


def _malformed(why: str) -> MalformedData:
    return MalformedData("a catalog cannot be read", why, "run check")
