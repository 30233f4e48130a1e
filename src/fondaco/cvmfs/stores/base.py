"""What a repository needs of the place where its files lie.

Two kinds of things are stored: *objects*, named by their content, never changed once written; and the few *root files*
(manifest, whitelist, reflog, …) that are replaced atomically. Keys are relative to the repository's root
(``data/ab/cdef…``, ``.cvmfspublished``).
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Protocol

MANIFEST = ".cvmfspublished"
WHITELIST = ".cvmfswhitelist"
REFLOG = ".cvmfsreflog"
MASTER_REPLICA = ".cvmfs_master_replica"
JOURNAL = ".fondaco_commit"  # a commit under way: see fondaco.cvmfs.commit

MAX_OBJECT_BYTES = 1 << 30  # what get() reads into memory unless told otherwise; larger ones are streamed


class ReadableStore(Protocol):
    """A place that repositories are read from. Safe to use from several threads."""

    url: str

    def get(self, key: str, *, limit: int = MAX_OBJECT_BYTES) -> bytes:
        """The bytes under *key*. ObjectMissing, StoreFailed, or LimitExceeded past *limit* bytes."""
        ...

    def stream(self, key: str) -> Iterator[bytes]:
        """The bytes under *key* as blocks, in bounded memory."""
        ...

    def exists(self, key: str) -> bool:
        """Whether something lies under *key*."""
        ...

    def size(self, key: str) -> int | None:
        """Bytes of what lies under *key*, None when nothing does."""
        ...


class Store(ReadableStore, Protocol):
    """A place that repositories are published to. Safe to use from several threads."""

    def put_object(self, key: str, data: bytes) -> bool:
        """Write a content-addressed object unless it exists; True when it was written.

        Atomic: no reader ever sees part of it. Durable only after :meth:`sync`.
        """
        ...

    def replace(self, key: str, data: bytes, *, previous: bytes | None = None) -> None:
        """Put a root file in place atomically and durably.

        With *previous*, only while the file still holds exactly those bytes (``b""``: does not exist yet), else
        RepositoryMoved.
        """
        ...

    def delete(self, key: str) -> None:
        """Remove what lies under *key*, if anything does."""
        ...

    def list(self, prefix: str) -> Iterator[str]:
        """Every key below *prefix*, in no promised order."""
        ...

    def sync(self) -> None:
        """Return once everything written so far survives a crash of the machine."""
        ...

    def lock(self) -> AbstractContextManager[None]:
        """Hold the right to publish here; RepositoryBusy at once when another publisher holds it."""
        ...
