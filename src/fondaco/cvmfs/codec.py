"""Compression of stored objects.

Every reader takes any zlib stream, but only zlib's own level 6 gives byte for byte the objects (and so the hashes) that
the reference publisher makes; that is the default, and what makes content deduplicate across publishers. Others are
faster; a repository keeps the one that it was made with. 500 MB of sources and binaries on one core: zlib 11 s,
libdeflate 4.9 s at the same size, ISA-L 1.3 s at 8 % more (AMD EPYC).
"""

import zlib
from collections.abc import Iterable, Iterator, Mapping
from enum import IntEnum
from typing import Protocol

import deflate
from isal import isal_zlib

from fondaco.cvmfs.errors import LimitExceeded, MalformedData, UnknownCodec

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


class Libdeflate:
    """zlib streams by libdeflate at level 6: zlib's size in half its time."""

    compression = Compression.ZLIB

    def compress(self, data: bytes) -> bytes:
        return bytes(deflate.zlib_compress(data, REFERENCE_LEVEL))


class Isal:
    """zlib streams by Intel's ISA-L at level 1: an eighth of zlib's time, 8 % more bytes."""

    compression = Compression.ZLIB

    def compress(self, data: bytes) -> bytes:
        return isal_zlib.compress(data, 1)


class Plain:
    """Content stored as it is."""

    compression = Compression.NONE

    def compress(self, data: bytes) -> bytes:
        return data


CODECS: Mapping[str, Codec] = {"zlib": Zlib(), "deflate": Libdeflate(), "fast": Isal(), "none": Plain()}
"""Codecs by the names that people choose them by."""
DEFAULT_CODEC = "zlib"


def codec_named(name: str) -> Codec:
    """The codec of a name in CODECS; UnknownCodec for any other."""
    try:
        return CODECS[name]
    except KeyError:
        raise UnknownCodec(
            f"files cannot be compressed as {name!r}",
            f"this version knows {', '.join(CODECS)}",
            "choose one of them, or use the version that the repository was made with",
        ) from None


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
