"""What the content of a file is made of, and how each part gets into the cache: fetched, verified, unpacked."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import IO

from fondaco.cvmfs.codec import Compression
from fondaco.cvmfs.digest import Digest, Suffix, object_key
from fondaco.cvmfs.entry import Entry
from fondaco.cvmfs.mount.nodes import key_of
from fondaco.cvmfs.objects import fetch, fetch_into
from fondaco.cvmfs.reading import algorithm_of, check_chunks, compression_of, digest_of, open_content
from fondaco.cvmfs.stores.base import ReadableStore

WHOLE_BYTES = 32 << 20  # up to here an object is unpacked in memory; above, block by block
COPY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes of a file that are fetched together: all of them, or one chunk."""

    offset: int  # bytes, in the file
    size: int  # bytes
    key: str  # in the cache
    fill: Callable[[IO[bytes]], None]  # writes them once they are verified, or raises; waits for the network


def parts_of(path: str, entry: Entry, store: ReadableStore, external: ReadableStore | None) -> tuple[Part, ...]:
    """The parts of a regular file in order, none for an empty one; MalformedData for a row that cannot be read."""
    if entry.size == 0 and not entry.is_chunked:
        return ()
    if entry.is_external:
        return (_external(path, entry, store, external),)
    if not entry.is_chunked:
        return (_object(path, entry, store, digest_of(path, entry), Suffix.FILE, 0, entry.size),)
    check_chunks(path, entry)
    algorithm = algorithm_of(path, entry)
    return tuple(
        _object(path, entry, store, Digest(chunk.digest, algorithm), Suffix.CHUNK, chunk.offset, chunk.size)
        for chunk in entry.chunks
    )


def cache_key(digest: Digest, suffix: Suffix, compression: Compression) -> str:
    """The name of unpacked content in the cache."""
    return f"{digest}{suffix.value}{'' if compression is Compression.ZLIB else f'-{compression.name.lower()}'}"


def _object(  # the fields of a part and where it comes from
    path: str, entry: Entry, store: ReadableStore, digest: Digest, suffix: Suffix, offset: int, size: int
) -> Part:
    compression = compression_of(path, entry)

    def fill(target: IO[bytes]) -> None:
        if size <= WHOLE_BYTES:
            target.write(fetch(store, digest, suffix, size=size, compression=compression))
            return
        key = object_key(digest, suffix)
        fetch_into(target, store.stream(key), digest, what=key, size=size, compression=compression)

    return Part(offset, size, cache_key(digest, suffix, compression), fill)


def _external(path: str, entry: Entry, store: ReadableStore, external: ReadableStore | None) -> Part:
    """All of an external file at once; its hash, or those of its chunks, are verified on the way."""

    def fill(target: IO[bytes]) -> None:
        with open_content(path, entry, store, external) as content:
            while block := content.read(COPY_BYTES):
                target.write(block)

    return Part(0, entry.size, key_of(path, entry, "").hex() + "-external", fill)
