"""What a repository needs of the place where its files lie.

Two kinds of things are stored: *objects*, named by their content, never changed once written; and the few *root files*
(manifest, whitelist, reflog, …) that are replaced atomically. Keys are relative to the repository's root
(``data/ab/cdef…``, ``.cvmfspublished``).
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

MANIFEST = ".cvmfspublished"
WHITELIST = ".cvmfswhitelist"
REFLOG = ".cvmfsreflog"
MASTER_REPLICA = ".cvmfs_master_replica"
JOURNAL = ".fondaco_commit"  # a commit under way: see fondaco.cvmfs.commit
SWEEP = ".fondaco_sweep"  # objects are being removed: see fondaco.cvmfs.gc.lease
STATUS = ".cvmfs_status.json"  # when it was collected, copied and checked last
LAST_SNAPSHOT = ".cvmfs_last_snapshot"  # on replicas only: when it was copied last
IS_SNAPSHOTTING = ".cvmfs_is_snapshotting"  # on replicas only: a copy is under way, or was cut off

MAX_OBJECT_BYTES = 1 << 30  # what get() reads into memory unless told otherwise; larger ones are streamed


class Listed(NamedTuple):
    """A stored file as a listing shows it."""

    key: str
    size: int  # bytes


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

    @property
    def lock_excludes(self) -> bool:
        """Whether :meth:`lock` keeps all others out until it is released, however its holder ends."""
        ...

    @property
    def durable_at_once(self) -> bool:
        """Whether objects survive a crash of the machine as soon as they are put, without :meth:`sync`."""
        ...

    def put_object(self, key: str, data: bytes) -> bool:
        """Write a content-addressed object unless it exists; True when it was written.

        Atomic: no reader ever sees part of it. Durable only after :meth:`sync`.
        """
        ...

    def put_blocks(self, key: str, blocks: Iterable[bytes]) -> None:
        """Write an object of any size in bounded memory, over whatever is there.

        Atomic as :meth:`put_object`. An error that *blocks* raises is passed on, and nothing is written then.
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

    def delete_many(self, keys: Sequence[str]) -> None:
        """Remove what lies under *keys*, as few requests as it takes; some may be gone when it fails."""
        ...

    def list_sizes(self, prefix: str) -> Iterator[Listed]:
        """Every file below *prefix* with its size, in no promised order."""
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
