"""Whether the objects that catalogs name are there and, on demand, hold what their names and rows say."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import IO, cast

from fondaco.cvmfs.check.findings import Code
from fondaco.cvmfs.codec import Compression
from fondaco.cvmfs.digest import Digest, Suffix, object_key
from fondaco.cvmfs.errors import LimitExceeded, MalformedData, ObjectMissing, VerificationFailed
from fondaco.cvmfs.objects import fetch, fetch_into
from fondaco.cvmfs.stores.base import ReadableStore

QUEUED_PER_THREAD = 16  # objects waiting for a free thread; more would only fill the memory

Found = Callable[[Code, str, str], None]  # code, path, message


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedObject:
    """An object that something in the repository names."""

    digest: Digest
    suffix: Suffix
    path: str  # of what names it
    size: int | None = None  # bytes of content, None when that is recorded nowhere
    compression: Compression = Compression.ZLIB


class ObjectCheck:
    """Looks objects up from several threads, each object once. For one user; *found* and *read* are called by many.

    *read* is told the bytes of content of each object that was read.
    """

    def __init__(
        self, store: ReadableStore, found: Found, read: Callable[[int], None], *, content: bool, threads: int
    ) -> None:
        self._store = store
        self._found = found
        self._told = read
        self._content = content
        self._seen: dict[bytes, int | None] = {}  # sizes by name: some 150 bytes for each object
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="check")
        self._free = threading.Semaphore(threads * QUEUED_PER_THREAD)
        self._failure: BaseException | None = None

    @property
    def objects(self) -> int:
        """Different objects asked for so far."""
        return len(self._seen)

    def want(self, wanted: WantedObject) -> None:
        """Check an object unless that was done; waits while too many are under way. StoreFailed of an earlier one."""
        kind = wanted.digest.algorithm << 4 | wanted.compression
        name = wanted.digest.raw + bytes((kind,)) + wanted.suffix.value.encode()
        if name in self._seen:
            if wanted.size is not None and self._seen[name] not in (None, wanted.size):
                message = f"its size is {wanted.size}, that of another file with the same object {self._seen[name]}"
                self._found(Code.SIZE, wanted.path, message)
            return
        self._seen[name] = wanted.size
        self._raise_failure()
        self._free.acquire()
        self._pool.submit(self._look, wanted).add_done_callback(self._done)

    def finish(self) -> None:
        """Return when all have been looked at; StoreFailed if the store could not be read."""
        self._pool.shutdown()
        self._raise_failure()

    def abandon(self) -> None:
        """Stop early."""
        self._pool.shutdown(cancel_futures=True)

    def _done(self, future: Future[None]) -> None:
        self._free.release()
        if not future.cancelled() and future.exception() is not None:
            self._failure = future.exception()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _look(self, wanted: WantedObject) -> None:
        key = object_key(wanted.digest, wanted.suffix)
        try:
            if self._content:
                self._read(key, wanted)
            elif not self._store.exists(key):
                self._missing(key, wanted)
        except ObjectMissing:
            self._missing(key, wanted)
        except (VerificationFailed, MalformedData, LimitExceeded) as error:
            self._found(Code.OBJECT_DAMAGED, wanted.path, f"{error.what}: {error.why}")

    def _read(self, key: str, wanted: WantedObject) -> None:
        if wanted.size is None:
            size = len(fetch(self._store, wanted.digest, wanted.suffix, compression=wanted.compression))
        else:
            size = wanted.size
            blocks = self._store.stream(key)
            sink = cast("IO[bytes]", _Nowhere())
            fetch_into(sink, blocks, wanted.digest, what=key, size=size, compression=wanted.compression)
        self._told(size)

    def _missing(self, key: str, wanted: WantedObject) -> None:
        self._found(Code.OBJECT_MISSING, wanted.path, f"the store has no {key}")


class _Nowhere:
    """Takes what is only read to be verified."""

    def write(self, data: bytes) -> int:
        return len(data)
