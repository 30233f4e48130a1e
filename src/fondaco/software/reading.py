"""From an object in the bucket to what the repository will show of it: read once, one version, in bounded memory.

Everything that is published of an object comes from one answer of the store: content, metadata and the version that the
ledger remembers. What was seen when the plan was made may be older; then the newer version is what is published.
"""

import itertools
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol

from fondaco.backends.bucket import Bucket, ObjectInfo, ObjectStream
from fondaco.backends.errors import BackendError, KeyMissing, ObjectChanged, Unavailable
from fondaco.cvmfs import entry, paths
from fondaco.cvmfs.entry import Content, Entry
from fondaco.cvmfs.paths import MAX_SYMLINK_BYTES
from fondaco.software import posix, unpack
from fondaco.software.errors import BadArchive
from fondaco.software.plan import fingerprint
from fondaco.software.posix import NANO, Kind, Posix
from fondaco.software.records import Fetch, Row, State, Treatment
from fondaco.software.refusal import Reason
from fondaco.software.unpack import Member, UnpackLimits

TRIES = 3  # per object, each with the retries of the backend below it
FIRST_PAUSE_SECONDS = 0.2  # doubled with each try, times a random share
MAX_WHOLE_BYTES = 1 << 20  # objects up to this size are held in memory as a whole
MAX_STREAMS = 3  # larger objects read at once: each may hold some chunks of 16 MiB, plain and compressed
MAX_DETAIL = 500  # characters of a reason's detail


class ContentStore(Protocol):
    """The part of a transaction that stores content; thread-safe."""

    def store_content(self, blocks: Iterable[bytes]) -> Content: ...

    def store_whole(self, data: bytes) -> Content: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What came of reading one object."""

    fetch: Fetch
    row: Row | None  # what the ledger is to say; None: nothing any more
    entries: tuple[tuple[str, Entry], ...] = ()  # path and entry; an archive's directory first
    bytes: int = 0  # read from the bucket
    is_gone: bool = False  # the object was deleted meanwhile: it has to be looked at again
    error: BackendError | None = None  # why it could not be read


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Reads objects into a store. Safe to use from several threads."""

    bucket: Bucket
    store: ContentStore
    limits: UnpackLimits = field(default_factory=UnpackLimits)
    pause: Callable[[float], None] = time.sleep  # seconds
    streams: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(MAX_STREAMS))

    def read(self, fetch: Fetch) -> Reading:
        """Read and store what *fetch* names. Errors of the bucket come back in the result, the store's are raised."""
        if fetch.info.size <= MAX_WHOLE_BYTES:
            return self._read_patiently(fetch)
        with self.streams:  # held before the object is opened, so that no connection waits until it is cut
            return self._read_patiently(fetch)

    def _read_patiently(self, fetch: Fetch) -> Reading:
        for attempt in itertools.count(1):
            try:
                return self._read(fetch)
            except KeyMissing:
                return Reading(fetch=fetch, row=_unread(fetch, None), is_gone=True)
            except (Unavailable, ObjectChanged) as error:
                if attempt == TRIES:
                    return Reading(fetch=fetch, row=_unread(fetch, error), error=error)
            except BackendError as error:
                return Reading(fetch=fetch, row=_unread(fetch, error), error=error)
            except BadArchive as error:
                return _refused(fetch, fetch.info, Reason.BAD_ARCHIVE, error.why)
            self.pause(FIRST_PAUSE_SECONDS * 2 ** (attempt - 1) * random.random())  # noqa: S311 - spreads retries, hides nothing
        raise AssertionError("counting never ends")

    def _read(self, fetch: Fetch) -> Reading:
        if fetch.treatment is Treatment.DIRECTORY:
            return self._marker(fetch)
        if fetch.treatment is Treatment.ARCHIVE:
            return self._archive(fetch)
        stream = self.bucket.open(fetch.key)
        told = posix.read(stream.info.metadata, marker=False)
        if fetch.treatment is Treatment.LINK or told.kind is Kind.SYMLINK:
            return self._link(fetch, stream, told)
        return self._file(fetch, stream, told)

    def _marker(self, fetch: Fetch) -> Reading:
        info = self.bucket.head(fetch.key)
        told = posix.read(info.metadata, marker=True)
        made = entry.directory(
            paths.name_of(fetch.path),
            mode=posix.DIRECTORY_MODE if told.mode is None else told.mode,
            mtime_ns=_mtime(told, info),
            uid=told.uid,
            gid=told.gid,
        )
        return _good(fetch, info, told, ((fetch.path, made),))

    def _link(self, fetch: Fetch, stream: ObjectStream, told: Posix) -> Reading:
        if stream.info.size > MAX_SYMLINK_BYTES:
            return _refused(fetch, stream.info, Reason.BAD_LINK, f"its target has {stream.info.size} bytes")
        raw = b"".join(stream)
        if not raw or b"\0" in raw or paths.name_of(fetch.path) == paths.CATALOG_MARKER:
            return _refused(fetch, stream.info, Reason.BAD_LINK, "")
        made = entry.symlink(
            paths.name_of(fetch.path),
            paths.decode(raw),
            mtime_ns=_mtime(told, stream.info),
            uid=told.uid,
            gid=told.gid,
        )
        return _good(fetch, stream.info, told, ((fetch.path, made),))

    def _file(self, fetch: Fetch, stream: ObjectStream, told: Posix) -> Reading:
        first, content = self._content(stream, stream.info.size)
        mode = posix.file_mode(told.mode, first=first, executable=fetch.treatment is Treatment.EXECUTABLE)
        made = entry.regular(
            paths.name_of(fetch.path),
            content,
            mode=mode,
            mtime_ns=_mtime(told, stream.info),
            uid=told.uid,
            gid=told.gid,
        )
        return _good(fetch, stream.info, told, ((fetch.path, made),))

    def _content(self, blocks: Iterable[bytes], size: int | None) -> tuple[bytes, Content]:
        """The first bytes and the stored content; *size* in bytes where it is known."""
        if size is not None and size <= MAX_WHOLE_BYTES:
            data = b"".join(blocks)
            return data[: posix.SNIFF_BYTES], self.store.store_whole(data)
        first, blocks = _sniff(blocks)
        return first, self.store.store_content(blocks)

    # -- archives --------------------------------------------------------------------------------------------------

    def _archive(self, fetch: Fetch) -> Reading:
        if not unpack.is_zip(fetch.key):
            stream = self.bucket.open(fetch.key)
            return self._unpacked(
                fetch, stream.info, unpack.tar_members(stream, stream.info.size, fetch.path, self.limits)
            )
        info = self.bucket.head(fetch.key)
        with self.bucket.open_seekable(info) as file:
            return self._unpacked(fetch, info, unpack.zip_members(file, info.size, fetch.path, self.limits))

    def _unpacked(self, fetch: Fetch, info: ObjectInfo, members: Iterable[Member]) -> Reading:
        mtime_ns = info.modified * NANO
        entries = {fetch.path: entry.directory(paths.name_of(fetch.path), mtime_ns=mtime_ns)}
        for member in members:
            path = f"{fetch.path}/{member.path}" if member.path else fetch.path
            entries[path] = self._member(path, member, entries, fetch.path, mtime_ns)
        return _good(fetch, info, Posix(kind=Kind.FILE), tuple(entries.items()))

    def _member(self, path: str, member: Member, before: dict[str, Entry], top: str, mtime_ns: int) -> Entry:
        name = paths.name_of(path)
        mtime_ns = mtime_ns if member.mtime_ns is None else member.mtime_ns
        if member.kind is Kind.DIRECTORY:
            mode = posix.DIRECTORY_MODE if member.mode is None else member.mode
            return entry.directory(name, mode=mode, mtime_ns=mtime_ns, uid=member.uid, gid=member.gid)
        if member.kind is Kind.SYMLINK:
            return entry.symlink(name, member.target, mtime_ns=mtime_ns, uid=member.uid, gid=member.gid)
        if member.same_as is not None:
            return replace(before[f"{top}/{member.same_as}"], name=name)
        first, content = self._content(member.blocks, None)
        mode = posix.file_mode(member.mode, first=first, executable=False)
        return entry.regular(name, content, mode=mode, mtime_ns=mtime_ns, uid=member.uid, gid=member.gid)


def _sniff(blocks: Iterable[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """The first bytes of *blocks*, and all of them."""
    rest = iter(blocks)
    held = []
    first = b""
    while len(first) < posix.SNIFF_BYTES and (block := next(rest, None)) is not None:
        held.append(block)
        first += block[: posix.SNIFF_BYTES]
    return first[: posix.SNIFF_BYTES], itertools.chain(held, rest)


def _mtime(told: Posix, info: ObjectInfo) -> int:
    return info.modified * NANO if told.mtime_ns is None else told.mtime_ns


def _good(fetch: Fetch, info: ObjectInfo, told: Posix, entries: tuple[tuple[str, Entry], ...]) -> Reading:
    row = replace(_row(fetch, info), posix=posix.digest(info.metadata), detail="; ".join(told.notes)[:MAX_DETAIL])
    return Reading(fetch=fetch, row=row, entries=entries, bytes=info.size)


def _refused(fetch: Fetch, info: ObjectInfo, reason: Reason, detail: str) -> Reading:
    row = replace(_row(fetch, info), state=State.REFUSED, reason=reason, detail=detail[:MAX_DETAIL])
    return Reading(fetch=fetch, row=row)


def _row(fetch: Fetch, info: ObjectInfo) -> Row:
    return Row(key=fetch.key, fingerprint=fingerprint(info), path=fetch.path, treatment=fetch.treatment)


def _unread(fetch: Fetch, error: BackendError | None) -> Row | None:
    """The row of an object that could not be read: what was visible stays so, and it is read again next time."""
    reason = None if error is None else Reason.UNREADABLE
    detail = "" if error is None else f"{error.what}: {error.why}"[:MAX_DETAIL]
    new = replace(_row(fetch, fetch.info), fingerprint="", state=State.REFUSED, reason=reason, detail=detail)
    old = fetch.known
    if old is not None and old.is_visible and replace(new, state=State.PUBLISHED).covers(old):
        state = State.PENDING if error is None else old.state
        return replace(new, treatment=old.treatment, state=state)
    return new if error is not None else None
