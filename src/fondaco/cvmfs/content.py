"""From bytes to stored content: chunk, compress, hash, store."""

import itertools
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, field

from fondaco.cvmfs import chunking
from fondaco.cvmfs.chunking import ChunkSizes
from fondaco.cvmfs.codec import Codec, Zlib
from fondaco.cvmfs.digest import Algorithm, Digest, Suffix, object_key
from fondaco.cvmfs.entry import Chunk, Content
from fondaco.cvmfs.ordered import in_order
from fondaco.cvmfs.stores.base import Store

CHUNKS_AHEAD = 2  # chunks of one file under way at once; each may hold 16 MiB twice, plain and compressed


class Tally:
    """Counts what was really written. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.objects = 0
        self.bytes = 0  # stored size

    def add(self, size: int, objects: int = 1) -> None:
        with self._lock:
            self.objects += objects
            self.bytes += size


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentWriter:
    """Stores the content of files. Safe to use from several threads; compression releases the interpreter lock."""

    store: Store
    codec: Codec = field(default_factory=Zlib)
    algorithm: Algorithm = Algorithm.SHA1
    sizes: ChunkSizes | None = field(default_factory=ChunkSizes)  # None: files are never cut
    pool: Executor | None = None  # compresses the chunks of one large file side by side
    tally: Tally = field(default_factory=Tally)
    external: bool = False  # only hash: the content is served from elsewhere, as it is (the codec must be Plain)

    def write(self, blocks: Iterable[bytes]) -> Content:
        """Store a file that arrives as *blocks*; memory stays at about two chunks whatever its size."""
        if self.sizes is None:
            return self.write_whole(b"".join(blocks))
        chunks = chunking.split(blocks, self.sizes)
        first = next(chunks)
        second = next(chunks, None)
        if second is None:  # a file of one chunk is stored as a plain object
            return self._plain(first)
        return self._chunked(itertools.chain((first, second), chunks))

    def write_whole(self, data: bytes) -> Content:
        """Store a file that is in memory."""
        if self.sizes is not None and len(data) > self.sizes.minimum:
            return self.write((data,))
        return self._plain(data)

    def _plain(self, data: bytes) -> Content:
        digest = self.write_object(data, Suffix.FILE)
        return Content(
            size=len(data),
            digest=digest.raw,
            compression=self.codec.compression,
            algorithm=self.algorithm,
            external=self.external,
        )

    def _chunked(self, parts: Iterator[bytes]) -> Content:
        offset = 0
        chunks = []
        for size, digest in self._written(parts):
            chunks.append(Chunk(offset, size, digest.raw))
            offset += size
        return Content(
            size=offset,
            digest=None,
            chunks=tuple(chunks),
            compression=self.codec.compression,
            algorithm=self.algorithm,
            external=self.external,
        )

    def _written(self, parts: Iterator[bytes]) -> Iterator[tuple[int, Digest]]:
        pool = self.pool
        if pool is None:
            return map(self._write_chunk, parts)
        return in_order(lambda part: pool.submit(self._write_chunk, part), parts, ahead=CHUNKS_AHEAD)

    def _write_chunk(self, part: bytes) -> tuple[int, Digest]:
        return len(part), self.write_object(part, Suffix.CHUNK)

    def write_object(self, data: bytes, suffix: Suffix) -> Digest:
        """Store one object; an existing one is not written again, an external one never."""
        stored = self.codec.compress(data)
        digest = Digest.of(stored, self.algorithm)
        if not self.external and self.store.put_object(object_key(digest, suffix), stored):
            self.tally.add(len(stored))
        return digest
