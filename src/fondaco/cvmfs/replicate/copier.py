"""Copying objects in several threads: each is verified before it is put, and one that is there is not fetched again."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from fondaco.cvmfs.digest import Digest, StreamHasher, Suffix, object_key
from fondaco.cvmfs.errors import LimitExceeded, StoreFailed, VerificationFailed
from fondaco.cvmfs.stores.base import MAX_OBJECT_BYTES, ReadableStore, Store

QUEUED_PER_THREAD = 16  # objects waiting for a free thread; more would only fill the memory
ATTEMPTS = 3  # at one object, each with the retries of the store: a damaged answer may come from one proxy of several
MEMORY_BYTES = 16 << 20  # larger content goes through in blocks; chunks are at most so large

_Result = TypeVar("_Result")

Progress = Callable[[int, int], None]  # objects looked at and bytes copied since the last call; by one thread at a time


class Pending:
    """How many objects of one catalog are still under way."""

    def __init__(self) -> None:
        self._left = 0
        self._changed = threading.Condition()

    def begun(self) -> None:
        with self._changed:
            self._left += 1

    def done(self) -> None:
        with self._changed:
            self._left -= 1
            self._changed.notify_all()

    def wait(self) -> None:
        """Return when none is."""
        with self._changed:
            self._changed.wait_for(lambda: not self._left)


@dataclass(slots=True)
class Counts:
    """What was done so far."""

    copied: int = 0  # objects
    bytes: int = 0  # their stored size
    present: int = 0  # objects that were there already, counted each time they are named


@dataclass(slots=True)
class _State:
    counts: Counts = field(default_factory=Counts)
    unsynced: bool = False  # something was put since the last sync
    failure: BaseException | None = None


class Copier:
    """Copies from *source* to *store*; for one user, who waits for what was asked for."""

    def __init__(
        self,
        source: ReadableStore,
        store: Store,
        *,
        distrust: bool = False,  # read and verify what is there: an earlier copy was cut off, perhaps with the machine
        threads: int = 8,
        progress: Progress | None = None,
    ) -> None:
        self._source = source
        self._store = store
        self._distrust = distrust
        self._progress = progress
        self._lock = threading.Lock()
        self._state = _State()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="copy")
        self._free = threading.Semaphore(threads * QUEUED_PER_THREAD)

    @property
    def counts(self) -> Counts:
        return self._state.counts

    def want(self, digest: Digest, suffix: Suffix, size: int, pending: Pending) -> None:
        """Copy an object with *size* bytes; waits while too many are under way. Raises the error of an earlier one."""
        self.raise_failure()
        self._free.acquire()
        pending.begun()

        def done(future: Future[None]) -> None:
            self._free.release()
            if not future.cancelled() and future.exception() is not None:
                self._state.failure = future.exception()
            pending.done()

        self._pool.submit(self._copy, digest, suffix, size).add_done_callback(done)

    def raise_failure(self) -> None:
        """The error of an object that could not be copied, if there is one."""
        if self._state.failure is not None:
            raise self._state.failure

    def close(self) -> None:
        """Stop; what has begun is ended."""
        self._pool.shutdown(cancel_futures=True)

    def fetch(self, digest: Digest, suffix: Suffix) -> bytes:
        """The verified stored form of an object of the source that fits into memory."""
        return attempt(lambda: self._get(object_key(digest, suffix), digest, MAX_OBJECT_BYTES))

    def put(self, digest: Digest, suffix: Suffix, stored: bytes) -> None:
        """Put a verified object, after everything put before it is durable."""
        if self._state.unsynced:
            self._state.unsynced = False
            self._store.sync()
        self._put(object_key(digest, suffix), stored)
        self._count(len(stored))

    def holds(self, digest: Digest, suffix: Suffix) -> bool:
        """Whether the copy has the object. One without a byte is what a crash of the machine may leave."""
        key = object_key(digest, suffix)
        if not self._store.size(key):
            return False
        if not self._distrust:
            return True
        hasher = StreamHasher(digest.algorithm)
        for _ in hasher.pass_through(self._store.stream(key)):
            pass
        if hasher.digest() != digest:
            self._store.delete(key)  # it would be taken for the object by its size
            return False
        return True

    def _copy(self, digest: Digest, suffix: Suffix, size: int) -> None:
        if self.holds(digest, suffix):
            with self._lock:
                self._state.counts.present += 1
                self._tell(0)
            return
        # No use in going on when another object has failed for good.
        self._count(attempt(lambda: self._transfer(digest, suffix, size), stop=self.raise_failure))

    def _transfer(self, digest: Digest, suffix: Suffix, size: int) -> int:
        """Copy one object; its stored size."""
        key = object_key(digest, suffix)
        if size <= MEMORY_BYTES:
            try:
                stored = self._get(key, digest, size + size // 512 + 1024)  # no compression adds more
                self._put(key, stored)
                return len(stored)
            except LimitExceeded:
                pass  # the catalog's size is not that of the object, which readers will say: copy what there is
        total = 0

        def verified() -> Iterator[bytes]:
            nonlocal total
            hasher = StreamHasher(digest.algorithm)
            for block in hasher.pass_through(self._source.stream(key)):
                total += len(block)
                yield block
            _check(key, hasher.digest(), digest)

        self._store.put_blocks(key, verified())
        self._state.unsynced = True
        return total

    def _put(self, key: str, stored: bytes) -> None:
        self._store.put_object(key, stored)
        self._state.unsynced = True  # only now: a sync meanwhile may have come too early

    def _get(self, key: str, digest: Digest, limit: int) -> bytes:
        stored = self._source.get(key, limit=limit)
        _check(key, Digest.of(stored, digest.algorithm), digest)
        return stored

    def _count(self, size: int) -> None:
        with self._lock:
            self._state.counts.copied += 1
            self._state.counts.bytes += size
            self._tell(size)

    def _tell(self, size: int) -> None:
        if self._progress is not None:
            self._progress(1, size)


def attempt(work: Callable[[], _Result], *, stop: Callable[[], None] | None = None) -> _Result:
    """What *work* gives, tried ATTEMPTS times when the source fails or gives other bytes; *stop* may raise in between.

    Web servers that cut an answer off name no ETag with which the rest could be asked for, so it is asked for anew.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            return work()
        except (StoreFailed, VerificationFailed):
            if stop is not None:
                stop()
    return work()


def _check(key: str, actual: Digest, expected: Digest) -> None:
    if actual != expected:
        raise VerificationFailed(
            f"{key} is not trusted", f"the source gives bytes with the hash {actual}", "run check on the source"
        )
