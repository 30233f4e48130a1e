"""Fetching content-addressed objects: nothing is handed out before its hash and its size were found right."""

from collections.abc import Iterable
from typing import IO

from fondaco.cvmfs.codec import Compression, decompress, inflate
from fondaco.cvmfs.digest import Digest, StreamHasher, Suffix, object_key
from fondaco.cvmfs.errors import LimitExceeded, MalformedData, VerificationFailed
from fondaco.cvmfs.stores.base import MAX_OBJECT_BYTES, ReadableStore

MAX_METADATA_BYTES = 1 << 31  # content of a catalog or tag database; larger ones are refused


def fetch(
    store: ReadableStore,
    digest: Digest,
    suffix: Suffix,
    *,
    size: int | None = None,
    limit: int = MAX_METADATA_BYTES,
    compression: Compression = Compression.ZLIB,
) -> bytes:
    """The content of an object that fits into memory: *size* bytes if that is known, else at most *limit*.

    ObjectMissing, VerificationFailed (hash), MalformedData (does not decompress, other size), LimitExceeded.
    """
    key = object_key(digest, suffix)
    # No compression makes data larger by more than a thousandth and a few bytes.
    most = MAX_OBJECT_BYTES if size is None else size + size // 512 + 1024
    try:
        stored = store.get(key, limit=most)
    except LimitExceeded as error:
        if size is None:
            raise
        raise _wrong_size(key, size, f"its stored form has more than {most} bytes") from error
    actual = Digest.of(stored, digest.algorithm)
    if actual != digest:
        raise _wrong_hash(key, actual)
    try:
        content = decompress(stored, limit=limit if size is None else size, compression=compression)
    except LimitExceeded as error:
        if size is None:
            raise
        raise _wrong_size(key, size, "it has more") from error
    if size is not None and len(content) != size:
        raise _wrong_size(key, size, f"it has {len(content)}")
    return content


def fetch_into(
    target: IO[bytes],
    blocks: Iterable[bytes],
    digest: Digest,
    *,
    what: str,
    size: int,
    compression: Compression = Compression.ZLIB,
) -> None:
    """Write the content of an object of any size to *target*, in bounded memory, and verify it; *what* names it.

    *blocks* is its stored form. What was written may be used only if this returns; errors as :func:`fetch`.
    """
    hasher = StreamHasher(digest.algorithm)
    written = 0
    try:
        for block in inflate(hasher.pass_through(blocks), limit=size, compression=compression):
            target.write(block)
            written += len(block)
    except LimitExceeded as error:
        raise _wrong_size(what, size, "it has more") from error
    if hasher.digest() != digest:
        raise _wrong_hash(what, hasher.digest())
    if written != size:
        raise _wrong_size(what, size, f"it has {written}")


def _wrong_hash(what: str, actual: Digest) -> VerificationFailed:
    return VerificationFailed(
        f"{what} is not trusted", f"its bytes have the hash {actual}", "fetch it again, or run check on the repository"
    )


def _wrong_size(what: str, expected: int, found: str) -> MalformedData:
    return MalformedData(
        f"{what} is not what the catalog describes", f"it should have {expected} bytes of content, {found}", "run check"
    )
