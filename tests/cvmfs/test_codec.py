"""Stored bytes and back, in bounded memory."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fondaco.cvmfs.codec import CODECS, DEFAULT_CODEC, Compression, Zlib, codec_named, decompress, inflate
from fondaco.cvmfs.errors import LimitExceeded, MalformedData, UnknownCodec


@given(st.binary(max_size=5000))
def test_content_comes_back(data: bytes) -> None:
    for codec in CODECS.values():
        assert decompress(codec.compress(data), limit=len(data), compression=codec.compression) == data


def test_streams_of_all_codecs_but_none_are_whole_zlib_streams() -> None:
    content = b"text " * 10_000
    for name, codec in CODECS.items():
        if name != "none":
            assert zlib.decompress(codec.compress(content)) == content
            assert len(codec.compress(content)) < 1_000


def test_an_unknown_codec_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownCodec, match="zlib, deflate, fast, none"):
        codec_named("lzma")


def test_the_default_gives_the_objects_of_the_reference_publisher() -> None:
    assert isinstance(codec_named(DEFAULT_CODEC), Zlib)
    assert Zlib().compress(b"hello\n") == zlib.compress(b"hello\n")
    assert Zlib().compress(b"")[:2] == b"\x78\x9c"


@given(st.binary(max_size=300))
def test_any_bytes_are_content_or_a_clear_error(stored: bytes) -> None:
    try:
        content = decompress(stored, limit=1000)
    except (MalformedData, LimitExceeded):
        return
    assert zlib.decompress(stored) == content


@given(st.binary(min_size=1, max_size=3000), st.integers(1, 50), st.integers(1, 700))
def test_pieces_of_any_size_make_the_same_content(data: bytes, piece: int, block: int) -> None:
    stored = zlib.compress(data)
    pieces = [stored[start : start + piece] for start in range(0, len(stored), piece)]
    blocks = list(inflate(pieces, limit=len(data), block=block))
    assert b"".join(blocks) == data


@pytest.mark.parametrize("spoil", [lambda z: z[:-1], lambda z: z + b"x", lambda z: b"", lambda z: b"\0" + z])
def test_a_damaged_stream_is_said_to_be_so(spoil: object) -> None:
    with pytest.raises(MalformedData, match="decompress"):
        decompress(spoil(zlib.compress(b"data" * 100)), limit=1000)  # type: ignore[operator]


def test_a_bomb_is_not_inflated() -> None:
    blocks = inflate([zlib.compress(bytes(50_000_000))], limit=2_000_000)
    assert len(next(blocks)) <= 1 << 20
    with pytest.raises(LimitExceeded):
        list(blocks)
    with pytest.raises(LimitExceeded):
        decompress(b"x" * 11, limit=10, compression=Compression.NONE)
