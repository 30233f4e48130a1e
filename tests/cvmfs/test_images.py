"""Catalogs kept in memory: never more than the limit, and those used last."""

from hypothesis import given
from hypothesis import strategies as st

from fondaco.cvmfs.digest import Digest
from fondaco.cvmfs.images import Images


def digest(number: int) -> Digest:
    return Digest(bytes([number]) * 20)


def test_those_used_last_stay() -> None:
    images = Images(most=10)
    images.keep(digest(1), b"1" * 4)
    images.keep(digest(2), b"2" * 4)
    assert images.get(digest(1)) == b"1" * 4
    images.keep(digest(3), b"3" * 4)
    assert images.get(digest(2)) is None
    assert images.get(digest(1)) == b"1" * 4
    assert images.get(digest(3)) == b"3" * 4


def test_one_that_is_larger_than_all_is_not_kept_and_drives_nothing_out() -> None:
    images = Images(most=10)
    images.keep(digest(1), b"1")
    images.keep(digest(2), b"2" * 11)
    assert images.get(digest(2)) is None
    assert images.get(digest(1)) == b"1"


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 30)), max_size=40))
def test_the_limit_holds(kept: list[tuple[int, int]]) -> None:
    images = Images(most=50)
    sizes = dict(reversed(kept))  # an image of one digest is always the same
    for number, _ in kept:
        images.keep(digest(number), bytes(sizes[number]))
        assert images.get(digest(number)) == bytes(sizes[number])
        assert sum(size for number, size in sizes.items() if images.get(digest(number)) is not None) <= 50
