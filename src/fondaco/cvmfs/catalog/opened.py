"""Catalogs kept open for reading: fetched when they are needed, verified, and a bounded number of them."""

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

from fondaco.cvmfs import paths
from fondaco.cvmfs.catalog.database import MAX_CATALOG_BYTES, CatalogDatabase, NestedReference
from fondaco.cvmfs.digest import Digest, Suffix
from fondaco.cvmfs.errors import MalformedData
from fondaco.cvmfs.objects import fetch
from fondaco.cvmfs.stores.base import ReadableStore

MAX_OPEN = 64  # catalogs; one of the recommended size (up to 200,000 entries) has up to 40 MB


class OpenCatalog:
    """A catalog and the nested catalogs that it names."""

    def __init__(self, database: CatalogDatabase) -> None:
        self.database = database
        self.nested = {reference.path: reference for reference in database.nested()}

    def next_towards(self, path: str) -> NestedReference | None:
        """The nested catalog that *path* or a directory above it begins, None if *path* belongs to this catalog."""
        if not self.nested:
            return None
        for above in (*paths.ancestors(path), path):
            if above in self.nested:
                return self.nested[above]
        return None


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
            catalog = self._get(root, paths.ROOT, 0)
            target = path if inside else paths.parent_of(path)
            while reference := catalog.next_towards(target):
                if not paths.is_below(reference.path, catalog.database.mountpoint):
                    raise _loop(reference.path)
                catalog = self._get(reference.digest, reference.path, reference.size)
            yield catalog

    def _get(self, digest: Digest, mountpoint: str, size: int) -> OpenCatalog:
        catalog = self._open.get(digest)
        if catalog is None:
            image = fetch(self._store, digest, Suffix.CATALOG, size=size or None, limit=MAX_CATALOG_BYTES)
            catalog = OpenCatalog(CatalogDatabase.load(image, expected_mountpoint=mountpoint))
            self._open[digest] = catalog
            if len(self._open) > self._limit:
                self._open.popitem(last=False)[1].database.close()
        self._open.move_to_end(digest)
        return catalog

    def close(self) -> None:
        """Close them all; they are opened again when needed."""
        with self._lock:
            while self._open:
                self._open.popitem()[1].database.close()


def _loop(path: str) -> MalformedData:
    return MalformedData(
        "a catalog cannot be read", f"it names a nested catalog at {path!r}, which is not below it", "run check"
    )
