"""Paths and their keys."""

import hashlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fondaco.cvmfs import paths
from fondaco.cvmfs.errors import BadPath

NAMES = st.binary(min_size=1, max_size=20).filter(lambda raw: not {0, 47} & set(raw) and raw not in (b".", b".."))
PATHS = st.lists(NAMES, max_size=6).map(lambda names: "".join("/" + paths.decode(name) for name in names))


def test_keys_are_two_signed_little_endian_halves_of_the_md5() -> None:
    assert paths.path_key("") == (338333539836370388, 9098107892288553193)  # as the reference publisher wrote it
    assert paths.path_key("/emptydir") == (-1559123937647434592, -7325430163554750222)


@given(PATHS)
def test_any_bytes_but_slash_and_nul_make_a_path(path: str) -> None:
    assert paths.check_path(path) == path
    raw = hashlib.md5(paths.encode(path)).digest()
    assert struct.pack("<qq", *paths.path_key(path)) == raw
    assert paths.decode(paths.encode(path)) == path


@given(PATHS)
def test_a_path_is_its_parent_and_its_name(path: str) -> None:
    if path:
        assert f"{paths.parent_of(path)}/{paths.name_of(path)}" == path
        assert list(paths.ancestors(path))[-1] == paths.parent_of(path)
        assert paths.is_below(path, paths.parent_of(path))
    assert not paths.is_below(path, path)
    assert len(list(paths.ancestors(path))) == path.count("/")


@pytest.mark.parametrize("path", ["/", "a", "//", "/a/", "/./a", "/a/..", "/a\0", "/" + "n" * 256, "/ab" * 1366])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(BadPath):
        paths.check_path(path)


def test_no_name_is_normalised() -> None:
    assert paths.path_key("/é") != paths.path_key("/e\u0301")
