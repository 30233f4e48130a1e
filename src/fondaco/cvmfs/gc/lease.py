"""The time in which objects are removed from a store whose lock keeps nobody out.

A publisher does not upload an object that is there already, so none may be removed between its look and its commit.
In a folder the lock sees to that. On S3 this does (docs/decisions/0005):

1. The collector decides what to remove, and creates the file ``.fondaco_sweep`` (only while there is none).
2. It commits a manifest of its own. Every publisher that began before fails at its commit: the manifest is another.
3. It removes, and renews the file's time while it does; a batch begins only while half of the time is left.
4. It removes the file.

A publisher looks for the file *after* it has read the manifest. If that was the manifest of step 2 or a later one, the
file is there or all is removed. A file whose time is over was left by a collector that died: the publisher writes over
it that nobody holds it, which the collector would notice if it lived after all.
"""

import json
import secrets
import time
from collections.abc import Callable
from typing import Self

from fondaco.cvmfs.errors import MalformedData, ObjectMissing, RepositoryBusy, RepositoryMoved
from fondaco.cvmfs.stores.base import SWEEP, Store

LEASE_SECONDS = 900.0
CLOCK_SKEW_SECONDS = 300.0  # by which the clocks of two machines may differ

_VERSION = 1
_NOBODY = json.dumps({"version": _VERSION, "holder": "", "until": 0}).encode()
_MAX_LEASE_BYTES = 1 << 10


def refuse_during_sweep(store: Store, now: float) -> None:
    """RepositoryBusy while objects are being removed from *store*; *now* in seconds since 1970. See above for when."""
    if store.lock_excludes:
        return
    found = _read(store)
    if not found or found == _NOBODY:
        return
    if _is_held(found, now):
        raise _busy()
    try:  # not a deletion: that could hit the file of another collector who took it over just now
        store.replace(SWEEP, _NOBODY, previous=found)
    except RepositoryMoved as error:
        raise _busy() from error


class SweepLease:
    """The right to remove objects, for a time."""

    def __init__(self, store: Store, clock: Callable[[], float], replaced: bytes) -> None:
        self._store = store
        self._clock = clock
        self._holder = secrets.token_hex(8)
        self._content = replaced
        self._renew()

    @classmethod
    def take(cls, store: Store, clock: Callable[[], float]) -> Self:
        """Keep publishers and other collectors out; RepositoryBusy when another collector is at work."""
        found = _read(store)
        if found and _is_held(found, clock()):
            raise _busy()
        return cls(store, clock, found)

    def keep(self) -> None:
        """Before each batch: renew what is half over. RepositoryBusy when it was lost; nothing may be removed then."""
        if _elapsed() - self._since > LEASE_SECONDS / 2:
            self._renew()

    def end(self) -> None:
        """Let publishers in; only when no removal is under way any more."""
        self.keep()
        self._store.delete(SWEEP)

    def _renew(self) -> None:
        began = _elapsed()
        content = json.dumps({"version": _VERSION, "holder": self._holder, "until": self._clock() + LEASE_SECONDS})
        try:
            self._store.replace(SWEEP, content.encode(), previous=self._content)
        except RepositoryMoved as error:
            raise _busy() from error
        self._content = content.encode()
        self._since = began


def _elapsed() -> float:
    """Seconds that also pass while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _read(store: Store) -> bytes:
    try:
        return store.get(SWEEP, limit=_MAX_LEASE_BYTES)
    except ObjectMissing:
        return b""


def _is_held(content: bytes, now: float) -> bool:
    try:
        fields = json.loads(content)
        known, until = fields["version"] == _VERSION, float(fields["until"])
    except (ValueError, KeyError, TypeError) as error:
        raise MalformedData(f"{SWEEP} cannot be read", str(error), "look at it and remove it by hand") from error
    if not known:
        raise MalformedData(
            f"{SWEEP} cannot be read", "it is of another version", "use a newer version of this program"
        )
    return now < until + CLOCK_SKEW_SECONDS


def _busy() -> RepositoryBusy:
    return RepositoryBusy(
        "the repository is being collected",
        f"objects are being removed ({SWEEP}), and no new revision may count on them",
        "run again when that is done; a collector that died is waited for 20 minutes",
    )
