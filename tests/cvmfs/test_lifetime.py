"""A repository's life: publishes, abandoned ones, tags, collections and snapshots in any order, against a model."""

import random
from pathlib import Path

import pytest

from fondaco.cvmfs.catalog.balance import Balance
from fondaco.cvmfs.entry import regular
from fondaco.cvmfs.gc.collect import collect
from fondaco.cvmfs.gc.keep import Keep
from fondaco.cvmfs.ingest import IngestOptions
from fondaco.cvmfs.mirror import MirrorOptions
from fondaco.cvmfs.replicate.snapshot import replicate
from fondaco.cvmfs.stores.local import LocalStore
from tests.cvmfs.conftest import KeyFolder
from tests.cvmfs.replicas import assert_sound, fill, shown
from tests.cvmfs.repositories import FQRN, Place

HERE = MirrorOptions(ingest=IngestOptions(processes=0))
STEPS = 14

Files = dict[str, bytes]


class Life:
    """A repository, its replica, and what both should show."""

    def __init__(self, folder: Path, keys: KeyFolder, seed: int) -> None:
        self.random = random.Random(seed)
        self.place = Place(folder / "origin", keys.path, balance=Balance(maximum=9, minimum=3, merge_below=2)).create()
        self.replica = LocalStore.create(folder / "replica")
        self.files: Files = {}
        self.tagged: dict[str, Files] = {}
        self.copied: tuple[Files, dict[str, Files]] | None = None
        self._folder = folder / "files"

    def publish(self) -> None:
        for _ in range(self.random.randint(1, 6)):
            name = f"{self.random.choice('abc')}/{self.random.randint(0, 7)}"
            if name in self.files and self.random.random() < 0.4:
                del self.files[name]
            else:
                # Few different contents, so that objects are shared, go, and come back; some are cut into chunks.
                self.files[name] = random.Random(self.random.randint(0, 9)).randbytes(self.random.choice((5, 6000)))
        tag = f"t{len(self.tagged)}" if self.random.random() < 0.3 else None
        self.place.publish(fill(self._folder, self.files), tag=tag, options=HERE)
        if tag:
            self.tagged[tag] = dict(self.files)

    def abandon(self) -> None:
        with self.place.publisher.transaction() as transaction:
            data = random.Random(self.random.randint(0, 20)).randbytes(6000)
            transaction.put("/lost", regular("lost", transaction.store_content([data])))

    def collect(self) -> None:
        since = int(self.place.clock.now) - self.random.randint(0, 300) if self.random.random() < 0.5 else None
        keep = Keep(revisions=self.random.randint(0, 2), since=since)
        done = collect(self.place.publisher, keep)
        assert done.objects_kept == len(self.place.objects()), "all that is needed is there, and nothing else"

    def copy(self) -> None:
        replicate(
            self.place.store, self.replica, FQRN, [self.place.signer.public_key], threads=2, clock=self.place.clock
        )
        self.copied = dict(self.files), dict(self.tagged)

    def compare(self) -> None:
        self._compare(self.place.store, self.files, self.tagged)
        if self.copied is not None:
            self._compare(self.replica, *self.copied)

    def _compare(self, store: LocalStore, files: Files, tagged: dict[str, Files]) -> None:
        for tag, expected in [(None, files), *tagged.items()]:
            seen = shown(store, self.place, tag)
            found = {
                path[1:]: content
                for path, content in seen.items()
                if isinstance(content, bytes) and not path.rpartition("/")[2].startswith(".cvmfs")
            }
            assert found == expected
        for tag in (None, *list(tagged)[-1:]):
            assert_sound(store, self.place, tag)


@pytest.mark.parametrize("seed", range(6))
def test_any_order_of_events_shows_what_was_published(tmp_path: Path, key_folder: KeyFolder, seed: int) -> None:
    life = Life(tmp_path, key_folder, seed)
    events = (life.publish, life.publish, life.abandon, life.collect, life.copy)
    for _ in range(STEPS):
        life.random.choice(events)()
        life.compare()
