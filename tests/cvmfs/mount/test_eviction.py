"""What leaves a bounded cache."""

from hypothesis import given
from hypothesis import strategies as st

from fondaco.cvmfs.mount.eviction import LOW_WATER, Cached, victims

FILES = st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 50)), max_size=60).map(
    lambda rows: [Cached(f"{number}", size, used) for number, (size, used) in enumerate(rows)]
)


@given(FILES, st.integers(1, 20_000))
def test_the_rest_fits_and_the_oldest_leave_first(files: list[Cached], limit: int) -> None:
    leaving = victims(files, limit)
    staying = [file for file in files if file not in leaving]
    total = sum(file.size for file in files)
    if total <= limit:
        assert leaving == []
        return
    assert sum(file.size for file in staying) <= limit * LOW_WATER
    assert all(gone.used <= kept.used for gone in leaving for kept in staying)
    spared = leaving[:-1]  # none more than needed: without the last one it would not fit
    assert total - sum(file.size for file in spared) > limit * LOW_WATER
