"""Compression of stored objects.

Every reader takes any zlib stream, but only zlib's own level 6 gives byte for byte the objects (and so the hashes) that
the reference publisher makes; that is the default, and what makes content deduplicate across publishers.
"""

import zlib
from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import Protocol

from fondaco.cvmfs.errors import LimitExceeded, MalformedData

REFERENCE_LEVEL = 6  # Z_DEFAULT_COMPRESSION, what deflateInit() of the reference publisher means


class Compression(IntEnum):
    """How an object is stored; numbered as in bits 11-13 of a catalog row's flags."""

    ZLIB = 0
    NONE = 1


class Codec(Protocol):
    """Makes stored bytes out of content. One codec per repository, or identical files no longer share an object."""

    compression: Compression

    def compress(self, data: bytes) -> bytes:
        """The stored form of *data*; releases the interpreter lock while it works."""
        ...


class Zlib:
    """zlib at the reference level."""

    compression = Compression.ZLIB

    def __init__(self, level: int = REFERENCE_LEVEL) -> None:
        self._level = level

    def compress(self, data: bytes) -> bytes:
        return zlib.compress(data, self._level)


class Plain:
    """Content stored as it is."""

    compression = Compression.NONE

    def compress(self, data: bytes) -> bytes:
        return data


def decompress(stored: bytes, *, limit: int, compression: Compression = Compression.ZLIB) -> bytes:
    """The content of a stored object, at most *limit* bytes.

    Raises MalformedData for anything but one whole zlib stream and LimitExceeded instead of inflating without bound.
    """
    return b"".join(inflate([stored], limit=limit, compression=compression))


def inflate(
    stored: Iterable[bytes], *, limit: int, compression: Compression = Compression.ZLIB, block: int = 1 << 20
) -> Iterator[bytes]:
    """The content of a stored object as blocks of at most *block* bytes, in bounded memory."""
    if compression is Compression.NONE:
        for part in stored:
            limit -= len(part)
            _keep_limit(limit)
            yield part
        return
    engine = zlib.decompressobj()
    for part in stored:
        pending = part
        while pending:
            try:
                out = engine.decompress(pending, block)
            except zlib.error as error:
                raise MalformedData(
                    "an object does not decompress", str(error), "fetch it again or run check"
                ) from error
            limit -= len(out)
            _keep_limit(limit)
            if out:
                yield out
            if engine.unused_data:
                raise MalformedData("an object does not decompress", "bytes follow its zlib stream", "run check")
            pending = engine.unconsumed_tail
    tail = engine.flush()
    limit -= len(tail)
    _keep_limit(limit)
    if not engine.eof:
        raise MalformedData(
            "an object does not decompress", "its zlib stream is cut off", "fetch it again or run check"
        )
    if tail:
        yield tail


def _keep_limit(left: int) -> None:
    if left < 0:
        raise LimitExceeded("an object is too large", "its content passes the size it should have", "run check")
