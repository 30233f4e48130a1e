"""Tar archives read from front to back: decompressed, with bounded headers, and whole or not at all.

tarfile takes an archive that ends between two members, or that goes on with something other than a header, as complete;
here it is damaged: the end is the block of zeros that POSIX asks for. tarfile also keeps every member it met, and reads
headers of any size into memory.
"""

import bz2
import gzip
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from io import BufferedReader, RawIOBase
from typing import IO, Any, Self, cast

from fondaco.errors import FondacoError

MAX_EXTENDED_HEADER_BYTES = 1 << 20  # one long name or record of attributes
MAX_HEADER_BYTES = 8 << 20  # all headers of one member together, maps of sparse files included
MAX_GLOBAL_BYTES = 1 << 20  # what global headers may add up to; they hold for all members after them
MAX_HEADERS = 100  # extended headers before one member; archivers write three
MAX_DIGITS = 200
BLOCK_BYTES = 1 << 20

_DIGITS_ALONE = bytes(byte if byte in b"0123456789" else ord(" ") for byte in range(256))
_EXTENDED = frozenset(
    (
        tarfile.XHDTYPE,
        tarfile.XGLTYPE,
        tarfile.SOLARIS_XHDTYPE,
        tarfile.GNUTYPE_LONGNAME,
        tarfile.GNUTYPE_LONGLINK,
    )
)
_UNKNOWN_COMPRESSION = {
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
    b"\x1f\x9d": "compress",
    b"LZIP": "lzip",
}


class TarReader:
    """The members of an archive, one after the other."""

    def __init__(self, file: BufferedReader) -> None:
        """*file* is the archive, plain or compressed by gzip, bzip2 or xz; TarError when it is none."""
        self._plain = decompressed(file)
        self._forward = _Forward(self._plain)
        self._archive = _Archive(self._forward, mode="r", tarinfo=_Header)

    def __iter__(self) -> Iterator[tarfile.TarInfo]:
        """Each member's header; its content is read before the next one is asked for."""
        while True:
            self._forward.meter.start()
            info = self._archive.next()
            if info is None:
                return
            self._archive.members.clear()  # type: ignore[attr-defined]  # kept for random access; not in the stubs
            if sum(map(len, self._archive.pax_headers.values())) > MAX_GLOBAL_BYTES:
                raise tarfile.ReadError("its global headers are too large")
            yield info

    def blocks(self, info: tarfile.TarInfo) -> Iterator[bytes]:
        """The content of the regular file *info*, holes of a sparse one filled with zeros."""
        parts: Iterable[tuple[int, int]] = getattr(info, "sparse", None) or [(0, info.size)]
        self._forward.seek(info.offset_data)
        position = 0
        for offset, size in parts:
            if size == 0:  # what tarfile makes of the rest of a block of the map
                continue
            if offset < position or size < 0 or offset + size > info.size:
                raise tarfile.ReadError(f"the map of the sparse file {info.name[:200]!r} is wrong")
            yield from _zeros(offset - position)
            yield from self._forward.take(size)
            position = offset + size
        yield from _zeros(info.size - position)
        if self._forward.tell() > self._archive.offset:
            raise tarfile.ReadError(f"the sparse file {info.name[:200]!r} runs into the next member")

    def rest(self) -> Iterator[bytes]:
        """What follows the last member: read it, since a compressed stream has its checksum at the end."""
        return blocks_of(self._plain)


def decompressed(file: BufferedReader) -> IO[bytes]:
    """*file* without its compression. tarfile could do it too, but does not compare checksums of a stream."""
    start = file.peek(6)
    if start.startswith(b"\x1f\x8b"):
        return cast("IO[bytes]", gzip.GzipFile(fileobj=file, mode="rb"))
    if start.startswith(b"BZh"):
        return bz2.BZ2File(file, "rb")
    if start.startswith(b"\xfd7zXZ\x00"):
        return lzma.LZMAFile(file, "rb")
    for magic, name in _UNKNOWN_COMPRESSION.items():
        if start.startswith(magic):
            raise tarfile.ReadError(f"it is compressed by {name}: decompress it first, in a pipe if it is large")
    return file


def blocks_of(file: IO[bytes]) -> Iterator[bytes]:
    """What is left of *file*, block by block."""
    while block := file.read(BLOCK_BYTES):
        yield block


def _zeros(size: int) -> Iterator[bytes]:
    block = bytes(min(size, BLOCK_BYTES))
    for start in range(0, size, BLOCK_BYTES):
        yield block[: size - start]


class BlockFile(RawIOBase):
    """Blocks as a file that is read from front to back."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        super().__init__()
        self._blocks = iter(blocks)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        while not self._rest:
            block = next(self._blocks, None)
            if block is None:
                return 0
            self._rest = memoryview(block)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


@contextmanager
def reporting_damage(make: Callable[[str], FondacoError]) -> Iterator[None]:
    """What the libraries raise about an archive, as the error that *make* makes of its reason."""
    try:
        yield
    except (tarfile.TarError, zlib.error, lzma.LZMAError, EOFError) as error:
        raise make(str(error) or type(error).__name__) from error
    except (NotImplementedError, RuntimeError, UnicodeError, ValueError, OverflowError) as error:
        raise make(f"it uses what cannot be read here ({error})") from error
    except OSError as error:
        raise make(error.strerror or str(error)) from error


class _Meter:
    """Counts what is read for the headers of one member."""

    def __init__(self) -> None:
        self._left = self._headers_left = 0
        self.start()

    def start(self) -> None:
        self._left, self._headers_left = MAX_HEADER_BYTES, MAX_HEADERS

    def header(self) -> None:
        self._headers_left -= 1
        if self._headers_left < 0:
            raise tarfile.ReadError("a member has too many headers")

    def count(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise tarfile.ReadError("the headers of a member are too large")


class _Forward:
    """A stream as the file that tarfile wants: it can be told where it is, and go forward."""

    def __init__(self, file: IO[bytes]) -> None:
        self.meter = _Meter()
        self._file = file
        self._position = 0

    def read(self, size: int) -> bytes:
        """Up to *size* bytes of headers."""
        self.meter.count(size)
        data = self._file.read(size)
        self._position += len(data)
        if size > tarfile.BLOCKSIZE:
            _refuse_long_numbers(data)
        return data

    def take(self, size: int) -> Iterator[bytes]:
        """The next *size* bytes, of content."""
        while size:
            data = self._file.read(min(size, BLOCK_BYTES))
            if not data:
                raise tarfile.ReadError("it ends within a member")
            self._position += len(data)
            size -= len(data)
            yield data

    def tell(self) -> int:
        return self._position

    def seek(self, position: int) -> int:
        while self._position < position:
            data = self._file.read(min(position - self._position, BLOCK_BYTES))
            if not data:
                break  # the read that follows finds nothing, which is an error there
            self._position += len(data)
        return self._position


def _refuse_long_numbers(header: bytes) -> None:
    """tarfile searches extended headers in a time that grows with the square of the longest row of digits."""
    if max(map(len, header.translate(_DIGITS_ALONE).split(b" "))) > MAX_DIGITS:
        raise tarfile.ReadError("an extended header has a number that is too long")


class _Archive(tarfile.TarFile):
    """Names and attributes are any bytes."""

    def __init__(self, fileobj: _Forward, **options: Any) -> None:
        self.meter = fileobj.meter
        super().__init__(fileobj=cast("IO[bytes]", fileobj), encoding="utf-8", errors="surrogateescape", **options)


class _Header(tarfile.TarInfo):
    """A header that is there, is one, and is not too large."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        info = super().frombuf(buf, encoding, errors)
        if info.type in _EXTENDED and info.size > MAX_EXTENDED_HEADER_BYTES:
            raise tarfile.ReadError("an extended header is too large")
        if info.size < 0:
            raise tarfile.ReadError("a member has a negative size")
        return info

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> Self:
        if isinstance(tarfile_, _Archive):
            tarfile_.meter.header()
        try:
            return super().fromtarfile(tarfile_)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # not in the stubs; the block of zeros at the end
            raise
        except tarfile.HeaderError as error:
            start = tarfile_.offset == 0
            raise tarfile.ReadError(
                "it is no tar archive" if start else f"it is cut off or damaged ({error})"
            ) from error
