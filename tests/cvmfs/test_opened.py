import zlib

import pytest

from fondaco.cvmfs.catalog.database import CatalogDatabase, NestedReference
from fondaco.cvmfs.catalog.opened import CatalogCache
from fondaco.cvmfs.catalog.writable import WritableCatalog
from fondaco.cvmfs.digest import Digest, Suffix, object_key
from fondaco.cvmfs.entry import directory
from fondaco.cvmfs.errors import MalformedData, ObjectMissing
from fondaco.cvmfs.paths import name_of
from tests.cvmfs.stores.memory import MemoryStore


def stored_catalog(store: MemoryStore, mountpoint: str, *nested: NestedReference) -> NestedReference:
    catalog = WritableCatalog.new(mountpoint, directory(name_of(mountpoint)))
    for reference in nested:
        catalog.refer(reference)
    image = catalog.seal(revision=1, now=1, ttl=240)
    digest = store.add(zlib.compress(image), Digest.of(zlib.compress(image)), Suffix.CATALOG)
    return NestedReference(mountpoint, digest, len(image))


def mountpoint_of(cache: CatalogCache, root: Digest, path: str, *, inside: bool) -> str:
    with cache.holding(root, path, inside=inside) as catalog:
        return catalog.database.mountpoint


def test_a_mountpoint_belongs_to_both_catalogs() -> None:
    store = MemoryStore()
    deep = stored_catalog(store, "/a/b/c")
    root = stored_catalog(store, "", stored_catalog(store, "/a/b", deep))
    cache = CatalogCache(store)
    expected = {
        ("", False): "",
        ("", True): "",
        ("/a", True): "",
        ("/a/b", False): "",
        ("/a/b", True): "/a/b",
        ("/a/bc/d", True): "",
        ("/a/b/x", False): "/a/b",
        ("/a/b/c", False): "/a/b",
        ("/a/b/c", True): "/a/b/c",
        ("/a/b/c/d/e", False): "/a/b/c",
    }
    assert {key: mountpoint_of(cache, root.digest, key[0], inside=key[1]) for key in expected} == expected


def test_a_bounded_number_of_catalogs_stays_open_and_each_is_fetched_once() -> None:
    store = MemoryStore()
    nested = [stored_catalog(store, f"/{number}") for number in range(4)]
    root = stored_catalog(store, "", *nested)
    cache = CatalogCache(store, limit=3)
    for number in (0, 1, 0, 1):
        mountpoint_of(cache, root.digest, f"/{number}", inside=True)
    assert len(store.asked) == 3
    mountpoint_of(cache, root.digest, "/2", inside=True)  # closes the one not used for longest: /0
    mountpoint_of(cache, root.digest, "/1", inside=True)
    assert len(store.asked) == 4
    mountpoint_of(cache, root.digest, "/0", inside=True)
    assert len(store.asked) == 5
    cache.close()
    assert mountpoint_of(cache, root.digest, "/0", inside=True) == "/0"


def test_a_catalog_mounted_elsewhere_than_it_says_is_refused() -> None:
    store = MemoryStore()
    moved = stored_catalog(store, "/a")
    root = stored_catalog(store, "", NestedReference("/b", moved.digest, moved.size))
    with pytest.raises(MalformedData, match="mounted at '/a' instead of '/b'"):
        mountpoint_of(CatalogCache(store), root.digest, "/b", inside=True)


def test_a_catalog_of_another_size_than_recorded_is_refused() -> None:
    store = MemoryStore()
    nested = stored_catalog(store, "/a")
    root = stored_catalog(store, "", NestedReference("/a", nested.digest, nested.size + 1))
    with pytest.raises(MalformedData, match=f"should have {nested.size + 1} bytes"):
        mountpoint_of(CatalogCache(store), root.digest, "/a", inside=True)


def test_a_nested_catalog_that_is_not_below_its_parent_does_not_lead_in_circles() -> None:
    store = MemoryStore()
    elsewhere = NestedReference("/x", Digest.of(b"never fetched"), 0)
    root = stored_catalog(store, "", stored_catalog(store, "/a", NestedReference("/a", elsewhere.digest, 0)))
    with pytest.raises(MalformedData, match="not below it"):
        mountpoint_of(CatalogCache(store), root.digest, "/a/b", inside=True)


def test_a_missing_nested_catalog_hides_only_its_own_part() -> None:
    store = MemoryStore()
    lost = stored_catalog(store, "/lost")
    root = stored_catalog(store, "", lost, stored_catalog(store, "/kept"))
    del store.files[object_key(lost.digest, Suffix.CATALOG)]
    cache = CatalogCache(store)
    with pytest.raises(ObjectMissing):
        mountpoint_of(cache, root.digest, "/lost", inside=True)
    assert mountpoint_of(cache, root.digest, "/kept/x", inside=False) == "/kept"


def test_catalogs_of_older_schema_revisions_are_read() -> None:
    catalog = WritableCatalog.new("", directory("", mtime_ns=1_000_000_005))
    catalog.seal(revision=1, now=1, ttl=240)
    for column in ("mtimens", "xattr"):
        catalog.connection.execute(f"ALTER TABLE catalog DROP COLUMN {column}")
    catalog.connection.execute("COMMIT")
    root = CatalogDatabase.load(catalog.connection.serialize()).lookup("")
    assert root is not None
    assert (root.mtime_ns, root.xattrs, root.is_dir) == (1_000_000_000, None, True)
