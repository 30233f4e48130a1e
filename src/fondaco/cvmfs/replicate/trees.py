"""Copying trees of catalogs: a catalog is put when everything below it is there.

So a catalog that the copy has already vouches for its whole subtree, and nothing below it is looked at again.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from fondaco.cvmfs import paths
from fondaco.cvmfs.catalog.database import MAX_CATALOG_BYTES, CatalogDatabase, NestedReference
from fondaco.cvmfs.catalog.references import named_objects
from fondaco.cvmfs.codec import decompress
from fondaco.cvmfs.digest import NULL_DIGEST_TEXT, Digest, Suffix
from fondaco.cvmfs.errors import CvmfsError
from fondaco.cvmfs.replicate.copier import Copier, Pending

CATALOGS_AHEAD = 16  # complete but for objects under way; their stored form is in memory, some 10 MB for large ones


@dataclass(frozen=True, slots=True)
class _Catalog:
    """A catalog on its way."""

    digest: Digest
    stored: bytes
    pending: Pending
    below: Iterator[NestedReference]


class TreeCopier:
    """Copies the trees of several revisions; call :meth:`finish` at the end."""

    def __init__(self, copier: Copier) -> None:
        self._copier = copier
        self._seen: set[Digest] = set()
        self._complete: deque[_Catalog] = deque()  # children before their parents
        self.catalogs = 0  # put
        self.previous: dict[Digest, Digest | None] = {}  # root catalog that was copied → the one before it

    def copy(self, root: Digest) -> bool:
        """Copy the tree below a root catalog; False when the copy has it already.

        ObjectMissing and the like when the source does not have it or anything below it.
        """
        top = self._open(NestedReference(paths.ROOT, root, 0))
        if top is None:
            return False
        way = [top]
        try:
            while way:
                self._step(way)
        except CvmfsError:
            self._seen.difference_update(catalog.digest for catalog in way)  # they will never be complete
            raise
        return True

    def _step(self, way: list[_Catalog]) -> None:
        """One catalog further down, or up again."""
        child = next(way[-1].below, None)
        if child is None:
            self._complete.append(way.pop())
            if len(self._complete) > CATALOGS_AHEAD:
                self._put(self._complete.popleft())
            return
        catalog = self._open(child)
        if catalog is not None:
            way.append(catalog)

    def finish(self) -> None:
        """Return when everything asked for is there."""
        while self._complete:
            self._put(self._complete.popleft())

    def _open(self, reference: NestedReference) -> _Catalog | None:
        """Fetch a catalog and ask for its objects; None when it is there or on its way."""
        digest = reference.digest
        if digest in self._seen or self._copier.holds(digest, Suffix.CATALOG):
            return None
        stored = self._copier.fetch(digest, Suffix.CATALOG)
        image = decompress(stored, limit=MAX_CATALOG_BYTES)
        catalog = CatalogDatabase.load(image, expected_mountpoint=reference.path)
        try:
            if reference.path == paths.ROOT:
                self.previous[digest] = _previous(catalog)
            pending = Pending()
            named = {(found.digest, found.suffix): found.size for found in named_objects(catalog)}
            for (content, suffix), size in named.items():
                self._copier.want(content, suffix, size, pending)
            self._seen.add(digest)
            return _Catalog(digest, stored, pending, iter(catalog.nested()))
        finally:
            catalog.close()

    def _put(self, catalog: _Catalog) -> None:
        catalog.pending.wait()
        self._copier.raise_failure()
        self._copier.put(catalog.digest, Suffix.CATALOG, catalog.stored)
        self.catalogs += 1


def _previous(catalog: CatalogDatabase) -> Digest | None:
    text = catalog.properties().get("previous_revision", NULL_DIGEST_TEXT)
    return None if text.startswith(NULL_DIGEST_TEXT) else Digest.parse(text)
