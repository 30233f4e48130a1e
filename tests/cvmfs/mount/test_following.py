"""Which revision a mount shows."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fondaco.cvmfs import keys
from fondaco.cvmfs.digest import Digest
from fondaco.cvmfs.errors import ObjectMissing, StoreFailed, VerificationFailed
from fondaco.cvmfs.manifest import Manifest
from fondaco.cvmfs.mount.cache import DiskCache
from fondaco.cvmfs.mount.following import MAX_TTL, MIN_TTL, Following, Verdict, judge, pause
from fondaco.cvmfs.mount.stored import CachingStore, metadata_digest
from fondaco.cvmfs.publisher import Publisher
from fondaco.cvmfs.stores.base import MANIFEST
from fondaco.cvmfs.stores.local import LocalStore
from tests.cvmfs.stores.memory import MemoryStore

BASE = Manifest(root_catalog=Digest(b"\1" * 20), revision=5, fqrn="a.example.org", certificate=Digest(b"\2" * 20))


@given(st.integers(0, 9), st.integers(0, 9), st.integers(1, 9), st.integers(1, 9))
def test_only_a_greater_revision_that_is_not_older_is_taken(mine: int, theirs: int, then: int, now: int) -> None:
    verdict = judge(replace(BASE, revision=mine, published_at=then), replace(BASE, revision=theirs, published_at=now))
    assert (verdict is Verdict.NEWER) == (theirs > mine and now >= then)
    assert (verdict is Verdict.OLDER) == (theirs < mine or now < then)


def test_another_catalog_under_the_same_revision_changes_nothing() -> None:
    assert judge(BASE, replace(BASE, root_catalog=Digest(b"\3" * 20))) is Verdict.SAME


@given(st.integers(0, 1 << 32), st.integers(0, 1000))
def test_the_pause_is_bounded_and_grows_with_failures(ttl: int, failures: int) -> None:
    assert MIN_TTL <= pause(ttl, failures) <= pause(ttl, 0) <= MAX_TTL
    assert pause(ttl, failures + 1) >= pause(ttl, failures) or failures == 0


@pytest.mark.parametrize("key", ["data/ab/" + "c" * 38, ".cvmfspublished", "data/ab/xC", "data/ab/" + "c" * 38 + "P"])
def test_only_metadata_is_kept_as_it_is_stored(key: str) -> None:
    assert metadata_digest(key) is None


def test_kept_metadata_is_looked_at_each_time(tmp_path: Path) -> None:
    store, cache = MemoryStore(), DiskCache(tmp_path)
    key = f"data/{(text := str(Digest.of(b'catalog')))[:2]}/{text[2:]}C"
    store.files[key] = b"catalog"
    caching = CachingStore(store, cache)
    assert caching.get(key) == caching.get(key) == b"catalog"
    assert store.asked == [key]
    cache.write(f"{text}C-stored", b"changed by the disk")
    assert caching.get(key) == b"catalog"
    assert store.asked == [key, key]
    store.files[key] = b"another"
    cache.remove(f"{text}C-stored")
    assert caching.get(key) == b"another"  # whoever asked refuses it
    assert cache.read(f"{text}C-stored") is None


def test_a_manifest_that_nobody_vouches_for_is_not_kept(tmp_path: Path) -> None:
    fqrn = "test.example.org"
    for name in ("mine", "other"):
        keys.generate(tmp_path / name, fqrn)
    signer = keys.KeyFileSigner(tmp_path / "mine", fqrn)
    other = keys.KeyFileSigner(tmp_path / "other", fqrn)
    store = LocalStore.create(tmp_path / "repository")
    Publisher(store=store, fqrn=fqrn, signer=signer, public_keys=(signer.public_key,)).create(signer)
    memory = tmp_path / "memory"
    with pytest.raises(VerificationFailed):
        Following(store, (other.public_key,), memory).begin()
    assert not memory.exists()
    manifest, why = Following(store, (signer.public_key,), memory).begin()
    assert (manifest.revision, why) == (1, "")
    store.delete(MANIFEST)
    again, why = Following(store, (signer.public_key,), memory).begin()
    assert again == manifest
    assert MANIFEST in why
    with pytest.raises((ObjectMissing, StoreFailed)):
        Following(store, (signer.public_key,), tmp_path / "elsewhere").begin()
