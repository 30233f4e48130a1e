"""Sets of object names that fit into memory when there are millions of them.

A name is packed into 21 bytes: the digest, and one byte for algorithm and type. Python's own set would need about 120
bytes for each, a sorted array needs the 21. 1,000,000 names added three times each and looked up once for a listing of
1,000,000 objects: 8 s of CPU, 65 MB at the peak (2 cores).
"""

import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from fondaco.cvmfs.digest import DIGEST_BYTES, Algorithm, Digest, Suffix, object_key

NAME_BYTES = DIGEST_BYTES + 1
MIN_PENDING = 1 << 18  # names gathered before they are sorted in; later half as many as are sorted already

_SUFFIXES = tuple(Suffix)
_KEY = re.compile(r"data/([0-9a-f]{2})/([0-9a-f]{38})(-rmd160|-shake128|)([CHXMP]?)")
_ALGORITHMS = {algorithm.text: algorithm for algorithm in Algorithm}
# The last byte of a name is never 0: numpy ends a byte string at its trailing zeros.
_KINDS = {(algorithm, suffix): algorithm << 4 | _SUFFIXES.index(suffix) for algorithm in Algorithm for suffix in Suffix}
_NAMED = {kind: key for key, kind in _KINDS.items()}

Names = NDArray[np.bytes_]


def pack(digest: Digest, suffix: Suffix) -> bytes:
    """The name of an object, 21 bytes."""
    return digest.raw + bytes((_KINDS[digest.algorithm, suffix],))


def unpack(name: bytes) -> tuple[Digest, Suffix]:
    """What :func:`pack` packed."""
    algorithm, suffix = _NAMED[name[-1]]
    return Digest(name[:-1], algorithm), suffix


def name_of_key(key: str) -> bytes | None:
    """The name of the object under a store's key, None if it is no object of a kind that is known here."""
    found = _KEY.fullmatch(key)
    if found is None:
        return None
    first, rest, algorithm, suffix = found.groups()
    return pack(Digest(bytes.fromhex(first + rest), _ALGORITHMS[algorithm]), Suffix(suffix))


def key_of_name(name: bytes) -> str:
    """Where the object lies."""
    return object_key(*unpack(name))


def as_array(packed: bytes | bytearray) -> Names:
    """Names one behind the other as an array."""
    return np.frombuffer(packed, dtype=f"S{NAME_BYTES}")


class NameSet:
    """Names, added one by one, and asked for many at once."""

    def __init__(self, *, min_pending: int = MIN_PENDING) -> None:
        self._sorted = as_array(b"")
        self._pending = bytearray()
        self._min_pending = min_pending

    def add(self, name: bytes) -> None:
        self._pending += name
        if len(self._pending) >= NAME_BYTES * max(self._min_pending, len(self._sorted) // 2):
            self._sort_in()

    def __len__(self) -> int:
        """How many different names."""
        self._sort_in()
        return len(self._sorted)

    def __iter__(self) -> Iterator[bytes]:
        self._sort_in()
        return iter(self._sorted.tolist())

    def contains(self, names: Names) -> NDArray[np.bool_]:
        """For each of *names* whether it is in the set."""
        self._sort_in()
        if not len(self._sorted):
            return np.zeros(len(names), dtype=np.bool_)
        places = np.searchsorted(self._sorted, names)
        places[places == len(self._sorted)] = 0
        found: NDArray[np.bool_] = self._sorted[places] == names
        return found

    def _sort_in(self) -> None:
        if not self._pending:
            return
        names = np.concatenate((self._sorted, as_array(self._pending)))
        self._sorted = as_array(b"")  # not kept beside its successor
        self._pending = bytearray()
        names.sort()  # np.unique would need twice the memory
        first = np.ones(len(names), dtype=np.bool_)
        np.not_equal(names[1:], names[:-1], out=first[1:])
        self._sorted = names[first]
