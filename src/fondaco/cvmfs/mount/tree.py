"""One revision as the mount reads it: rows by path, out of catalogs that are open already.

Nothing here waits: where a catalog is needed that is not open, CatalogNeeded says which, the caller loads it in
another thread (:func:`load`), adds it and asks again. So the thread that serves the kernel never waits for a server.
"""

from collections import OrderedDict
from dataclasses import dataclass

from fondaco.cvmfs import paths
from fondaco.cvmfs.catalog.database import MAX_CATALOG_BYTES, CatalogDatabase
from fondaco.cvmfs.catalog.opened import MAX_OPEN, OpenCatalog
from fondaco.cvmfs.digest import Digest, Suffix
from fondaco.cvmfs.entry import BIND_MOUNTPOINT, HIDDEN, Entry
from fondaco.cvmfs.errors import MalformedData
from fondaco.cvmfs.manifest import DEFAULT_TTL
from fondaco.cvmfs.objects import fetch
from fondaco.cvmfs.stores.base import ReadableStore


@dataclass(frozen=True, slots=True)
class Reference:
    """A catalog as its parent, or the manifest, names it."""

    digest: Digest
    mountpoint: str
    size: int  # bytes of the uncompressed database, 0 when not recorded


class CatalogNeeded(Exception):  # not an error: the caller loads it and asks again
    """A catalog that is not open yet."""

    def __init__(self, reference: Reference) -> None:
        super().__init__(str(reference.digest))
        self.reference = reference


def load(store: ReadableStore, reference: Reference) -> OpenCatalog:
    """Fetch, verify and open a catalog; raises what fetching and opening one raises."""
    size = reference.size or None
    image = fetch(store, reference.digest, Suffix.CATALOG, size=size, limit=MAX_CATALOG_BYTES)
    return OpenCatalog(CatalogDatabase.load(image, expected_mountpoint=reference.mountpoint))


class Catalogs:
    """Open catalogs, shared by the revisions of one mount; the least recently used are closed. Used by one thread."""

    def __init__(self, *, limit: int = MAX_OPEN) -> None:
        self._limit = limit
        self._open: OrderedDict[Digest, OpenCatalog] = OrderedDict()

    def __len__(self) -> int:
        return len(self._open)

    def get(self, reference: Reference) -> OpenCatalog:
        """The open catalog, or CatalogNeeded."""
        catalog = self._open.get(reference.digest)
        if catalog is None:
            raise CatalogNeeded(reference)
        self._open.move_to_end(reference.digest)
        return catalog

    def add(self, reference: Reference, catalog: OpenCatalog) -> None:
        """Take in what :func:`load` gave."""
        previous = self._open.get(reference.digest)
        if previous is not None:
            previous.database.close()
        self._open[reference.digest] = catalog
        while len(self._open) > self._limit:
            self._open.popitem(last=False)[1].database.close()

    def close(self) -> None:
        """Close them all."""
        while self._open:
            self._open.popitem()[1].database.close()


@dataclass(frozen=True, slots=True)
class Place:
    """A catalog that is open, and how it is named."""

    reference: Reference
    catalog: OpenCatalog


class Tree:
    """The rows of one revision. Every method may raise CatalogNeeded, and MalformedData for a damaged catalog."""

    def __init__(self, catalogs: Catalogs, root: Digest, size: int = 0) -> None:
        self.root = root
        self.catalogs = catalogs
        self._root = Reference(root, paths.ROOT, size)

    def place(self, path: str, *, inside: bool) -> Place:
        """The catalog with the row of *path*; with *inside*, the one with the rows of its content."""
        reference = self._root
        catalog = self.catalogs.get(reference)
        target = path if inside else paths.parent_of(path)
        while following := catalog.next_towards(target):
            _, nested = following
            if nested.is_bind:
                raise _bound(nested.path)
            if not paths.is_below(nested.path, reference.mountpoint):
                raise MalformedData(
                    "a catalog cannot be read", f"it names a nested catalog at {nested.path!r}", "run check"
                )
            reference = Reference(nested.digest, nested.path, nested.size)
            catalog = self.catalogs.get(reference)
        return Place(reference, catalog)

    def lookup(self, path: str) -> tuple[Entry, str] | None:
        """The row of *path* with its chunks and the mountpoint of its catalog, None where nothing is."""
        place = self.place(path, inside=False)
        entry = place.catalog.database.lookup(path)
        return None if entry is None else (entry, place.reference.mountpoint)

    def root_row(self) -> tuple[Entry, str]:
        """The row of the root directory."""
        found = self.lookup(paths.ROOT)
        if found is None:
            raise MalformedData("the root catalog cannot be read", "it has no row for the root", "run check")
        return found

    def children(self, folder: str, entry: Entry) -> tuple[list[Entry], str]:
        """The rows of a directory's content but hidden ones, with chunks, and the mountpoint of their catalog."""
        if entry.flags & BIND_MOUNTPOINT:
            raise _bound(folder)
        place = self.place(folder, inside=True)
        rows = [row for row in place.catalog.database.children(folder, chunks=True) if not row.flags & HIDDEN]
        return rows, place.reference.mountpoint

    def properties(self) -> dict[str, str]:
        """The properties of the root catalog."""
        return self.catalogs.get(self._root).database.properties()

    def revision(self) -> int:
        """The number of the revision, as the root catalog says: 0 when it says nothing."""
        return _number(self.properties().get("revision"), 0)

    def ttl(self) -> int:
        """Seconds after which a newer revision is looked for."""
        return _number(self.properties().get("TTL"), DEFAULT_TTL)


def _bound(folder: str) -> MalformedData:
    return MalformedData(
        f"{folder} cannot be looked into",
        "it shows a directory of another revision, which this mount does not",
        "mount that revision by its tag",
    )


def _number(text: str | None, default: int) -> int:
    return int(text) if text is not None and text.isascii() and text.isdigit() else default
