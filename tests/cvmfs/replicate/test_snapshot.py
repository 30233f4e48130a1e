"""Copying repositories into replicas."""

import random
from pathlib import Path

import pytest

from fondaco.cvmfs.check import check
from fondaco.cvmfs.digest import Digest, Suffix, object_key
from fondaco.cvmfs.errors import (
    AlreadyExists,
    CvmfsError,
    ObjectMissing,
    RolledBack,
    StoreFailed,
    VerificationFailed,
)
from fondaco.cvmfs.gc.collect import collect
from fondaco.cvmfs.gc.keep import Keep
from fondaco.cvmfs.ingest import IngestOptions
from fondaco.cvmfs.mirror import MirrorOptions
from fondaco.cvmfs.replicate import copier as copying
from fondaco.cvmfs.replicate.snapshot import Replicated, replicate
from fondaco.cvmfs.stores.base import (
    IS_SNAPSHOTTING,
    LAST_SNAPSHOT,
    MANIFEST,
    MASTER_REPLICA,
    MAX_OBJECT_BYTES,
    REFLOG,
    STATUS,
    WHITELIST,
    Store,
)
from fondaco.cvmfs.stores.local import LocalStore
from tests.cvmfs.conftest import GoldenRepository, KeyFolder
from tests.cvmfs.replicas import Killed, MortalStore, assert_sound, fill, open_repository, shown
from tests.cvmfs.repositories import FQRN, Place

HERE = MirrorOptions(ingest=IngestOptions(processes=0))


class Source(LocalStore):
    """Remembers what was asked for; *spoilt* keys give something else."""

    def __init__(self, root: Path | str) -> None:
        super().__init__(root)
        self.asked: list[str] = []
        self.spoilt: dict[str, list[bytes | CvmfsError]] = {}

    def get(self, key: str, *, limit: int = MAX_OBJECT_BYTES) -> bytes:
        self.asked.append(key)
        if self.spoilt.get(key):
            answer = self.spoilt[key].pop(0)
            if isinstance(answer, CvmfsError):
                raise answer
            return answer
        return super().get(key, limit=limit)


@pytest.fixture
def place(tmp_path: Path, key_folder: KeyFolder) -> Place:
    place = Place(tmp_path / "origin", key_folder.path).create()
    publish(place, 2, tag="v2")
    publish(place, 3)
    return place


def publish(place: Place, number: int, tag: str | None = None) -> None:
    files = {
        "same": b"same",
        "a/.cvmfscatalog": b"",
        "a/changing": b"%d" % number,
        "a/deep/.cvmfscatalog": b"",
        "a/deep/still": b"still",
        "large": random.Random(number).randbytes(9000),
    }
    place.publish(fill(place.folder.parent / "files", files), tag=tag, options=HERE)


@pytest.fixture
def source(place: Place) -> Source:
    return Source(place.folder)


@pytest.fixture
def replica(tmp_path: Path) -> LocalStore:
    return LocalStore.create(tmp_path / "replica")


def copy(place: Place, source: LocalStore, replica: Store, history: bool | None = None) -> Replicated:
    return replicate(source, replica, FQRN, [place.signer.public_key], threads=2, clock=place.clock, history=history)


def assert_same(place: Place, replica: LocalStore, *tags: str) -> None:
    for tag in (None, *tags):
        assert shown(replica, place, tag) == shown(place.store, place, tag)
        assert_sound(replica, place, tag)


def test_a_replica_shows_the_current_and_the_tagged_revisions(
    place: Place, source: Source, replica: LocalStore
) -> None:
    done = copy(place, source, replica)
    assert done.initial
    assert (done.revision, done.revisions, done.missing_tags) == (3, 2, ())
    assert_same(place, replica, "v2", "trunk-previous")
    assert done.objects == len(list(replica.list("data")))
    assert done.bytes == sum(listed.size for listed in replica.list_sizes("data"))


def test_the_root_files_are_those_of_a_stratum_1(place: Place, source: Source, replica: LocalStore) -> None:
    copy(place, source, replica)
    for key in (MANIFEST, WHITELIST):
        assert replica.get(key) == place.store.get(key)
    assert replica.get(LAST_SNAPSHOT).endswith(b" UTC 2026\n")
    assert b'"last_snapshot": "' in replica.get(STATUS)
    assert not any(replica.exists(key) for key in (IS_SNAPSHOTTING, MASTER_REPLICA, REFLOG))


def test_what_is_there_is_not_fetched_again(place: Place, source: Source, replica: LocalStore) -> None:
    copy(place, source, replica)
    publish(place, 4)
    source.asked.clear()
    before = set(replica.list("data"))
    done = copy(place, source, replica)
    assert not done.initial
    asked = {key for key in source.asked if key.startswith("data/")}
    certificate = object_key(place.manifest().certificate, Suffix.CERTIFICATE)
    metainfo = place.manifest().metainfo
    assert metainfo is not None
    assert asked & before == {certificate, object_key(metainfo, Suffix.METAINFO)}
    assert_same(place, replica, "v2")
    again = copy(place, source, replica)
    assert (again.objects, again.revisions) == (0, 0)


def test_revisions_between_come_along_after_the_first_time(place: Place, source: Source, replica: LocalStore) -> None:
    copy(place, source, replica)
    roots = []
    for number in (4, 5, 6):
        publish(place, number)
        roots.append(place.manifest().root_catalog)
    assert copy(place, source, replica).revisions == 3
    assert all(replica.exists(object_key(root, Suffix.CATALOG)) for root in roots)


def test_former_revisions_are_left_out_or_taken_along_when_asked(
    place: Place, source: Source, replica: LocalStore, tmp_path: Path
) -> None:
    for number in (4, 5):
        publish(place, number)
    assert copy(place, source, replica, history=False).revisions == 3, "the current one, trunk-previous and v2"
    everything = LocalStore.create(tmp_path / "everything")
    assert copy(place, source, everything, history=True).revisions == 5
    assert copy(place, source, LocalStore.create(tmp_path / "first")).revisions == 3


def test_former_revisions_that_were_collected_are_passed_over(
    place: Place, source: Source, replica: LocalStore
) -> None:
    copy(place, source, replica)
    for number in (4, 5, 6, 7):
        publish(place, number)
    collect(place.publisher, Keep())
    assert copy(place, source, replica).missing_tags == ()
    assert_same(place, replica, "v2")


def test_a_tag_whose_revision_is_gone_is_named(place: Place, source: Source, replica: LocalStore) -> None:
    (tag,) = [tag for tag in _tags(place) if tag[0] == "v2"]
    place.store.delete(object_key(tag[1], Suffix.CATALOG))
    assert copy(place, source, replica).missing_tags == ("trunk-previous", "v2")
    assert shown(replica, place) == shown(place.store, place)


def _tags(place: Place) -> list[tuple[str, Digest]]:
    return [(tag.name, tag.root) for tag in open_repository(place.store, place).tags()]


@pytest.mark.parametrize("suffix", [Suffix.FILE, Suffix.CHUNK, Suffix.CATALOG, Suffix.HISTORY, Suffix.METAINFO])
@pytest.mark.parametrize("answer", [b"other bytes", b"", StoreFailed("no answer")])
def test_a_wrong_answer_is_asked_for_again_and_never_stored(
    place: Place, source: Source, replica: LocalStore, suffix: Suffix, answer: bytes | CvmfsError
) -> None:
    key = needed_of(place, suffix)
    source.spoilt[key] = [answer] * copying.ATTEMPTS
    with pytest.raises((VerificationFailed, StoreFailed)):
        copy(place, source, replica)
    assert not replica.exists(key)
    assert not replica.exists(MANIFEST)
    source.spoilt[key] = [answer] * (copying.ATTEMPTS - 1)
    copy(place, source, replica)
    assert_same(place, replica, "v2")


def needed_of(place: Place, suffix: Suffix) -> str:
    """An object of the current revision."""
    manifest = place.manifest()
    if suffix is Suffix.CATALOG:
        return manifest.root_catalog_key
    named = {Suffix.HISTORY: manifest.history, Suffix.METAINFO: manifest.metainfo}.get(suffix)
    if named is None:
        entries = place.tree()
        raw = entries["/same"].digest if suffix is Suffix.FILE else entries["/large"].chunks[0].digest
        assert raw is not None
        named = Digest(raw)
    return object_key(named, suffix)


@pytest.mark.parametrize("suffix", [Suffix.FILE, Suffix.CHUNK, Suffix.CATALOG, Suffix.HISTORY])
def test_a_missing_object_changes_nothing_that_is_shown(
    place: Place, source: Source, replica: LocalStore, suffix: Suffix
) -> None:
    copy(place, source, replica)
    seen = shown(replica, place)
    publish(place, 4)
    entries = place.tree()
    key = (
        needed_of(place, suffix)
        if suffix is not Suffix.FILE
        else object_key(Digest(entries["/a/changing"].digest or b""), Suffix.FILE)
    )
    saved = place.store.get(key)
    place.store.delete(key)
    with pytest.raises(ObjectMissing):
        copy(place, source, replica)
    assert shown(replica, place) == seen
    assert_sound(replica, place)
    place.store.put_object(key, saved)
    copy(place, source, replica)
    assert_same(place, replica)


def test_large_objects_go_through_in_blocks(
    place: Place, source: Source, replica: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "MEMORY_BYTES", 100)
    key = needed_of(place, Suffix.CHUNK)
    good = place.store.get(key)
    place.store.replace(key, good[:-1])
    with pytest.raises(VerificationFailed):
        copy(place, source, replica)
    assert not replica.exists(key)
    place.store.replace(key, good)
    copy(place, source, replica)
    assert_same(place, replica)


def test_a_source_that_goes_back_is_refused(place: Place, source: Source, replica: LocalStore) -> None:
    old = {key: place.store.get(key) for key in (MANIFEST, REFLOG)}
    publish(place, 4)
    copy(place, source, replica)
    for key, data in old.items():
        place.store.replace(key, data)
    with pytest.raises(RolledBack, match="revision 3"):
        copy(place, source, replica)
    publish(place, 99)
    with pytest.raises(RolledBack, match="another revision 4"):
        copy(place, source, replica)


def test_only_a_source_and_only_a_replica_of_it(
    place: Place, source: Source, replica: LocalStore, other_keys: KeyFolder, tmp_path: Path
) -> None:
    with pytest.raises(AlreadyExists, match="published there"):
        copy(place, source, place.store)
    with pytest.raises(VerificationFailed):
        replicate(source, replica, FQRN, [other_keys.signer.public_key], clock=place.clock)
    with pytest.raises(VerificationFailed):
        replicate(source, replica, "b.example.org", [place.signer.public_key], clock=place.clock)
    copy(place, source, replica)
    with pytest.raises(AlreadyExists, match="replica of"):
        replicate(source, replica, "b.example.org", [place.signer.public_key], clock=place.clock)
    with pytest.raises(ObjectMissing, match="stratum 0"):
        copy(place, replica, LocalStore.create(tmp_path / "second"))


@pytest.mark.parametrize("after", [False, True])
def test_a_snapshot_killed_anywhere_is_old_or_new_and_the_next_finishes(
    place: Place, source: Source, replica: LocalStore, after: bool
) -> None:
    copy(place, source, replica)
    killed = 0
    for number in range(4, 40):
        publish(place, number)
        old, new = replica.get(MANIFEST), place.store.get(MANIFEST)
        trees = {old: shown(replica, place), new: shown(place.store, place)}
        mortal = MortalStore(replica.root)
        mortal.steps, mortal.after = number - 3, after
        try:
            copy(place, source, mortal)
        except Killed:
            killed += 1
        assert shown(replica, place) == trees[replica.get(MANIFEST)]
        assert_sound(replica, place)
        copy(place, source, replica)
        assert_same(place, replica)
        if number - 3 > killed:
            break  # it came to its end
    assert killed > 10


def test_what_a_crash_of_the_machine_left_is_not_trusted(place: Place, source: Source, replica: LocalStore) -> None:
    """Without a sync, names may be there without their content, or with another."""
    copy(place, source, replica)
    publish(place, 4)
    broken = object_key(Digest(place.tree()["/a/changing"].digest or b""), Suffix.FILE)
    empty = object_key(Digest(place.tree()["/large"].chunks[0].digest), Suffix.CHUNK)
    replica.replace(broken, bytes(len(place.store.get(broken))))
    replica.replace(empty, b"")
    replica.replace(IS_SNAPSHOTTING, b"then\n")
    copy(place, source, replica)
    assert_same(place, replica)
    assert not replica.exists(IS_SNAPSHOTTING)


def test_a_failed_snapshot_leaves_what_the_next_may_trust(place: Place, source: Source, replica: LocalStore) -> None:
    key = needed_of(place, Suffix.HISTORY)
    source.spoilt[key] = [StoreFailed("no answer")] * copying.ATTEMPTS
    with pytest.raises(StoreFailed):
        copy(place, source, replica)
    assert not replica.exists(IS_SNAPSHOTTING)


def test_a_repository_of_the_reference_tools_is_copied(golden: GoldenRepository, replica: LocalStore) -> None:
    done = replicate(
        LocalStore(golden.root), replica, golden.fqrn, [golden.public_key], clock=golden.valid_at.timestamp
    )
    assert done.missing_tags == ()
    assert check(replica, [golden.public_key], content=True, now=golden.valid_at).clean
    assert set(replica.list("data")) <= set(LocalStore(golden.root).list("data"))
