"""Storing the content of many files, read from a folder or held in memory, on all cores.

Small files are a matter of system calls, during which threads fight for the interpreter lock: 10,000 files of 4 KB take
1.6 s with two threads and 0.9 s with two processes (2 cores). So they go to forked worker processes in batches where
that is possible: into a folder, from a process that has no other threads. Large files go to threads here, where chunks
are compressed side by side without the lock.
"""

import gc
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol, TypeVar

from fondaco.cvmfs import paths, xattrs
from fondaco.cvmfs.content import ContentWriter, Tally
from fondaco.cvmfs.entry import Content, Entry, regular
from fondaco.cvmfs.errors import BadChange
from fondaco.cvmfs.ordered import AHEAD, in_order
from fondaco.cvmfs.stores.local import LocalStore

READ_BLOCK_BYTES = 1 << 20
BATCH_BYTES = 1 << 21  # small files handed to a worker together
BATCH_FILES = 128
REMOTE_THREADS = 32  # requests under way at once: a store behind a network is a matter of waiting
REMOTE_BATCH_FILES = 8
LARGE_BYTES = 1 << 22  # files from here on may be cut, and then have work for several cores
CORES = max(2, os.cpu_count() or 1)
CHANGED_WHILE_READ_TRIES = 3
KEPT_XATTR_PREFIXES = (b"user.",)
KEPT_XATTRS = frozenset({b"security.capability"})


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestOptions:
    """How files are read."""

    xattrs: bool = False  # keep user.* attributes and capabilities; the reference publisher leaves them out by default
    processes: int | None = None  # None: one a core where forking is safe and of use; 0: never


Result_co = TypeVar("Result_co", covariant=True)
Result = TypeVar("Result")


class Piece(Protocol[Result_co]):
    """Something that :func:`ingest` stores; pieces and results go through pipes where worker processes do it."""

    @property
    def size(self) -> int:
        """Bytes of content, as far as known."""
        ...

    def store(self, writer: ContentWriter, *, keep_xattrs: bool) -> Result_co:
        """Store its content."""
        ...


class Status(NamedTuple):
    """What of a file's status is published."""

    mode: int
    mtime_ns: int
    uid: int
    gid: int
    xattrs: bytes | None


class StoredFile(NamedTuple):
    """A file whose content is stored."""

    path: str
    content: Content
    status: Status

    def entry(self) -> Entry:
        return regular(paths.name_of(self.path), self.content, **self.status._asdict())


class SourceFile(NamedTuple):
    """A regular file to be published."""

    source: bytes  # where it is
    path: str  # where it goes
    size: int  # bytes, when it was listed

    def store(self, writer: ContentWriter, *, keep_xattrs: bool) -> StoredFile:
        """As :func:`store_file`."""
        return store_file(writer, self, keep_xattrs=keep_xattrs)


Batch = list[Piece[Any]]
_Done = tuple[list[Any], int, int]  # the results, objects written, their stored size


def ingest(
    writer: ContentWriter, files: Iterable[Piece[Result]], options: IngestOptions, *, held: bool = False
) -> Iterator[list[Result]]:
    """Store the content of *files*; batches come back in their order. OSError of a file ends it.

    *files* is drawn from in the caller's thread. *held*: they are in memory, so that fewer are drawn ahead where the
    store is remote, and drawing one may start threads, so that worker processes are forked before.
    """
    local = isinstance(writer.store, LocalStore)
    batches: Iterator[Batch] = _batches(files, BATCH_FILES if local else REMOTE_BATCH_FILES)
    with ExitStack() as stack:
        pools = _Pools(writer, options, stack, worth_forking=True) if held and local else None
        first = next(batches, None)
        if first is None:
            return
        pools = pools or _Pools(writer, options, stack, worth_forking=local and len(first) > 1)
        ahead = AHEAD if local else REMOTE_THREADS // 2 if held else 2 * REMOTE_THREADS
        for stored, objects, size in in_order(pools.submit, _chain(first, batches), ahead=ahead):
            writer.tally.add(size, objects)
            yield stored


class _Pools:
    """Where batches go: to worker processes, or to threads."""

    def __init__(self, writer: ContentWriter, options: IngestOptions, stack: ExitStack, *, worth_forking: bool) -> None:
        # Counted per batch, since a worker process cannot count here.
        self._work = _Work(replace(writer, tally=Tally()), options.xattrs)
        self._processes: Executor | None = None
        if worth_forking:
            self._processes = _fork(writer, options, stack)
        small = CORES if isinstance(writer.store, LocalStore) else REMOTE_THREADS
        self._small = stack.enter_context(ThreadPoolExecutor(small, thread_name_prefix="publish"))
        self._large = stack.enter_context(ThreadPoolExecutor(CORES, thread_name_prefix="publish-large"))

    def submit(self, batch: Batch) -> Future[_Done]:
        if batch[0].size >= LARGE_BYTES:
            return self._large.submit(self._work, batch)
        if self._processes is not None:
            return self._processes.submit(_in_worker, batch)
        return self._small.submit(self._work, batch)


def _fork(writer: ContentWriter, options: IngestOptions, stack: ExitStack) -> Executor | None:
    wanted = CORES if options.processes is None else options.processes
    safe = threading.active_count() == 1  # forking other threads may copy a lock that nobody will ever release
    if wanted == 0 or not safe or (wanted == 1 and options.processes is None):
        return None
    work = _Work(replace(writer, pool=None, tally=Tally()), options.xattrs)
    context = multiprocessing.get_context("fork")
    pool = ProcessPoolExecutor(wanted, mp_context=context, initializer=_begin_worker, initargs=(work,))
    stack.callback(pool.shutdown, cancel_futures=True)
    pool.submit(os.getpid).result()  # forks now, before any thread is started
    return pool


class _Work:
    """Reads and stores the files of a batch."""

    def __init__(self, writer: ContentWriter, keep_xattrs: bool) -> None:
        self._writer = writer
        self._keep_xattrs = keep_xattrs

    def __call__(self, batch: Batch) -> _Done:
        writer = replace(self._writer, tally=Tally())
        stored = [piece.store(writer, keep_xattrs=self._keep_xattrs) for piece in batch]
        return stored, writer.tally.objects, writer.tally.bytes


_worker: _Work | None = None  # in a worker process: set once when it begins


def _begin_worker(work: _Work) -> None:
    global _worker  # noqa: PLW0603  # the one way to hand a forked worker what cannot be pickled
    gc.freeze()  # what came with the fork stays; to look through it again and again took 5 % of the whole
    _worker = work


def _in_worker(batch: Batch) -> _Done:
    if _worker is None:
        raise RuntimeError("this is no worker process")
    return _worker(batch)


def store_file(writer: ContentWriter, file: SourceFile, *, keep_xattrs: bool) -> StoredFile:
    """Store one file's content; BadChange when it keeps changing while it is read."""
    for _ in range(CHANGED_WHILE_READ_TRIES):
        descriptor = os.open(file.source, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        with open(descriptor, "rb", buffering=0) as opened:
            before = os.fstat(descriptor)
            content = _content(writer, opened.read, before.st_size)
            after = os.fstat(descriptor)
        if (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, content.size):
            attributes = read_xattrs(file.source) if keep_xattrs else None
            status = Status(after.st_mode, after.st_mtime_ns, after.st_uid, after.st_gid, attributes)
            return StoredFile(file.path, content, status)
    raise BadChange(
        f"{paths.decode(file.source)!r} cannot be published", "it keeps changing while it is read", "publish it later"
    )


def read_xattrs(source: bytes) -> bytes | None:
    """The blob of the attributes that are published of a file."""
    names = [os.fsencode(name) for name in os.listxattr(source, follow_symlinks=False)]
    kept = filter(is_kept_xattr, names)
    return xattrs.pack({name: os.getxattr(source, name, follow_symlinks=False) for name in kept})


def is_kept_xattr(name: bytes) -> bool:
    """Whether an attribute of that name is published, if any are."""
    return name.startswith(KEPT_XATTR_PREFIXES) or name in KEPT_XATTRS


def _content(writer: ContentWriter, read: Callable[[int], bytes], size: int) -> Content:
    if size <= READ_BLOCK_BYTES:
        data = read(size + 1)  # one byte more shows a file that grows
        if len(data) == size:
            return writer.write_whole(data)
        return writer.write([data, *iter(lambda: read(READ_BLOCK_BYTES), b"")])
    return writer.write(iter(lambda: read(READ_BLOCK_BYTES), b""))


def _batches(files: Iterable[Piece[Any]], most: int) -> Iterator[Batch]:
    """Small files together, in order; a large one alone."""
    batch: Batch = []
    size = 0
    for file in files:
        if file.size >= LARGE_BYTES:
            if batch:
                yield batch
            yield [file]
            batch, size = [], 0
            continue
        batch.append(file)
        size += file.size
        if size >= BATCH_BYTES or len(batch) >= most:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _chain(first: Batch, rest: Iterator[Batch]) -> Iterator[Batch]:
    yield first
    yield from rest
