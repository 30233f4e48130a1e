"""What is needed of a bucket: exact keys, one version per read, and errors that tell one thing from another."""

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

BLOCK_BYTES = 1 << 20  # what open() hands out at a time; one block per reader is what reading costs in memory


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One version of one object. Positional, because listings make millions of them."""

    key: str  # text with surrogateescape: keys are bytes to a store
    size: int  # bytes as stored; content is never decompressed on the way
    etag: str  # without quotes; an opaque name of the version
    modified: int  # seconds since 1970, Last-Modified; listings have fractions, answers to GET do not, so none has
    metadata: Mapping[str, str] = field(default_factory=dict)  # the user's, names in lower case; listings have none


class ObjectStream(Protocol):
    """An object being read."""

    info: ObjectInfo  # of the very version that is read

    def __iter__(self) -> Iterator[bytes]:
        """The content as blocks; exactly `info.size` bytes, else Unavailable (cut off) or ObjectChanged. Once only."""
        ...


class Bucket(Protocol):
    """A bucket for reading. Safe to use from several threads; every method may raise the errors of this room."""

    name: str

    def exists(self) -> bool:
        """Whether the bucket is there; AccessDenied, Unavailable when that cannot be said."""
        ...

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Every object whose key begins with *prefix*, in no promised order, without metadata.

        A listing that cannot be finished raises; it never just ends early.
        """
        ...

    def head(self, key: str) -> ObjectInfo:
        """The object's present version; KeyMissing."""
        ...

    def open(self, key: str) -> ObjectStream:
        """Start reading the present version; KeyMissing."""
        ...

    def open_seekable(self, info: ObjectInfo) -> io.BufferedReader:
        """That version as a seekable file, fetched in ranges; ObjectChanged while reading when it was replaced."""
        ...
