from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fondaco.cvmfs.errors import StoreFailed
from fondaco.cvmfs.stores.keys import check_key, is_below


@given(st.lists(st.sampled_from(["data", "ab", "..", ".", "", "x\0", "a b"]), min_size=1, max_size=5))
def test_a_key_that_passes_stays_below_the_root(parts: list[str]) -> None:
    key = "/".join(parts)
    try:
        check_key(key)
    except StoreFailed:
        assert {"", ".", "..", "x\0"} & set(parts)
    else:
        path = PurePosixPath("/repository", key)
        assert path.is_relative_to("/repository/" + parts[0])
        assert ".." not in path.parts
        assert str(path) == f"/repository/{key}"


@pytest.mark.parametrize(
    ("key", "prefix", "below"),
    [
        ("data/ab/c", "", True),
        ("data/ab/c", "data", True),
        ("data/ab/c", "data/", True),
        ("data/ab/c", "dat", False),
        ("data/ab/c", "data/a", False),
        ("data", "data", False),
    ],
)
def test_a_prefix_is_a_folder(key: str, prefix: str, below: bool) -> None:
    assert is_below(key, prefix) is below
