"""Sample trees, the same bytes on every machine."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

WORDS = 4096
SMALL_FILES, SMALL_BYTES = 10_000, 41_000_000
MIXED_FILES, MIXED_BYTES = 2_102, 500_000_000
LARGE_BYTES = 55_000_000
BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Tree:
    """A folder of sample files."""

    folder: Path
    files: int
    bytes: int


class Text:
    """Text of made-up words, common ones more often: zlib at level 6 makes 0.4 of it, as of program sources."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.Generator(np.random.PCG64(seed))
        letters = np.frombuffer(b"etaoinshrdlucmfwypvbgk_()=.,", dtype=np.uint8)
        lengths = self._random.integers(2, 11, WORDS)
        self._words = [letters[self._random.integers(0, len(letters), length)].tobytes() for length in lengths]
        self._words[::40] = [b"\n   "] * len(self._words[::40])

    def blocks(self, size: int) -> Iterator[bytes]:
        """*size* bytes as blocks."""
        while size > 0:
            part = self.take(min(size, BLOCK_BYTES))
            yield part
            size -= len(part)

    def take(self, size: int) -> bytes:
        """The next *size* bytes."""
        draws = self._random.random(size // 4 + 1)
        chosen = (draws * draws * draws * WORDS).astype(np.int64)
        return b" ".join(map(self._words.__getitem__, chosen.tolist()))[:size]


def binary(random: np.random.Generator, size: int, *, dense: bool) -> bytes:
    """Records with six random bytes in sixteen (zlib at level 6 makes 0.47 of them), or *dense* floats (0.93)."""
    if dense:
        return random.normal(size=size // 4 + 1).astype("<f4").tobytes()[:size]
    records = np.empty((size // 16 + 1, 16), dtype=np.uint8)
    records[:, :6] = random.integers(0, 256, (len(records), 6))
    records[:, 6] = random.integers(0, 4, len(records))
    records[:, 7:] = np.arange(9)
    return records.tobytes()[:size]


def small_tree(folder: Path) -> Tree:
    """10,000 files of text, 41 MB, 100 to a directory; sizes from 200 bytes to 12 kB."""
    text = Text(1)
    random = np.random.Generator(np.random.PCG64(2))
    sizes = _sizes(random.integers(200, 8_000, SMALL_FILES), SMALL_BYTES)
    for number, size in enumerate(sizes):
        file = folder / f"package{number // 100:03d}" / f"module_{number % 100:02d}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.take(size))
    return Tree(folder=folder, files=SMALL_FILES, bytes=SMALL_BYTES)


def mixed_tree(folder: Path) -> Tree:
    """2,102 files, 500 MB: 2,000 sources, 100 data files, two of 55 MB (chunked); zlib makes 0.45 of all."""
    text = Text(3)
    random = np.random.Generator(np.random.PCG64(4))
    for name in ("model-a.txt", "model-b.txt"):
        _write(folder / "share" / name, text.blocks(LARGE_BYTES))
    left = MIXED_BYTES - 2 * LARGE_BYTES
    for number, size in enumerate(_sizes(random.integers(1_000, 150_000, 2_000), left // 2)):
        _write(folder / "lib" / f"p{number // 50:02d}" / f"m{number % 50:02d}.py", text.blocks(size))
    for number, size in enumerate(_sizes(random.integers(1_000_000, 3_000_000, 100), left - left // 2)):
        _write(folder / "data" / f"run{number:02d}.bin", iter([binary(random, size, dense=number % 7 == 0)]))
    return Tree(folder=folder, files=MIXED_FILES, bytes=MIXED_BYTES)


def _sizes(drawn: "np.ndarray[tuple[int], np.dtype[np.int64]]", total: int) -> list[int]:
    """The drawn sizes scaled so that their sum is *total*."""
    sizes = [int(size) for size in drawn * (total / drawn.sum())]
    sizes[-1] += total - sum(sizes)
    return sizes


def _write(file: Path, blocks: Iterator[bytes]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as target:
        target.writelines(blocks)
