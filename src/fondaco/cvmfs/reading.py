"""The content of one file as a seekable stream; each stored object is verified before a byte of it is given out."""

import bisect
import io
import tempfile
from collections.abc import Callable, Iterator
from typing import IO, TYPE_CHECKING

from fondaco.cvmfs.codec import Compression
from fondaco.cvmfs.digest import DIGEST_BYTES, Algorithm, Digest, Suffix, object_key
from fondaco.cvmfs.entry import Chunk, Entry
from fondaco.cvmfs.errors import MalformedData, ObjectMissing, StoreFailed
from fondaco.cvmfs.objects import fetch, fetch_into
from fondaco.cvmfs.stores.base import ReadableStore

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

SPOOL_BYTES = 32 << 20  # content of an unchunked file above this goes through a temporary file instead of memory
BUFFER_BYTES = 128 << 10


def open_content(path: str, entry: Entry, store: ReadableStore, external: ReadableStore | None) -> io.BufferedReader:
    """The content of the regular file *entry* at *path*; *external* holds files that are not in the repository's store.

    MalformedData when the row does not describe a file that can be read.
    """
    source: io.RawIOBase
    if entry.is_external:
        source = _Spooled(entry.size, lambda target: _fetch_external(target, path, entry, external))
    elif entry.is_chunked:
        source = _Chunked(path, entry, store)
    else:
        source = _Spooled(entry.size, lambda target: _fetch_whole(target, path, entry, store))
    return io.BufferedReader(source, BUFFER_BYTES)


class _Content(io.RawIOBase):
    """A read-only stream of known size; subclasses give a part of it."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._position = 0

    def _part(self, position: int, most: int) -> memoryview:
        """At least one and at most *most* bytes from *position* on, which is before the end."""
        raise NotImplementedError

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError("negative seek position")  # as every file object
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        target = memoryview(buffer).cast("B")
        most = min(len(target), self._size - self._position)
        if most <= 0:
            return 0
        part = self._part(self._position, most)
        target[: len(part)] = part
        self._position += len(part)
        return len(part)


class _Chunked(_Content):
    """Only the chunks that are touched are fetched, and one is kept."""

    def __init__(self, path: str, entry: Entry, store: ReadableStore) -> None:
        super().__init__(entry.size)
        check_chunks(path, entry)
        self._chunks = entry.chunks
        self._starts = [chunk.offset for chunk in entry.chunks]
        self._how = algorithm_of(path, entry), compression_of(path, entry)
        self._store = store
        self._kept: tuple[int, memoryview] = -1, memoryview(b"")

    def _part(self, position: int, most: int) -> memoryview:
        number = bisect.bisect_right(self._starts, position) - 1
        if self._kept[0] != number:
            self._kept = number, memoryview(self._fetch(self._chunks[number]))
        start = position - self._starts[number]
        return self._kept[1][start : start + most]

    def _fetch(self, chunk: Chunk) -> bytes:
        algorithm, compression = self._how
        digest = Digest(chunk.digest, algorithm)
        return fetch(self._store, digest, Suffix.CHUNK, size=chunk.size, compression=compression)


class _Spooled(_Content):
    """All of the content is fetched and verified on the first read: a hash says nothing about a part."""

    def __init__(self, size: int, fill: Callable[[IO[bytes]], None]) -> None:
        super().__init__(size)
        self._fill = fill
        self._spool: IO[bytes] | None = None

    def _part(self, position: int, most: int) -> memoryview:
        if self._spool is None:
            self._spool = self._filled()
        self._spool.seek(position)
        return memoryview(self._spool.read(most))

    def _filled(self) -> IO[bytes]:
        spool: IO[bytes] = tempfile.SpooledTemporaryFile(SPOOL_BYTES)  # noqa: SIM115  # closed with this stream
        try:
            self._fill(spool)
        except OSError as error:
            spool.close()
            raise StoreFailed(
                "a file cannot be kept for reading",
                f"{tempfile.gettempdir()}: {error.strerror or error}",
                "free some space, or set TMPDIR to a larger place",
            ) from error
        except BaseException:
            spool.close()
            raise
        return spool

    def close(self) -> None:
        if self._spool is not None:
            self._spool.close()
        super().close()


def check_chunks(path: str, entry: Entry) -> None:
    """MalformedData unless the chunks of *entry* make up the whole file: clients give out wrong bytes otherwise."""
    fault = chunk_fault(entry)
    if fault:
        raise _malformed(path, fault)


def chunk_fault(entry: Entry) -> str | None:
    """What is wrong with the chunks of a chunked file, None if they make up the whole file."""
    position = 0
    for chunk in entry.chunks:
        if chunk.offset != position:
            relation = "missing" if chunk.offset > position else "stored twice"
            return f"the bytes from {min(position, chunk.offset)} to {max(position, chunk.offset)} are {relation}"
        if chunk.size <= 0:
            return f"the chunk at {chunk.offset} has {chunk.size} bytes"
        if len(chunk.digest) != DIGEST_BYTES:
            return f"the chunk at {chunk.offset} has no hash"
        position += chunk.size
    if position != entry.size:
        return f"its chunks have {position} bytes, the file {entry.size}"
    return None


def algorithm_of(path: str, entry: Entry) -> Algorithm:
    """The hash algorithm of a row; MalformedData when its number is unknown."""
    try:
        return entry.algorithm
    except ValueError as error:
        raise _malformed(path, "its flags name an unknown hash algorithm") from error


def compression_of(path: str, entry: Entry) -> Compression:
    """The compression of a row; MalformedData when its number is unknown."""
    try:
        return entry.compression
    except ValueError as error:
        raise _malformed(path, "its flags name an unknown compression") from error


def digest_of(path: str, entry: Entry) -> Digest:
    """The hash of an unchunked file; MalformedData when the row has none."""
    if entry.digest is None or len(entry.digest) != DIGEST_BYTES:
        raise _malformed(path, "its row has no hash")
    return Digest(entry.digest, algorithm_of(path, entry))


def _fetch_whole(target: IO[bytes], path: str, entry: Entry, store: ReadableStore) -> None:
    digest = digest_of(path, entry)
    key = object_key(digest, Suffix.FILE)
    compression = compression_of(path, entry)
    fetch_into(target, store.stream(key), digest, what=key, size=entry.size, compression=compression)


def _fetch_external(target: IO[bytes], path: str, entry: Entry, external: ReadableStore | None) -> None:
    if external is None:
        raise ObjectMissing(
            f"{path} cannot be read",
            "it is external data, which is not in the repository's own store",
            "give the address of the external data",
        )
    blocks = external.stream(path[1:])
    if not entry.is_chunked:
        compression = compression_of(path, entry)
        fetch_into(target, blocks, digest_of(path, entry), what=path, size=entry.size, compression=compression)
        return
    check_chunks(path, entry)
    parts = _Parts(blocks)
    for chunk in entry.chunks:  # served as they are: the hash of a chunk is that of the range
        digest = Digest(chunk.digest, algorithm_of(path, entry))
        plain = Compression.NONE
        fetch_into(target, parts.take(chunk.size), digest, what=path, size=chunk.size, compression=plain)


class _Parts:
    """Blocks cut anew into parts of given sizes."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._rest = b""

    def take(self, size: int) -> Iterator[bytes]:
        """The next *size* bytes, fewer at the end."""
        while size > 0:
            block = self._rest or next(self._blocks, b"")
            if not block:
                return
            yield block[:size]
            self._rest = block[size:]
            size -= min(size, len(block))


def _malformed(path: str, why: str) -> MalformedData:
    return MalformedData(f"{path} cannot be read", why, "run check; publish the file again")
