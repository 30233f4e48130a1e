"""Open files: parts are fetched when they are read, once however many readers wait, and the next one ahead of time."""

import os
from collections import OrderedDict

import trio

from fondaco.cvmfs.errors import CvmfsError, StoreFailed
from fondaco.cvmfs.mount.cache import DiskCache
from fondaco.cvmfs.mount.content import Part
from fondaco.cvmfs.mount.magic import Usage

FETCHES = 8  # at once; each may hold a chunk twice, stored and unpacked: 16 MiB each as the stock publisher cuts them
KEPT_OPEN = 2  # parts of one file whose descriptors are kept: two readers of one handle, or one crossing a border


class _Flight:
    """A part under way."""

    def __init__(self) -> None:
        self.done = trio.Event()
        self.error: Exception | None = None


class Fetcher:
    """Descriptors of verified content. Used by the thread that serves the kernel; fetches in others."""

    def __init__(self, cache: DiskCache, usage: Usage, nursery: trio.Nursery) -> None:
        self._cache = cache
        self._usage = usage
        self._nursery = nursery
        self._flights: dict[str, _Flight] = {}
        self._limit = trio.CapacityLimiter(FETCHES)

    async def descriptor(self, part: Part) -> int:
        """A new file descriptor of the unpacked *part*, the caller's to close; raises what fetching raises."""
        self._usage.wanted += 1
        while True:
            descriptor = self._cache.open(part.key, part.size)
            if descriptor is not None:
                return descriptor
            flight = self._flights.get(part.key)
            if flight is None:
                return await self._fetch(part)
            await flight.done.wait()
            if flight.error is not None:
                raise flight.error

    def ahead(self, part: Part) -> None:
        """Fetch *part* in the background; a fault shows when it is read."""
        if part.key not in self._flights:
            self._nursery.start_soon(self._ahead, part)

    async def _ahead(self, part: Part) -> None:
        try:
            os.close(await self.descriptor(part))
        except CvmfsError:
            return

    async def _fetch(self, part: Part) -> int:
        flight = self._flights[part.key] = _Flight()
        self._usage.downloads += 1
        try:
            descriptor: int = await trio.to_thread.run_sync(
                self._cache.insert, part.key, part.fill, limiter=self._limit, abandon_on_cancel=True
            )
            return descriptor
        except CvmfsError as error:
            flight.error = error
            raise
        finally:
            del self._flights[part.key]
            flight.done.set()


class OpenFile:
    """One handle that the kernel reads through. It stays good when a newer revision is taken over."""

    def __init__(self, parts: tuple[Part, ...], fetcher: Fetcher) -> None:
        self._parts = parts
        self._fetcher = fetcher
        self._descriptors: OrderedDict[int, int] = OrderedDict()  # number of the part → descriptor
        self._last = -1  # number of the part read last

    async def prepare(self) -> None:
        """Fetch a file of one part now, so that opening fails where reading would."""
        if len(self._parts) == 1:
            await self._descriptor(0)

    async def read(self, offset: int, size: int) -> bytes:
        """*size* bytes from *offset* on, fewer at the end of the file."""
        pieces = []
        for number in range(self._find(offset), len(self._parts)):
            if size <= 0:
                break
            part = self._parts[number]
            within = offset - part.offset
            wanted = min(size, part.size - within)
            pieces.append(await self._piece(number, within, wanted))
            offset += wanted
            size -= wanted
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> None:
        while self._descriptors:
            os.close(self._descriptors.popitem()[1])

    def _find(self, offset: int) -> int:
        low, high = 0, len(self._parts)
        while low < high:
            middle = (low + high) // 2
            part = self._parts[middle]
            if part.offset + part.size <= offset:
                low = middle + 1
            else:
                high = middle
        return low

    async def _piece(self, number: int, offset: int, size: int) -> bytes:
        descriptor = await self._descriptor(number)
        if number == self._last + 1 and number + 1 < len(self._parts):
            self._fetcher.ahead(self._parts[number + 1])
        self._last = number
        found = _read_now(descriptor, offset, size)
        if len(found) < size:  # not all of it is in memory: the disk may take its time
            copy = os.dup(descriptor)  # this handle may close its own meanwhile
            found += await trio.to_thread.run_sync(_read_rest, copy, offset + len(found), size - len(found))
        return found

    async def _descriptor(self, number: int) -> int:
        if number not in self._descriptors:
            descriptor = await self._fetcher.descriptor(self._parts[number])
            if number in self._descriptors:  # another reader of this handle was faster
                os.close(descriptor)
            else:
                self._descriptors[number] = descriptor
            while len(self._descriptors) > KEPT_OPEN:
                os.close(self._descriptors.popitem(last=False)[1])
        self._descriptors.move_to_end(number)
        return self._descriptors[number]


def _read_now(descriptor: int, offset: int, size: int) -> bytes:
    """What of it is in memory already; the thread that serves the kernel must not wait for a disk."""
    buffer = bytearray(size)
    try:
        count = os.preadv(descriptor, [buffer], offset, os.RWF_NOWAIT)
    except OSError:  # nothing of it is, or this file system cannot tell
        return b""
    return bytes(buffer) if count == size else bytes(memoryview(buffer)[:count])


def _read_rest(descriptor: int, offset: int, size: int) -> bytes:
    try:
        pieces = []
        while size > 0:
            piece = os.pread(descriptor, size, offset)
            if not piece:
                raise StoreFailed("the cache was damaged", "a file in it became shorter", "remove the cache's folder")
            pieces.append(piece)
            offset += len(piece)
            size -= len(piece)
        return b"".join(pieces)
    except OSError as error:
        raise StoreFailed("the cache cannot be read", error.strerror or str(error), "look at its disk") from error
    finally:
        os.close(descriptor)
