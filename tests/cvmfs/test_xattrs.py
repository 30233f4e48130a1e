"""The blob of extended attributes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fondaco.cvmfs.errors import MalformedData
from fondaco.cvmfs.xattrs import pack, unpack

KEYS = st.binary(min_size=1, max_size=255)


@given(st.dictionaries(KEYS, st.binary(max_size=255), max_size=20))
def test_attributes_come_back(attributes: dict[bytes, bytes]) -> None:
    assert unpack(pack(attributes)) == attributes


@given(st.binary(max_size=200))
def test_any_bytes_are_attributes_or_malformed(blob: bytes) -> None:
    try:
        attributes = unpack(blob)
    except MalformedData:
        return
    if attributes:
        assert unpack(pack(attributes)) == attributes


def test_the_layout_is_that_of_the_reference() -> None:
    assert pack({b"user.b": b"2", b"user.a": b""}) == b"\x01\x02\x06\x00user.a\x06\x01user.b2"


@pytest.mark.parametrize(
    "blob", [b"\x02\x00", b"\x01", b"\x01\x01", b"\x01\x01\x01\x01k", b"\x01\x00x", b"\x01\x01\x00\x00"]
)
def test_a_cut_or_foreign_blob_is_malformed(blob: bytes) -> None:
    with pytest.raises(MalformedData):
        unpack(blob)
