"""Cut points, held against a byte-by-byte transcription of the reference detector."""

from hypothesis import given, settings
from hypothesis import strategies as st

from fondaco.cvmfs.chunking import ChunkSizes, find_cut, split

TINY = ChunkSizes(minimum=64, average=128, maximum=256)


def signed(value: int) -> int:
    return value - 2**32 if value >= 2**31 else value


def reference_sizes(data: bytes, sizes: ChunkSizes) -> list[int]:
    """The lengths of all chunks, one byte at a time, with the arithmetic of 32-bit integers."""
    lengths, last = [], 0
    while True:
        x, cut = 0, None
        for i in range(last + sizes.minimum - 32, min(len(data), last + sizes.maximum)):
            x = ((x << 1) ^ data[i]) & 0xFFFFFFFF
            if i < last + sizes.minimum:
                continue
            difference = signed((x - 0x7FFFFFFF) & 0xFFFFFFFF)
            distance = difference if difference == -(2**31) else abs(difference)  # abs(INT_MIN) is INT_MIN
            if distance < 0xFFFFFFFF // sizes.average:
                cut = i
                break
        if cut is None and len(data) > last + sizes.maximum:
            cut = last + sizes.maximum
        if cut is None:
            return [*lengths, len(data) - last]
        lengths.append(cut - last)
        last = cut


@settings(max_examples=60)
@given(st.binary(max_size=3000), st.integers(1, 700), st.sampled_from([1, 0x7F, 0xFF]))
def test_cuts_are_those_of_the_reference(data: bytes, step: int, fill: int) -> None:
    data += bytes([fill]) * 600  # long runs reach both the hard cut and the overflow of abs()
    want = reference_sizes(data, TINY)
    assert [len(part) for part in split([data], TINY)] == want
    blocks = [data[start : start + step] for start in range(0, len(data), step)]
    parts = list(split(blocks, TINY))
    assert [len(part) for part in parts] == want
    assert b"".join(parts) == data


def test_a_file_up_to_the_minimum_is_one_chunk() -> None:
    assert list(split([b"x" * 64], TINY)) == [b"x" * 64]
    assert list(split([], TINY)) == [b""]
    assert list(split([b"", b""], TINY)) == [b""]


def test_a_hard_cut_needs_a_byte_after_it() -> None:
    assert find_cut(b"\0" * 256, TINY) is None
    assert find_cut(b"\0" * 257, TINY) == 256


def test_defaults_are_those_of_the_reference_publisher() -> None:
    assert ChunkSizes() == ChunkSizes(minimum=4 << 20, average=8 << 20, maximum=16 << 20)
    assert ChunkSizes().threshold == 511
