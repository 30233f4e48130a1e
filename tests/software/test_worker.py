"""The worker serves a bucket from its own thread: every wait here is for something to happen, none for time to pass."""

import queue
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fondaco.backends.errors import Unavailable
from fondaco.software.schedule import Timing
from fondaco.software.sync import Outcome, Sync
from fondaco.software.worker import Look, PublicRevision, Worker
from tests.software.conftest import Service
from tests.software.test_sync import delete, put

QUICK = Timing(
    quiet=0.01, longest=0.1, sweep=3600, confirm=0.01, first_retry=0.01, longest_retry=0.02, first_again=0.01
)
DEADLINE_SECONDS = 30.0


class Served:
    """A worker and what it told."""

    def __init__(self, service: Service, look: Look | None) -> None:
        self._outcomes: queue.Queue[Outcome] = queue.Queue()
        self.worker = Worker(service.sync, timing=QUICK, look=look, told=self._outcomes.put)

    def wait(self, wanted: Callable[[Outcome], object] = lambda _: True) -> Outcome:
        """The next outcome that is as wanted."""
        while True:
            outcome = self._outcomes.get(timeout=DEADLINE_SECONDS)
            if wanted(outcome):
                return outcome

    def wait_for_revision(self, revision: int) -> Outcome:
        return self.wait(lambda outcome: outcome.revision == revision)


@contextmanager
def served(service: Service, look: Look | None = None) -> Generator[Served, None, None]:
    made = Served(service, look)
    with made.worker:
        yield made


def test_it_begins_with_a_sweep_and_then_follows_events(service: Service) -> None:
    put(service, "a", b"1")
    with served(service) as running:
        assert running.wait_for_revision(2).is_sweep
        put(service, "b", b"2")
        assert running.worker.mark(["cvmfs/b", "cvmfs/b", "data/x"]) == 1
        assert not running.wait_for_revision(3).is_sweep
        running.worker.sweep()
        assert running.wait(lambda outcome: outcome.is_sweep).plan.is_empty
        assert running.worker.fault() is None
    assert set(service.files()) == {"/a", "/b"}


def test_what_does_not_concern_the_folder_wakes_nobody(service: Service) -> None:
    with served(service) as running:
        running.wait()
        looks = len(service.bucket.looked)
        assert running.worker.mark(["data/secret.bin"]) == 0
        put(service, "a", b"1")
        running.worker.mark(["cvmfs/a"])
        running.wait_for_revision(2)
    assert service.bucket.looked[looks:] == ["cvmfs/a"]


def test_f7_a_bucket_that_fails_is_tried_until_it_answers(service: Service) -> None:
    put(service, "a", b"1")
    service.bucket.listing_fails = Unavailable("503")
    failed = threading.Event()
    real = service.bucket.list

    def noticed(prefix: str) -> object:
        if service.bucket.listed >= 2:
            failed.set()
        return real(prefix)

    service.bucket.list = noticed  # type: ignore[assignment,method-assign]
    with served(service) as running:
        assert failed.wait(DEADLINE_SECONDS)
        assert "503" in str(running.worker.fault())
        service.bucket.listing_fails = None
        running.wait_for_revision(2)
    assert running.worker.fault() is None


def test_events_of_a_failed_look_are_looked_at_again(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    put(service, "first", b"1")
    with served(service) as running:
        running.wait_for_revision(2)
        put(service, "a", b"1")
        real, failures = service.sync.run_once, [Unavailable("503"), ZeroDivisionError("a defect")]

        def run_once(keys: frozenset[str], *, seen_at: float | None = None) -> Outcome:
            if failures:
                raise failures.pop()
            return real(keys, seen_at=seen_at)

        monkeypatch.setattr(service.sync, "run_once", run_once)
        running.worker.mark(["cvmfs/a"])
        running.wait_for_revision(3)
    assert failures == []
    assert "/a" in service.files()


def test_an_emptied_bucket_is_confirmed_by_itself(service: Service) -> None:
    put(service, "a", b"1")
    with served(service) as running:
        running.wait_for_revision(2)
        delete(service, "a")
        service.clock.now += 1
        running.worker.mark(["cvmfs/a"])
        running.wait(lambda outcome: outcome.plan.held)
        service.clock.now += 60
        running.wait_for_revision(3)
    assert service.files() == {}


def test_what_could_not_be_read_is_tried_again_by_itself(service: Service) -> None:
    put(service, "a", b"1")
    put(service, "b", b"2")
    service.bucket.opening_fails["cvmfs/b"] = Unavailable("503")
    with served(service) as running:
        running.wait_for_revision(2)
        running.wait(lambda outcome: outcome.again and not outcome.is_sweep)
        service.bucket.opening_fails.clear()
        running.wait_for_revision(3)
    assert set(service.files()) == {"/a", "/b"}


def test_a_revision_is_visible_when_the_public_address_shows_it(service: Service) -> None:
    shown: list[int | None] = [None, 1, 2]
    put(service, "a", b"1")
    seen = threading.Event()
    real = service.ledger.visible

    def visible(revision: int, at: float | None = None) -> None:
        real(revision, at)
        if revision >= 2:
            seen.set()

    service.ledger.visible = visible  # type: ignore[method-assign]
    with served(service, lambda: shown.pop(0) if len(shown) > 1 else shown[0]) as running:
        running.wait_for_revision(2)
        assert seen.wait(DEADLINE_SECONDS)
    ((_, record),) = service.ledger.timeline()
    assert record.visible_at is not None


def test_the_public_address_is_read(service: Service, tmp_path: Path) -> None:
    assert PublicRevision(service.folder.as_uri())() == 1
    assert PublicRevision(tmp_path.as_uri())() is None


def test_stopping_lets_a_publish_finish(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    put(service, "a", b"1")
    began, goes_on = threading.Event(), threading.Event()
    real = Sync.read_all

    def slow(self: Sync, *arguments: object) -> object:
        began.set()
        assert goes_on.wait(DEADLINE_SECONDS)
        return real(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Sync, "read_all", slow)
    running = Served(service, None)
    with running.worker:
        assert began.wait(DEADLINE_SECONDS)
        threading.Timer(0, goes_on.set).start()
    assert running.wait().revision == 2


def test_a_worker_that_never_began_stops(service: Service) -> None:
    Worker(service.sync).stop()
    assert service.revision == 1
