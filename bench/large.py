"""An object of 6 GB from a bucket into a repository, in a process of its own: `python -m bench.large FOLDER`.

The bucket is made up, so that neither memory nor disk of its server is measured: it hands out text that never repeats.
"""

import hashlib
import io
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.measure import peak_memory
from bench.publish import FQRN, new_repository
from bench.rows import Figure, Row, Setting
from bench.trees import BLOCK_BYTES, Text
from fondaco.backends.bucket import ObjectInfo
from fondaco.backends.errors import KeyMissing
from fondaco.software.ledger import Ledger
from fondaco.software.sync import Sync

SIZE = 6_000_000_000
INFO = ObjectInfo("cvmfs/model.bin", SIZE, "0" * 32, 1_790_000_000)
DIFFERENT_BLOCKS = 32  # each comes again with another hash in it


class OneLargeObject:
    """A bucket with a single object (`fondaco.backends.bucket.Bucket`)."""

    name = "bench"

    def exists(self) -> bool:
        return True

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        yield from [INFO] if INFO.key.startswith(prefix) else []

    def head(self, key: str) -> ObjectInfo:
        if key != INFO.key:
            raise KeyMissing(f"there is no {key}")
        return INFO

    def open(self, key: str) -> "LargeStream":
        return LargeStream(self.head(key))

    def open_seekable(self, info: ObjectInfo) -> io.BufferedReader:
        raise NotImplementedError(info.key)  # only archives are read so


class LargeStream:
    """The object being read."""

    def __init__(self, info: ObjectInfo) -> None:
        self.info = info

    def __iter__(self) -> Iterator[bytes]:
        text = Text(6)
        parts = [text.take(BLOCK_BYTES - 32) for _ in range(DIFFERENT_BLOCKS)]
        left = self.info.size
        number = 0
        while left > 0:
            block = hashlib.sha256(b"%d" % number).digest() + parts[number % DIFFERENT_BLOCKS]
            yield block[:left]
            left -= len(block)
            number += 1


def one_large_object(setting: Setting) -> Sequence[Figure]:
    """A sweep that finds, reads and publishes the object."""
    started = time.perf_counter()
    peak = peak_memory([sys.executable, "-m", "bench.large", setting.folder])
    wall = time.perf_counter() - started
    return (
        Figure(label="peak memory", value=peak, unit="B", budget=512 * 2**20),
        Figure(label="wall", value=wall, unit="s"),
        Figure(label="bytes a second", value=SIZE / wall, unit="B"),
    )


def _sweep(folder: Path) -> None:
    publisher = new_repository(folder)
    with Ledger(folder / "ledger", FQRN) as ledger, Sync(OneLargeObject(), publisher, ledger) as sync:
        sync.sweep()
    with publisher.transaction() as transaction:
        found = transaction.lookup("/model.bin")
    assert found is not None
    assert found.size == SIZE


ROWS = (
    Row(
        name="large-object",
        title="one object of 6 GB from a bucket (made up) into a repository",
        measure=one_large_object,
        long=True,
    ),
)

if __name__ == "__main__":
    _sweep(Path(sys.argv[1]))
