import io
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fondaco.cvmfs.codec import Compression, Plain, Zlib
from fondaco.cvmfs.digest import Algorithm, Digest, Suffix
from fondaco.cvmfs.errors import LimitExceeded, MalformedData, ObjectMissing, VerificationFailed
from fondaco.cvmfs.objects import StreamHasher, fetch, fetch_into
from tests.cvmfs.stores.memory import MemoryStore

CODECS = {Compression.ZLIB: Zlib(), Compression.NONE: Plain()}


@given(st.lists(st.binary(max_size=50), max_size=5), st.sampled_from(Algorithm))
def test_a_hash_piece_by_piece_is_the_hash_of_the_whole(blocks: list[bytes], algorithm: Algorithm) -> None:
    hasher = StreamHasher(algorithm)
    assert list(hasher.pass_through(blocks)) == blocks
    assert hasher.digest() == Digest.of(b"".join(blocks), algorithm)


@given(st.binary(max_size=5000), st.sampled_from(Compression), st.sampled_from(Algorithm))
def test_what_was_stored_is_fetched(content: bytes, compression: Compression, algorithm: Algorithm) -> None:
    store = MemoryStore()
    stored = CODECS[compression].compress(content)
    digest = store.add(stored, Digest.of(stored, algorithm))
    size = len(content)
    assert fetch(store, digest, Suffix.FILE, compression=compression) == content
    assert fetch(store, digest, Suffix.FILE, size=size, compression=compression) == content
    target = io.BytesIO()
    blocks = [stored[:7], stored[7:]]
    fetch_into(target, blocks, digest, what="it", size=size, compression=compression)
    assert target.getvalue() == content


@pytest.mark.parametrize("size", [3, 5])
def test_another_size_than_the_catalogs_is_malformed(size: int) -> None:
    store = MemoryStore()
    stored = zlib.compress(b"four")
    digest = store.add(stored)
    with pytest.raises(MalformedData, match=f"should have {size} bytes"):
        fetch(store, digest, Suffix.FILE, size=size)
    with pytest.raises(MalformedData, match=f"should have {size} bytes"):
        fetch_into(io.BytesIO(), [stored], digest, what="it", size=size)


def test_another_content_than_the_hash_says_is_not_trusted() -> None:
    store = MemoryStore()
    digest = store.add(zlib.compress(b"false"), Digest.of(zlib.compress(b"true")))
    with pytest.raises(VerificationFailed, match="bytes have the hash"):
        fetch(store, digest, Suffix.FILE)
    with pytest.raises(VerificationFailed, match="it is not trusted"):
        fetch_into(io.BytesIO(), [zlib.compress(b"false")], digest, what="it", size=5)


def test_a_bomb_is_not_inflated() -> None:
    store = MemoryStore()
    bomb = zlib.compress(bytes(10_000_000))
    digest = store.add(bomb)
    with pytest.raises(MalformedData, match="should have 10 bytes"):
        fetch(store, digest, Suffix.FILE, size=10)
    with pytest.raises(LimitExceeded):
        fetch(store, digest, Suffix.FILE, limit=1_000_000)
    target = io.BytesIO()
    with pytest.raises(MalformedData, match="should have 10 bytes"):
        fetch_into(target, [bomb], digest, what="it", size=10)
    assert len(target.getvalue()) <= 10


def test_a_missing_object_is_missing() -> None:
    with pytest.raises(ObjectMissing):
        fetch(MemoryStore(), Digest.of(b""), Suffix.CHUNK)
