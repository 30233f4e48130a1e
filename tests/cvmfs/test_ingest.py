"""Storing the content of many files in order, whatever the store and wherever their bytes are."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fondaco.cvmfs.content import ContentWriter
from fondaco.cvmfs.ingest import BATCH_BYTES, REMOTE_THREADS, IngestOptions, Status, ingest
from fondaco.cvmfs.stores.local import LocalStore
from fondaco.cvmfs.tarball.publish import HeldFile
from tests.cvmfs.stores.memory import MemoryStore

STATUS = Status(0o644, 0, 0, 0, None)


class RemoteStore(MemoryStore):
    """A store that is no folder."""

    def put_object(self, key: str, data: bytes) -> bool:
        is_new = key not in self.files
        self.files[key] = data
        return is_new


def held(count: int, size: int) -> Iterator[HeldFile]:
    return (HeldFile(f"/{number}", b"%d" % number + bytes(size), STATUS) for number in range(count))


@pytest.mark.parametrize("processes", [0, 2])
def test_results_come_in_order(tmp_path: Path, processes: int) -> None:
    store = LocalStore.create(tmp_path)
    writer: Any = ContentWriter(store=store)
    stored = [*itertools.chain(*ingest(writer, held(500, 100), IngestOptions(processes=processes), held=True))]
    assert [file.path for file in stored] == [f"/{number}" for number in range(500)]
    assert writer.tally.objects == len({file.content.digest for file in stored}) == 500
    assert [*ingest(writer, held(0, 0), IngestOptions(), held=True)] == []


def test_files_in_memory_are_not_drawn_without_end_from_a_remote_store() -> None:
    """Whatever the speed of the store, so many bytes are drawn before the first result is asked for, and no more."""
    writer = ContentWriter(store=RemoteStore())  # type: ignore[arg-type]  # what is used of it
    size = 1 << 20
    drawn = []

    def drawing() -> Iterator[HeldFile]:
        for file in held(60, size):
            drawn.append(file.size)
            yield file

    results = ingest(writer, drawing(), IngestOptions(), held=True)
    stored = next(results)
    assert sum(drawn) <= (REMOTE_THREADS // 2 + 1) * (BATCH_BYTES + size)
    assert len(stored) + sum(map(len, results)) == len(drawn) == 60
