"""Watches over one bucket: gathers events, publishes, sweeps, and notices when a revision is visible to the world."""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

from fondaco.cvmfs import manifest as manifests
from fondaco.cvmfs.errors import CvmfsError
from fondaco.cvmfs.stores import open_readable
from fondaco.cvmfs.stores.base import MANIFEST
from fondaco.errors import FondacoError
from fondaco.software.schedule import Action, Schedule, Timing
from fondaco.software.sync import Outcome, Sync

VISIBLE_POLL_SECONDS = 0.1  # between two looks at the public address while a revision is awaited
VISIBLE_LONGEST_SECONDS = 5.0  # the pause grows up to this while it does not show
STOP_SECONDS = 60.0  # a publish under way is let finish

log = logging.getLogger(__name__)

Look = Callable[[], int | None]
"""The revision that the world sees now; None when that cannot be said."""


class PublicRevision:
    """A `Look` at the manifest below the public address of a repository."""

    def __init__(self, url: str) -> None:
        self._store = open_readable(url)

    def __call__(self) -> int | None:
        try:
            return manifests.parse_signed(self._store.get(MANIFEST)).manifest.revision
        except CvmfsError:
            return None


class Worker:
    """`with Worker(sync) as worker:` serves the bucket from a thread of its own until the block ends.

    It owns *sync* meanwhile. Nothing that an event or a bucket holds ends it: what fails is logged, shown by `fault`
    and done again later.
    """

    def __init__(
        self,
        sync: Sync,
        *,
        timing: Timing | None = None,
        look: Look | None = None,
        told: Callable[[Outcome], None] | None = None,
    ) -> None:
        """*look* tells what is visible; *told* is called, in the worker's thread, after every look that went well."""
        self._sync = sync
        self._schedule = Schedule(timing or Timing())
        self._look = look
        self._told = told or (lambda _outcome: None)
        self._change = threading.Condition()
        self._stopping = False
        self._first_mark: float | None = None  # seconds since 1970
        self._again: frozenset[str] = frozenset()
        self._fault: str | None = None
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)
        self._watcher = threading.Thread(target=self._watch, name="visible", daemon=True)
        self._awaited = 0  # the newest revision that the world has not been seen to see

    def __enter__(self) -> Self:
        self._thread.start()
        if self._look is not None:
            self._watcher.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """Let what is under way finish, then end. Marked keys that were not looked at are found by the next sweep."""
        with self._change:
            self._stopping = True
            self._change.notify_all()
        for thread in (self._thread, self._watcher):
            if thread.ident is not None:
                thread.join(STOP_SECONDS)

    # -- told from anywhere --------------------------------------------------------------------------------------------

    def mark(self, keys: Iterable[str]) -> int:
        """Note that *keys* may have changed; how many of them concern the published folder. Returns at once."""
        with self._change:
            count = self._sync.mark(keys)
            if count:
                self._first_mark = time.time() if self._first_mark is None else self._first_mark
                self._schedule.marked(time.monotonic())
                self._change.notify_all()
        return count

    def sweep(self) -> None:
        """Compare the whole folder soon: on demand, or because events may have been lost."""
        with self._change:
            self._schedule.sweep_wanted(time.monotonic())
            self._change.notify_all()

    def fault(self) -> str | None:
        """What kept the last look from its work; None while all is well."""
        return self._fault

    # -- the worker's thread -------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            with self._change:
                action, pause = self._schedule.next(time.monotonic())
                while action is None and not self._stopping:
                    self._change.wait(pause)
                    action, pause = self._schedule.next(time.monotonic())
                if self._stopping:
                    return
                if action is Action.AGAIN:
                    self._sync.mark(self._again)
                    self._again = frozenset()
                    self._schedule.again_marked()
                    self._schedule.marked(time.monotonic())
                    continue
                keys, seen_at = self._sync.take(), self._first_mark
                self._first_mark = None
                self._schedule.began()
            self._serve(action is Action.SWEEP, keys, seen_at)

    def _serve(self, sweeps: bool, keys: frozenset[str], seen_at: float | None) -> None:
        try:
            outcome = self._sync.sweep(seen_at=seen_at) if sweeps else self._sync.run_once(keys, seen_at=seen_at)
            self._told(outcome)
        except FondacoError as error:
            self._failed(sweeps, keys, seen_at, str(error))
        except Exception as error:  # the outermost loop: a defect must not end the service of the bucket
            log.exception("a look at the bucket failed on a defect")
            self._failed(sweeps, keys, seen_at, f"defect: {type(error).__name__}")
        else:
            self._succeeded(outcome)

    def _failed(self, swept: bool, keys: frozenset[str], seen_at: float | None, why: str) -> None:
        log.warning("a look at the bucket failed, it is repeated: %s", why)
        with self._change:
            now = time.monotonic()
            self._fault = why
            self._sync.mark(keys)
            self._schedule.failed(now, share=random.random())  # noqa: S311 - spreads retries, hides nothing
            if swept:
                self._schedule.sweep_wanted(now)
            if keys:
                self._schedule.marked(now)
                self._first_mark = self._first_mark if seen_at is None else seen_at

    def _succeeded(self, outcome: Outcome) -> None:
        with self._change:
            self._fault = None
            self._again |= outcome.again
            self._schedule.succeeded(
                time.monotonic(),
                swept=outcome.is_sweep,
                held=bool(outcome.plan.held),
                again=bool(outcome.again),
            )
            if outcome.revision is not None:
                self._awaited = outcome.revision
                self._change.notify_all()

    # -- the watcher's thread ------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Note when the world sees what was published. A thread of its own, so that no publish waits for it."""
        seen = 0
        pause = VISIBLE_POLL_SECONDS
        while True:
            with self._change:
                while not self._stopping and self._awaited <= seen:
                    self._change.wait()
                if self._stopping:
                    return
            revision = self._look() if self._look is not None else None
            if revision is not None and revision > seen:
                self._sync.ledger.visible(revision)
                seen, pause = revision, VISIBLE_POLL_SECONDS
                continue
            with self._change:
                self._change.wait_for(lambda: self._stopping, pause)
            pause = min(2 * pause, VISIBLE_LONGEST_SECONDS)
