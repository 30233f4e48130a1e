"""Collecting and publishing side by side on a store whose lock keeps nobody out."""

import json
from pathlib import Path

import pytest

from fondaco.cvmfs.entry import regular
from fondaco.cvmfs.errors import MalformedData, RepositoryBusy, RepositoryMoved, StoreFailed
from fondaco.cvmfs.gc import lease as leases
from fondaco.cvmfs.gc.collect import collect
from fondaco.cvmfs.gc.keep import Keep
from fondaco.cvmfs.gc.lease import CLOCK_SKEW_SECONDS, LEASE_SECONDS, SweepLease, refuse_during_sweep
from fondaco.cvmfs.ingest import IngestOptions
from fondaco.cvmfs.mirror import MirrorOptions
from fondaco.cvmfs.stores.base import SWEEP
from fondaco.cvmfs.stores.local import LocalStore
from tests.cvmfs.conftest import KeyFolder
from tests.cvmfs.replicas import BucketLike, assert_sound, fill, shown
from tests.cvmfs.repositories import Clock, Place

HERE = MirrorOptions(ingest=IngestOptions(processes=0))
GARBAGE = b"in an old revision alone"


@pytest.fixture
def place(tmp_path: Path, key_folder: KeyFolder) -> Place:
    """A repository on a bucket of sorts, with something to collect."""
    place = Place(tmp_path / "repository", key_folder.path)
    place.store = BucketLike(place.folder)
    place.create()
    for content in (GARBAGE, b"x", b"y", b"z"):
        place.publish(fill(tmp_path / "source", {"file": content}), options=HERE)
    return place


def put_garbage(place: Place) -> None:
    """Publish a file whose object is there, but garbage."""
    with place.publisher.transaction() as transaction:
        transaction.put("/again", regular("again", transaction.store_whole(GARBAGE)))
        transaction.commit()


def test_a_publish_that_began_before_fails_at_its_commit_and_then_succeeds(place: Place) -> None:
    with place.publisher.transaction() as transaction:
        transaction.put("/again", regular("again", transaction.store_whole(GARBAGE)))
        assert not transaction.content.tally.objects, "the object is there and is counted upon"
        assert collect(place.publisher, Keep()).objects_removed
        with pytest.raises(RepositoryMoved):
            transaction.commit()
    put_garbage(place)
    assert shown(place.store, place)["/again"] == GARBAGE
    assert_sound(place.store, place)


def test_a_publish_that_begins_meanwhile_is_refused(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    real, refused = place.store.delete_many, []

    def interfere(keys: list[str]) -> None:
        with pytest.raises(RepositoryBusy, match="collected"):
            put_garbage(place)
        with pytest.raises(RepositoryBusy, match="collected"):
            collect(place.publisher, Keep())
        refused.append(keys)
        real(keys)

    monkeypatch.setattr(place.store, "delete_many", interfere)
    collect(place.publisher, Keep())
    assert refused
    put_garbage(place)
    assert_sound(place.store, place)


def test_a_publish_between_looking_and_removing_stops_the_collection(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = place.store.list_sizes

    def interfere(prefix: str) -> list[object]:
        listing = list(real(prefix))
        put_garbage(place)
        return [*listing]

    before = place.objects()
    monkeypatch.setattr(place.store, "list_sizes", interfere)
    with pytest.raises(RepositoryMoved):
        collect(place.publisher, Keep())
    monkeypatch.undo()
    assert before < place.objects()
    assert not place.store.exists(SWEEP), "publishers need not wait"
    assert_sound(place.store, place)


def test_a_collector_that_stopped_answering_is_waited_for_and_cannot_go_on(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(leases, "_elapsed", lambda: now)
    lease = SweepLease.take(place.store, place.clock)
    place.clock.now += LEASE_SECONDS + CLOCK_SKEW_SECONDS - 1
    with pytest.raises(RepositoryBusy):
        put_garbage(place)
    place.clock.now += 2
    put_garbage(place)
    now = LEASE_SECONDS / 2 + 1
    with pytest.raises(RepositoryBusy):
        lease.keep()


def test_a_lease_is_renewed_when_half_of_it_is_over(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(leases, "_elapsed", lambda: now)
    lease = SweepLease.take(place.store, place.clock)
    first = place.store.get(SWEEP)
    now = LEASE_SECONDS / 2
    lease.keep()
    assert place.store.get(SWEEP) == first
    now += 1
    place.clock.now += now
    lease.keep()
    assert json.loads(place.store.get(SWEEP))["until"] == place.clock.now + LEASE_SECONDS
    lease.end()
    assert not place.store.exists(SWEEP)


def test_a_removal_that_fails_keeps_publishers_out_for_its_time(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server may still work on what it was asked for."""

    def fail(keys: list[str]) -> None:
        raise StoreFailed("no answer")

    monkeypatch.setattr(place.store, "delete_many", fail)
    with pytest.raises(StoreFailed):
        collect(place.publisher, Keep())
    monkeypatch.undo()
    with pytest.raises(RepositoryBusy):
        put_garbage(place)
    place.clock.now += LEASE_SECONDS + CLOCK_SKEW_SECONDS
    put_garbage(place)
    assert_sound(place.store, place)


def test_what_a_dead_collector_left_can_be_taken_once(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    SweepLease.take(place.store, place.clock)
    place.clock.now += LEASE_SECONDS + CLOCK_SKEW_SECONDS + 1
    real, taken = place.store.replace, []

    def overtaken(key: str, data: bytes, *, previous: bytes | None = None) -> None:
        if key == SWEEP and not taken:
            monkeypatch.undo()
            taken.append(SweepLease.take(place.store, place.clock))
        real(key, data, previous=previous)

    monkeypatch.setattr(place.store, "replace", overtaken)
    with pytest.raises(RepositoryBusy):
        put_garbage(place)
    taken[0].keep()
    taken[0].end()
    put_garbage(place)


def test_after_a_dead_collector_all_goes_on(place: Place) -> None:
    SweepLease.take(place.store, place.clock)
    place.clock.now += LEASE_SECONDS + CLOCK_SKEW_SECONDS + 1
    put_garbage(place)
    put_garbage(place)
    place.publish(fill(place.folder.parent / "source", {"file": b"last"}), options=HERE)
    assert collect(place.publisher, Keep()).objects_removed
    assert not place.store.exists(SWEEP)
    assert_sound(place.store, place)


@pytest.mark.parametrize("content", [b"?", b"[]", b"{}", b'{"version": 9, "until": 0}', b'{"version": 1, "until": []}'])
def test_a_file_of_others_is_left_to_a_person(place: Place, content: bytes) -> None:
    place.store.replace(SWEEP, content)
    with pytest.raises(MalformedData):
        put_garbage(place)
    assert place.store.exists(SWEEP)


def test_where_the_lock_excludes_nothing_is_looked_for(tmp_path: Path) -> None:
    store = LocalStore.create(tmp_path)
    store.replace(SWEEP, b"?")
    refuse_during_sweep(store, Clock().now)
