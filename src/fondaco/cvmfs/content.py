"""From bytes to stored content: chunk, compress, hash, store."""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from fondaco.cvmfs import chunking
from fondaco.cvmfs.chunking import ChunkSizes
from fondaco.cvmfs.codec import Codec, Zlib
from fondaco.cvmfs.digest import Algorithm, Digest, Suffix, object_key
from fondaco.cvmfs.entry import Chunk, Content
from fondaco.cvmfs.stores.base import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentWriter:
    """Stores the content of files. Safe to use from several threads; compression releases the interpreter lock."""

    store: Store
    codec: Codec = field(default_factory=Zlib)
    algorithm: Algorithm = Algorithm.SHA1
    sizes: ChunkSizes | None = field(default_factory=ChunkSizes)  # None: files are never cut

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
        return Content(size=len(data), digest=digest.raw, compression=self.codec.compression, algorithm=self.algorithm)

    def _chunked(self, parts: Iterator[bytes]) -> Content:
        offset = 0
        chunks = []
        for part in parts:
            digest = self.write_object(part, Suffix.CHUNK)
            chunks.append(Chunk(offset, len(part), digest.raw))
            offset += len(part)
        return Content(
            size=offset,
            digest=None,
            chunks=tuple(chunks),
            compression=self.codec.compression,
            algorithm=self.algorithm,
        )

    def write_object(self, data: bytes, suffix: Suffix) -> Digest:
        """Store one object; an existing one is not written again."""
        stored = self.codec.compress(data)
        digest = Digest.of(stored, self.algorithm)
        self.store.put_object(object_key(digest, suffix), stored)
        return digest
