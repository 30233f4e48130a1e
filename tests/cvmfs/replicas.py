"""Stores that fail at a chosen step, and what readers see of a repository."""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from fondaco.cvmfs.check import check
from fondaco.cvmfs.repository import Repository
from fondaco.cvmfs.stores.base import ReadableStore
from fondaco.cvmfs.stores.local import LocalStore
from tests.cvmfs.repositories import FQRN, Clock, Place


class Killed(BaseException):
    """The process ends here."""


class BucketLike(LocalStore):
    """A folder whose lock keeps nobody out, as in S3."""

    lock_excludes = False

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        yield


class MortalStore(LocalStore):
    """The process is killed at the *steps*-th change of the store, before it or *after* it."""

    steps = -1  # never
    after = False

    def _begin(self) -> bool:
        """Whether this change is the last one."""
        if self.steps == 0:
            raise Killed
        last = self.steps == 1
        self.steps -= 1
        if last and not self.after:
            raise Killed
        return last

    def _end(self, last: bool) -> None:
        if last:
            raise Killed

    def put_object(self, key: str, data: bytes) -> bool:
        last = self._begin()
        written = super().put_object(key, data)
        self._end(last)
        return written

    def put_blocks(self, key: str, blocks: Iterable[bytes]) -> None:
        last = self._begin()
        super().put_blocks(key, blocks)
        self._end(last)

    def replace(self, key: str, data: bytes, *, previous: bytes | None = None) -> None:
        last = self._begin()
        super().replace(key, data, previous=previous)
        self._end(last)

    def delete(self, key: str) -> None:
        last = self._begin()
        super().delete(key)
        self._end(last)

    def delete_many(self, keys: Sequence[str]) -> None:
        for key in keys:
            self.delete(key)


class MortalBucket(MortalStore, BucketLike):
    """Both."""


def shown(store: ReadableStore, place: Place, tag: str | None = None) -> dict[str, bytes | str]:
    """What a reader sees: path → content, or target, or what it is; everything verified."""
    snapshot = open_repository(store, place).at(tag)
    seen: dict[str, bytes | str] = {}
    for path, entry in snapshot.walk():
        if entry.is_regular:
            seen[path] = snapshot.read(path)
        else:
            seen[path] = entry.symlink or "directory"
    return seen


def open_repository(store: ReadableStore, place: Place) -> Repository:
    return Repository.open(store, public_keys=[place.signer.public_key], fqrn=FQRN, now=moment(place.clock))


def moment(clock: Clock) -> datetime:
    return datetime.fromtimestamp(clock.now, UTC)


def assert_sound(store: ReadableStore, place: Place, tag: str | None = None) -> None:
    """No finding of the check, contents read."""
    report = check(store, [place.signer.public_key], tag=tag, content=True, now=moment(place.clock), threads=2)
    assert report.clean, [str(found) for found in report.findings]


def fill(folder: Path, files: dict[str, bytes]) -> Path:
    """Make *folder* hold exactly *files*."""
    folder.mkdir(exist_ok=True)
    for path in folder.rglob("*"):
        if path.is_file() and str(path.relative_to(folder)) not in files:
            path.unlink()
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_bytes() != content:
            path.write_bytes(content)
    return folder
