"""Finding what the kept revisions need: every catalog of theirs is read, each once."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from fondaco.cvmfs import paths
from fondaco.cvmfs.catalog.database import MAX_CATALOG_BYTES, CatalogDatabase, NestedReference
from fondaco.cvmfs.catalog.references import named_objects
from fondaco.cvmfs.digest import Digest, Suffix
from fondaco.cvmfs.gc.names import NameSet, pack
from fondaco.cvmfs.objects import fetch
from fondaco.cvmfs.ordered import in_order
from fondaco.cvmfs.stores.base import ReadableStore

THREADS = 4  # that fetch and unpack catalogs ahead; as many may be in memory, some 40 MB each at the recommended size


def mark(
    store: ReadableStore,
    roots: Iterable[Digest],
    needed: NameSet,
    *,
    progress: Callable[[int], None] | None = None,
    threads: int = THREADS,
) -> int:
    """Add to *needed* the names of all objects of the trees below *roots*; how many catalogs they have.

    Any catalog that is missing, damaged or cannot be read raises, as :func:`fondaco.cvmfs.objects.fetch` does: what it
    names is not known then, and nothing may be removed.
    """
    seen: set[Digest] = set()

    def new(references: Iterable[NestedReference]) -> list[NestedReference]:
        found = []
        for reference in references:
            if reference.digest not in seen:
                seen.add(reference.digest)
                found.append(reference)
        return found

    level = new(NestedReference(paths.ROOT, root, 0) for root in roots)
    with ThreadPoolExecutor(threads, thread_name_prefix="mark") as pool:
        while level:
            images = in_order(lambda wanted: pool.submit(_image, store, wanted.digest), level, ahead=threads)
            below = []
            for reference, image in zip(level, images, strict=True):
                needed.add(pack(reference.digest, Suffix.CATALOG))
                below += new(_read(image, reference.path, needed))
                if progress is not None:
                    progress(1)
            level = below
    return len(seen)


def _image(store: ReadableStore, digest: Digest) -> bytes:
    return fetch(store, digest, Suffix.CATALOG, limit=MAX_CATALOG_BYTES)


def _read(image: bytes, mountpoint: str, needed: NameSet) -> list[NestedReference]:
    catalog = CatalogDatabase.load(image, expected_mountpoint=mountpoint)
    try:
        for named in named_objects(catalog):
            needed.add(pack(named.digest, named.suffix))
        return catalog.nested()
    finally:
        catalog.close()
