"""Work in threads, results in order."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from fondaco.cvmfs.ordered import in_order


def test_results_come_in_the_order_of_the_work() -> None:
    first_may_end = threading.Event()

    def work(number: int) -> int:
        if number == 0:
            assert first_may_end.wait(10)
        if number == 5:
            first_may_end.set()
        return number

    with ThreadPoolExecutor(6) as pool:
        assert list(in_order(lambda number: pool.submit(work, number), range(50))) == list(range(50))


def test_no_more_than_so_many_are_drawn_ahead() -> None:
    drawn = []

    def pieces() -> object:
        for number in range(100):
            drawn.append(number)
            yield number

    with ThreadPoolExecutor(2) as pool:
        results = in_order(lambda number: pool.submit(int, number), pieces(), ahead=3)  # type: ignore[arg-type]
        assert next(results) == 0
        assert len(drawn) <= 5
        results.close()  # type: ignore[attr-defined]


def test_an_error_comes_in_its_place_and_ends_the_work() -> None:
    def work(number: int) -> float:
        return 1 / (3 - number)

    with ThreadPoolExecutor(2) as pool:
        results = in_order(lambda number: pool.submit(work, number), range(10))
        assert [next(results) for _ in range(3)] == [1 / 3, 1 / 2, 1]
        with pytest.raises(ZeroDivisionError):
            next(results)
