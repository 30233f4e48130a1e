"""Going through whole trees in bounded memory: catalog by catalog, directory by directory.

What lists, searches, measures and compares trees stands on this. Open at any time are only the catalogs between the
root and the place where the walk is; the rows of a directory come straight out of its catalog's index.
"""

from collections.abc import Iterator
from types import TracebackType
from typing import Self

from fondaco.cvmfs import paths
from fondaco.cvmfs.catalog.database import MAX_CATALOG_BYTES, CatalogDatabase, NestedReference
from fondaco.cvmfs.catalog.opened import OpenCatalog
from fondaco.cvmfs.catalog.row import Row
from fondaco.cvmfs.digest import Digest, Suffix
from fondaco.cvmfs.entry import DIR, HIDDEN
from fondaco.cvmfs.errors import MalformedData, NotInRepository
from fondaco.cvmfs.objects import fetch
from fondaco.cvmfs.stores.base import ReadableStore

FoundRow = tuple[str, Row]  # path, row


class CatalogChain:
    """The catalogs from the root to one directory: opened on the way down, closed when the walk has left them."""

    def __init__(self, store: ReadableStore, root: Digest) -> None:
        self.opened = 0  # catalogs, so far
        self._store = store
        self._chain = [self._open(NestedReference(paths.ROOT, root, 0))]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._chain:
            self._chain.pop().database.close()

    def enter(self, path: str) -> OpenCatalog:
        """The catalog with the content of the directory *path*. The ones returned before may be closed by this."""
        while not _covers(self._chain[-1].mountpoint, path):
            self._chain.pop().database.close()
        while following := self._chain[-1].next_towards(path):
            place, reference = following
            if not paths.is_below(reference.path, self._chain[-1].database.mountpoint):
                raise _malformed(f"it names a nested catalog at {reference.path!r}, which is not below it")
            self._chain.append(self._open(reference).mounted_at(place))
        return self._chain[-1]

    def nested(self, path: str) -> NestedReference | None:
        """The nested catalog that begins at *path*, whose parent was entered last; None if none does."""
        return self._chain[-1].nested(path)

    def lookup(self, path: str) -> Row:
        """The row of *path*; NotInRepository when there is none."""
        entry = self.enter(paths.parent_of(path)).lookup(path, chunks=False)
        if entry is None:
            raise NotInRepository(f"there is no {path or '/'!r}", "", "list its parent directory")
        return Row.of(entry)

    def _open(self, reference: NestedReference) -> OpenCatalog:
        size = reference.size or None
        image = fetch(self._store, reference.digest, Suffix.CATALOG, size=size, limit=MAX_CATALOG_BYTES)
        self.opened += 1
        mountpoint = None if reference.is_bind else reference.path
        return OpenCatalog(CatalogDatabase.load(image, expected_mountpoint=mountpoint))


def walk_directories(chain: CatalogChain, top: str = paths.ROOT) -> Iterator[tuple[str, Iterator[Row]]]:
    """Each directory from *top* down, before the ones in it, as its path and its rows by name, but hidden ones.

    Rows not taken until the next directory is asked for are passed over. *top* must be a directory.
    """
    waiting = [top]
    while waiting:
        path = waiting.pop()
        below: list[str] = []
        listed = (row for row in chain.enter(path).rows(path) if not row.flags & HIDDEN)
        rows = noting_directories(listed, path, below)
        yield path, rows
        for _ in rows:
            pass
        below.reverse()
        waiting += below


def walk_rows(chain: CatalogChain, top: str = paths.ROOT) -> Iterator[FoundRow]:
    """*top* and all below it as (path, row), directory by directory."""
    first = chain.lookup(top)
    yield top, first
    if first.is_dir:
        for path, rows in walk_directories(chain, top):
            for row in rows:
                yield f"{path}/{row.name}", row


def noting_directories(rows: Iterator[Row], path: str, below: list[str]) -> Iterator[Row]:
    """*rows* of the directory *path* as they are; the paths of directories among them are added to *below*."""
    for row in rows:
        if row.flags & DIR:
            check_directory_name(row.name)
            below.append(f"{path}/{row.name}")
        yield row


def check_directory_name(name: str) -> None:
    """MalformedData for a name that would lead a walk astray: two ways to one path, or none further down."""
    fault = paths.name_fault(name)
    if fault:
        raise _malformed(f"it has a directory {name[:80]!r}: {fault}")


def _covers(mountpoint: str, path: str) -> bool:
    return path == mountpoint or paths.is_below(path, mountpoint)


def _malformed(why: str) -> MalformedData:
    return MalformedData("a catalog cannot be read", why, "run check; publish again from an intact revision")
