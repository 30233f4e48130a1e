"""Collecting garbage from repositories in folders."""

import io
import random
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fondaco.cvmfs.codec import Codec, Plain, Zlib
from fondaco.cvmfs.digest import Algorithm, Digest, Suffix, object_key
from fondaco.cvmfs.entry import regular
from fondaco.cvmfs.errors import (
    KeyUnusable,
    NotCollectable,
    ObjectMissing,
    RepositoryBusy,
    StoreFailed,
    VerificationFailed,
)
from fondaco.cvmfs.gc import collect as collecting
from fondaco.cvmfs.gc.collect import Collected, collect
from fondaco.cvmfs.gc.keep import Keep
from fondaco.cvmfs.gc.lease import CLOCK_SKEW_SECONDS, LEASE_SECONDS
from fondaco.cvmfs.ingest import IngestOptions
from fondaco.cvmfs.mirror import MirrorOptions
from fondaco.cvmfs.reflog import Reflog
from fondaco.cvmfs.replicate.snapshot import replicate
from fondaco.cvmfs.stores.base import LAST_SNAPSHOT, MANIFEST, REFLOG, STATUS, Listed
from fondaco.cvmfs.stores.local import LocalStore
from tests.cvmfs.conftest import KeyFolder
from tests.cvmfs.replicas import Killed, MortalBucket, MortalStore, assert_sound, fill, shown
from tests.cvmfs.repositories import Place

HERE = MirrorOptions(ingest=IngestOptions(processes=0))


@pytest.fixture
def place(tmp_path: Path, key_folder: KeyFolder) -> Place:
    """Revisions 1 to 6; the third is tagged. Nested catalogs, chunks, and a file that comes back."""
    place = Place(tmp_path / "repository", key_folder.path).create()
    for number in range(2, 7):
        files = {
            "same": b"same",
            "a/.cvmfscatalog": b"",
            "a/changing": b"%d" % number,
            "b/.cvmfscatalog": b"",
            "b/still": b"still",
            "coming" if number % 2 else "going": b"back again",
            "large": random.Random(number).randbytes(9000),
        }
        place.publish(fill(tmp_path / "source", files), tag="v3" if number == 3 else None, options=HERE)
    return place


def test_only_what_is_kept_needs_stays(place: Place) -> None:
    before, tagged, head = place.objects(), shown(place.store, place, "v3"), shown(place.store, place)
    log = io.StringIO()
    done = collect(place.publisher, Keep(), log=log)
    after = place.objects()
    assert (done.roots_kept, done.roots_dropped) == (3, 3), "the current one, trunk-previous and v3"
    assert done.objects_removed == len(before - after) > 8
    assert done.objects_kept == len(after)
    listed = {line for line in log.getvalue().splitlines() if line and line[0] != "#"}
    assert listed == {key.removeprefix("data/").replace("/", "") for key in before - after}
    assert shown(place.store, place, "v3") == tagged
    assert shown(place.store, place) == head
    assert_sound(place.store, place)
    assert_sound(place.store, place, "v3")


def test_the_manifest_is_another_of_the_same_revision(place: Place) -> None:
    before = place.manifest()
    collect(place.publisher, Keep())
    after = place.manifest()
    assert (after.revision, after.root_catalog) == (before.revision, before.root_catalog)
    assert after.published_at > before.published_at
    assert after.reflog == Digest.of(place.store.get(REFLOG)) != before.reflog
    assert b'"last_gc": "' in place.store.get(STATUS)


def test_a_second_collection_finds_nothing(place: Place) -> None:
    collect(place.publisher, Keep(revisions=1))
    before = place.store.get(MANIFEST)
    assert collect(place.publisher, Keep(revisions=1)).objects_removed == 0
    assert place.store.get(MANIFEST) == before


def test_revisions_are_kept_by_number_and_by_time(place: Place) -> None:
    times = [reference.timestamp for reference in Reflog.load(place.store.get(REFLOG)).refs()]
    assert collect(place.publisher, Keep(since=min(times)), dry_run=True).objects_removed == 0
    assert collect(place.publisher, Keep(revisions=5), dry_run=True).objects_removed == 0
    assert collect(place.publisher, Keep(revisions=2), dry_run=True).roots_kept == 4
    assert collect(place.publisher, Keep(since=int(place.clock.now) - 60), dry_run=True).roots_kept == 4


def test_a_dry_run_changes_nothing(place: Place) -> None:
    before, signed, log = place.objects(), place.store.get(MANIFEST), io.StringIO()
    done = collect(place.publisher, Keep(), dry_run=True, log=log)
    assert (place.objects(), place.store.get(MANIFEST)) == (before, signed)
    assert not place.store.exists(STATUS)
    assert len(log.getvalue().splitlines()) == 1 + done.objects_removed
    real = collect(place.publisher, Keep())
    assert (real.objects_removed, real.bytes_removed) == (done.objects_removed, done.bytes_removed)


def test_what_an_abandoned_publish_left_is_removed(place: Place) -> None:
    collect(place.publisher, Keep(revisions=9))
    before = place.objects()
    with place.publisher.transaction() as transaction:
        transaction.put("/file", regular("file", transaction.store_whole(b"never published")))
    (orphan,) = place.objects() - before
    done = collect(place.publisher, Keep(revisions=9))
    assert done.bytes_removed == 23
    assert place.objects() == before
    assert not place.store.exists(orphan)


def test_what_is_no_object_is_left_alone(place: Place) -> None:
    strange = ["data/ab/" + "0" * 38 + "L", "data/ab/README", "data/" + "0" * 40, ".cvmfsalt-x"]
    for key in strange:
        place.store.replace(key, b"?")
    collect(place.publisher, Keep())
    assert all(place.store.exists(key) for key in strange)


def test_removed_content_can_be_published_again(place: Place, tmp_path: Path) -> None:
    collect(place.publisher, Keep())
    place.publish(fill(tmp_path / "again", {"old": b"2", "large": random.Random(2).randbytes(9000)}), options=HERE)
    assert shown(place.store, place)["/large"] == random.Random(2).randbytes(9000)
    assert_sound(place.store, place)


@pytest.mark.parametrize("damage", ["missing", "broken"])
def test_a_catalog_that_cannot_be_read_stops_everything(place: Place, damage: str) -> None:
    key = object_key(place.manifest().root_catalog, Suffix.CATALOG)
    nested = next(key for key in sorted(place.objects()) if key.endswith("C") and _is_nested(place, key))
    if damage == "missing":
        place.store.delete(nested)
    else:
        place.store.replace(nested, place.store.get(key)[:-9])
    before, signed = place.objects(), place.store.get(MANIFEST)
    with pytest.raises((ObjectMissing, VerificationFailed)):
        collect(place.publisher, Keep(revisions=9))
    assert (place.objects(), place.store.get(MANIFEST)) == (before, signed)


def _is_nested(place: Place, key: str) -> bool:
    digest = Digest.parse(key[5:7] + key[8:-1])
    return b"root_prefix" in place.image(digest, Suffix.CATALOG)


def test_a_listing_that_fails_stops_everything(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    before, real = place.objects(), place.store.list_sizes

    def cut_off(prefix: str) -> Iterator[Listed]:
        listing = real(prefix)
        yield next(listing)
        raise StoreFailed("the listing broke off")

    monkeypatch.setattr(place.store, "list_sizes", cut_off)
    with pytest.raises(StoreFailed):
        collect(place.publisher, Keep())
    assert place.objects() == before


def test_a_repository_that_does_not_allow_it_is_left_alone(tmp_path: Path, key_folder: KeyFolder) -> None:
    place = Place(tmp_path / "r", key_folder.path)
    place.publisher.create(place.signer, garbage_collectable=False)
    place.publish(fill(tmp_path / "s", {"a": b"a"}), options=HERE)
    place.publish(fill(tmp_path / "s", {"a": b"b"}), options=HERE)
    with pytest.raises(NotCollectable, match="--force"):
        collect(place.publisher, Keep())
    assert collect(place.publisher, Keep(), force=True).objects_removed
    assert place.manifest().garbage_collectable
    assert_sound(place.store, place)


@pytest.mark.parametrize("codec", [Zlib(), Plain()])
def test_other_hashes_and_plain_objects_are_kept_as_well(tmp_path: Path, key_folder: KeyFolder, codec: Codec) -> None:
    place = Place(tmp_path / "r", key_folder.path)
    publisher = replace(place.publisher, options=replace(place.publisher.options, codec=codec))
    publisher.create(place.signer, algorithm=Algorithm.SHAKE128)
    for number in range(4):
        with publisher.transaction() as transaction:
            data = random.Random(number).randbytes(9000)
            transaction.put("/large", regular("large", transaction.store_content([data])))
            transaction.put("/zero", regular("zero", transaction.store_whole(b"")))
            transaction.commit()
    assert collect(publisher, Keep()).objects_removed > 8
    assert shown(place.store, place)["/large"] == random.Random(3).randbytes(9000)
    assert_sound(place.store, place)
    replica = LocalStore.create(tmp_path / "replica")
    replicate(place.store, replica, publisher.fqrn, publisher.public_keys, clock=place.clock)
    assert_sound(replica, place)


def test_a_replica_or_another_key_is_refused(place: Place, other_keys: KeyFolder) -> None:
    theirs = Place(place.folder, other_keys.path, clock=place.clock)
    publisher = theirs.publisher
    object.__setattr__(publisher, "public_keys", place.publisher.public_keys)
    with pytest.raises(KeyUnusable):
        collect(publisher, Keep())
    place.store.replace(LAST_SNAPSHOT, b"today\n")
    with pytest.raises(NotCollectable, match="replica"):
        collect(place.publisher, Keep())


def test_nobody_publishes_meanwhile(place: Place) -> None:
    with place.publisher.transaction(), pytest.raises(RepositoryBusy):
        collect(place.publisher, Keep())


@pytest.mark.parametrize("kind", [MortalStore, MortalBucket])
@pytest.mark.parametrize("after", [False, True])
def test_a_collection_killed_anywhere_loses_nothing_and_the_next_finishes(
    place: Place, tmp_path: Path, kind: type[MortalStore], after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collecting, "BATCH", 3)
    whole = Place(shutil.copytree(place.folder, tmp_path / "whole"), place.key_folder, clock=place.clock)
    removed = collect(whole.publisher, Keep()).objects_removed
    tagged, head = shown(place.store, place, "v3"), shown(place.store, place)
    killed = 0
    for number in (1, 2, 3, 4, 5, 6, removed // 2, removed + 3, removed + 4, removed + 9):
        folder = shutil.copytree(place.folder, tmp_path / f"{number}")
        cut = Place(folder, place.key_folder, clock=place.clock)
        cut.store = kind(folder)
        cut.store.steps, cut.store.after = number, after
        try:
            collect(cut.publisher, Keep())
        except Killed:
            killed += 1
        cut.store = LocalStore(folder) if kind is MortalStore else MortalBucket(folder)
        assert (shown(cut.store, cut, "v3"), shown(cut.store, cut)) == (tagged, head)
        finished = _finish(cut)
        assert finished.objects_kept <= len(whole.objects())
        assert cut.objects() == whole.objects(), number
        assert (shown(cut.store, cut, "v3"), shown(cut.store, cut)) == (tagged, head)
        assert_sound(cut.store, cut)
    assert killed >= 8


def _finish(cut: Place) -> Collected:
    """The next collection; it waits for the time of one that died."""
    try:
        return collect(cut.publisher, Keep())
    except RepositoryBusy:
        cut.clock.now += LEASE_SECONDS + CLOCK_SKEW_SECONDS + 1
        return collect(cut.publisher, Keep())
