"""Content hashes and where the objects they name are stored.

An object's name is the hash over its *stored* (compressed) bytes. The text form carries the algorithm behind the hex
digits (nothing for SHA-1), the type suffix is part of the storage key only and never of a hash text.
Source: cvmfs/crypto/hash.h; verified against the stock client.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import TYPE_CHECKING, Self

from fondaco.cvmfs.errors import HashUnavailable, MalformedData

if TYPE_CHECKING:
    from hashlib import _Hash

DIGEST_BYTES = 20  # all three algorithms give 160 bits


class Algorithm(IntEnum):
    """Hash algorithms of CernVM-FS objects, numbered as in the format."""

    SHA1 = 1
    RMD160 = 2
    SHAKE128 = 3

    @property
    def text(self) -> str:
        """What follows the hex digits of a hash text."""
        return _ALGORITHM_TEXT[self]


_ALGORITHM_TEXT = {Algorithm.SHA1: "", Algorithm.RMD160: "-rmd160", Algorithm.SHAKE128: "-shake128"}
_HEX_DIGITS = frozenset("0123456789abcdef")


class Suffix(Enum):
    """Object types: one letter behind the name in the store."""

    FILE = ""
    CATALOG = "C"
    HISTORY = "H"
    CERTIFICATE = "X"
    METAINFO = "M"
    CHUNK = "P"


@dataclass(frozen=True, slots=True)
class Digest:
    """A content hash: 20 raw bytes and their algorithm."""

    raw: bytes
    algorithm: Algorithm = Algorithm.SHA1

    def __str__(self) -> str:
        return self.raw.hex() + self.algorithm.text

    @classmethod
    def of(cls, data: bytes, algorithm: Algorithm = Algorithm.SHA1) -> Self:
        """The hash of *data* as it is stored."""
        if algorithm is Algorithm.SHA1:
            return cls(hashlib.sha1(data, usedforsecurity=False).digest())
        if algorithm is Algorithm.SHAKE128:
            return cls(hashlib.shake_128(data, usedforsecurity=False).digest(DIGEST_BYTES), algorithm)
        return cls(_ripemd160(data).digest(), algorithm)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a hash text; clients accept lower-case hex of exactly the right length only, and so does this."""
        digits, name = text[: 2 * DIGEST_BYTES], text[2 * DIGEST_BYTES :]
        for algorithm, suffix in _ALGORITHM_TEXT.items():
            if name == suffix and len(digits) == 2 * DIGEST_BYTES and set(digits) <= _HEX_DIGITS:
                return cls(bytes.fromhex(digits), algorithm)
        raise MalformedData(
            "not a content hash",
            f"{text[:80]!r} is not 40 lower-case hex digits with a known algorithm",
            "check the object that holds it",
        )


class StreamHasher:
    """The hash of bytes that come piece by piece; HashUnavailable as :meth:`Digest.of`."""

    def __init__(self, algorithm: Algorithm) -> None:
        self._algorithm = algorithm
        if algorithm is Algorithm.RMD160:
            self._hasher = _ripemd160()
        else:
            name = "sha1" if algorithm is Algorithm.SHA1 else "shake_128"
            self._hasher = hashlib.new(name, usedforsecurity=False)

    def pass_through(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """*blocks* as they are, counted into the hash."""
        for block in blocks:
            self._hasher.update(block)
            yield block

    def digest(self) -> Digest:
        if self._algorithm is Algorithm.SHAKE128:
            # SHAKE takes the length of its output, for which hashlib's common type has no parameter.
            raw: bytes = self._hasher.digest(DIGEST_BYTES)  # type: ignore[call-arg]
        else:
            raw = self._hasher.digest()
        return Digest(raw, self._algorithm)


def _ripemd160(data: bytes = b"") -> "_Hash":
    """hashlib's RIPEMD-160. OpenSSL has it by default, but not 3.0.0 to 3.0.6, nor in FIPS mode."""
    try:
        return hashlib.new("ripemd160", data, usedforsecurity=False)
    except ValueError as error:
        raise HashUnavailable(
            "a RIPEMD-160 hash cannot be computed",
            f"the OpenSSL of this Python has none: {error}",
            "use a Python with OpenSSL 3.0.7 or newer, not in FIPS mode; for a new repository choose sha1 or shake128",
        ) from error


NULL_DIGEST_TEXT = "0" * 2 * DIGEST_BYTES  # previous_revision of a first catalog


def object_key(digest: Digest, suffix: Suffix) -> str:
    """Where an object lies below the repository's root: ``data/ab/cdef…[-algorithm][suffix]``."""
    text = str(digest)
    return f"data/{text[:2]}/{text[2:]}{suffix.value}"
