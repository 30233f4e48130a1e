"""Work spread over threads, results in the order of the work."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import TypeVar

AHEAD = 8  # pieces handed out beyond the one waited for; bounds what is held in memory

Work = TypeVar("Work")
Result = TypeVar("Result")


def in_order(
    submit: Callable[[Work], Future[Result]], pieces: Iterable[Work], *, ahead: int = AHEAD
) -> Iterator[Result]:
    """The results of *pieces*, in their order; at most *ahead* of them are under way beyond the one waited for.

    *submit* hands a piece to whoever does it. *pieces* is drawn from in the caller's thread. The first error is raised
    where its result would have come; what was not begun by then is cancelled.
    """
    waiting: deque[Future[Result]] = deque()
    try:
        for piece in pieces:
            waiting.append(submit(piece))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
