"""Where large files are cut: the content-defined boundaries of the reference publisher.

A rolling checksum over the last 32 bytes, ``x[i] = XOR over k of b[i-k] << k (mod 2**32)``, is tested from the
minimum chunk size on; a chunk ends *before* byte i where x lies within a narrow window. Equal cuts make equal chunks,
so content deduplicates across publishers.
Source: cvmfs/ingestion/chunk_detector.cc; boundaries verified against its output.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

MEBIBYTE = 1 << 20
WINDOW = 32  # bytes that the checksum depends on
CENTRE = 0x7FFFFFFF  # of the tested interval; changing it would move every cut
_SCAN_BYTES = MEBIBYTE  # bytes tested at a time; a cut ends the search, so larger steps only waste work


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkSizes:
    """Bounds in bytes; the defaults are those of the reference publisher. Files up to *minimum* are never cut."""

    minimum: int = 4 * MEBIBYTE
    average: int = 8 * MEBIBYTE
    maximum: int = 16 * MEBIBYTE

    def __post_init__(self) -> None:
        if not WINDOW <= self.minimum < self.average < self.maximum:
            raise ValueError(f"{WINDOW} <= minimum < average < maximum must hold, got {self}")

    @property
    def threshold(self) -> int:
        """Half the width of the tested interval."""
        return 0xFFFFFFFF // self.average


def split(blocks: Iterable[bytes], sizes: ChunkSizes) -> Iterator[bytes]:
    """The chunks of a file that arrives as *blocks*; at least one, possibly empty.

    Holds at most one chunk and one block in memory.
    """
    held = bytearray()
    searched = 0  # bytes of *held* in which no cut can begin any more
    for block in blocks:
        held += block
        while len(held) > sizes.minimum:
            cut = find_cut(held, sizes, searched)
            if cut is None:
                searched = len(held)
                break
            yield bytes(memoryview(held)[:cut])
            del held[:cut]
            searched = 0
    yield bytes(held)


def find_cut(data: bytes | bytearray, sizes: ChunkSizes, searched: int = 0) -> int | None:
    """Length of the first chunk of *data*, None when no cut is in it; bytes before *searched* hold none."""
    end = min(len(data), sizes.maximum)
    start = max(sizes.minimum, searched)
    while start < end:
        stop = min(start + _SCAN_BYTES, end)
        hit = _first_hit(data, start, stop, sizes.threshold)
        if hit is not None:
            return hit
        start = stop
    return sizes.maximum if len(data) > sizes.maximum else None


def _first_hit(data: bytes | bytearray, start: int, stop: int, threshold: int) -> int | None:
    """The first i in [start, stop) whose checksum lies in the interval.

    The checksum of all positions comes from five doublings, x ^= shifted(x) << k for k = 1, 2, 4, 8, 16
    (64 MB in 0.3 s).
    """
    import numpy  # noqa: PLC0415  # 0.1 s to import: only for files that are large enough to be cut

    window = memoryview(data)[start - WINDOW + 1 : stop] if start >= WINDOW - 1 else memoryview(data)[:stop]
    x = numpy.frombuffer(window, dtype=numpy.uint8).astype(numpy.uint32)
    for shift in (1, 2, 4, 8, 16):
        shifted = x[:-shift] << numpy.uint32(shift)
        x[shift:] ^= shifted
    tested = x[len(x) - (stop - start) :]
    low, high = CENTRE - threshold, CENTRE + threshold
    # 0xFFFFFFFF is hit as well: abs() of the most negative difference overflows in the reference implementation
    hits = numpy.flatnonzero(((tested > low) & (tested < high)) | (tested == 0xFFFFFFFF))
    return start + int(hits[0]) if hits.size else None
