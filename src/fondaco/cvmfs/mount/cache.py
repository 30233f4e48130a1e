"""The cache on the local disk: verified content by its hash, bounded, shared by any number of mounts.

A file appears by a rename once it is complete and verified, so a crash leaves unfinished files in ``tmp`` at most;
they are removed when they are a day old. A file that a crash of the machine cut off is noticed by its size.
Its modification time says when it was last used. Nobody holds a list of the files: each mount counts what it writes,
and looks at the whole folder when that is a twentieth of the limit, one mount at a time. So the cache stays below its
limit plus a twentieth per mount. Open files of removed content stay readable.
"""

import fcntl
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from fondaco.cvmfs.errors import StoreFailed
from fondaco.cvmfs.mount.eviction import Cached, victims

DEFAULT_LIMIT = 4 << 30  # bytes; the default quota of the stock client
LOOK_SHARE = 20  # the folder is looked at after a twentieth of the limit was written
TOUCH_SECONDS = 60  # how exact "last used" is
STALE_SECONDS = 24 * 3600  # age after which an unfinished file is nobody's


class DiskCache:
    """A folder of verified content. Safe to use from several threads, and shared by several processes."""

    def __init__(self, folder: Path, limit: int = DEFAULT_LIMIT) -> None:
        """The cache in *folder*, which is made if it is missing, of at most *limit* bytes."""
        self.folder = folder
        self.limit = limit
        self._written = 0  # bytes since the folder was last looked at
        self._found = 0  # bytes in it then
        self._lock = threading.Lock()
        with _mapped(folder):
            for part in (folder, folder / "tmp", folder / "objects"):
                part.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.shrink()

    def open(self, key: str, size: int | None = None) -> int | None:
        """A file descriptor of what lies under *key*, None if nothing does, or something of another size."""
        path = self._path(key)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _failed(self.folder, error) from error
        status = os.fstat(descriptor)
        if size is not None and status.st_size != size:
            os.close(descriptor)
            self.remove(key)
            return None
        if time.time() - status.st_mtime > TOUCH_SECONDS:
            with suppress(OSError):  # a cache that may only be read still serves
                os.utime(descriptor)
        return descriptor

    def insert(self, key: str, fill: Callable[[IO[bytes]], None]) -> int:
        """Keep what *fill* writes and verifies under *key*; a descriptor of it. Nothing is kept if *fill* raises.

        Content larger than the whole cache is given out but not kept.
        """
        with _mapped(self.folder):
            target = tempfile.NamedTemporaryFile(dir=self.folder / "tmp", delete=False)  # noqa: SIM115  # closed below
        try:
            with target, _mapped(self.folder):
                fill(target)
                target.flush()
                size = os.fstat(target.fileno()).st_size
                descriptor = os.open(target.name, os.O_RDONLY | os.O_CLOEXEC)
                if size <= self.limit:
                    self._move(target.name, self._path(key))
        finally:
            with suppress(FileNotFoundError):  # it was moved
                Path(target.name).unlink()
        self._count(size)
        return descriptor

    def read(self, key: str) -> bytes | None:
        """All of what lies under *key*, None if nothing does."""
        descriptor = self.open(key)
        if descriptor is None:
            return None
        with os.fdopen(descriptor, "rb") as file, _mapped(self.folder):
            return file.read()

    def write(self, key: str, data: bytes) -> None:
        """Keep *data*, which the caller has verified, under *key*."""
        os.close(self.insert(key, lambda target: _write(target, data)))

    def remove(self, key: str) -> None:
        """Let go of what lies under *key*."""
        with suppress(FileNotFoundError), _mapped(self.folder):
            self._path(key).unlink()

    @property
    def estimate(self) -> int:
        """Bytes in the cache, without what other mounts wrote since it was last looked at."""
        return self._found + self._written

    def used(self) -> int:
        """Bytes in the cache now; looks at every file."""
        return sum(file.size for file in self._files())

    def shrink(self) -> None:
        """Remove what was not used for longest until the cache fits its limit; another mount may be at it already."""
        with self._lock:
            self._written = 0
        with _mapped(self.folder), (self.folder / "lock").open("ab") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            files = list(self._files())
            leaving = victims(files, self.limit)
            for file in leaving:
                Path(file.path).unlink(missing_ok=True)
            self._found = sum(file.size for file in files) - sum(file.size for file in leaving)
            before = time.time() - STALE_SECONDS
            for unfinished in (self.folder / "tmp").iterdir():
                with suppress(FileNotFoundError):
                    if unfinished.stat().st_mtime < before:
                        unfinished.unlink()

    def _count(self, size: int) -> None:
        with self._lock:
            self._written += size
            due = self._written * LOOK_SHARE > self.limit
        if due:
            self.shrink()

    def _files(self) -> Iterator[Cached]:
        for top in os.scandir(self.folder / "objects"):
            for file in os.scandir(top.path):
                with suppress(FileNotFoundError):  # another mount removed it
                    status = file.stat(follow_symlinks=False)
                    yield Cached(file.path, status.st_blocks * 512, status.st_mtime_ns)

    def _path(self, key: str) -> Path:
        return self.folder / "objects" / key[:2] / key[2:]

    @staticmethod
    def _move(name: str, path: Path) -> None:
        try:
            Path(name).replace(path)
        except FileNotFoundError:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            Path(name).replace(path)


def _write(target: IO[bytes], data: bytes) -> None:
    target.write(data)


@contextmanager
def _mapped(folder: Path) -> Iterator[None]:
    """Faults of the disk as errors of this room."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _failed(folder, error) from error


def _failed(folder: Path, error: OSError) -> StoreFailed:
    return StoreFailed(
        f"the cache in {folder} cannot be used", error.strerror or str(error), "mend its folder or name another one"
    )
