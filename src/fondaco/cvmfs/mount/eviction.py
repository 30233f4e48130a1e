"""Which files leave a bounded cache: a decision over a listing."""

from collections.abc import Iterable
from dataclasses import dataclass

LOW_WATER = 0.75  # of the limit: evicting down to here makes it rare


@dataclass(frozen=True, slots=True)
class Cached:
    """A file of the cache."""

    path: str
    size: int  # bytes on the disk
    used: int  # when it was last opened; any unit


def victims(files: Iterable[Cached], limit: int) -> list[Cached]:
    """The least recently used of *files*, enough of them that the rest fits three quarters of *limit* bytes.

    None as long as all of them fit *limit*.
    """
    oldest_first = sorted(files, key=lambda file: (file.used, file.path))
    total = sum(file.size for file in oldest_first)
    if total <= limit:
        return []
    chosen = []
    for file in oldest_first:
        if total <= limit * LOW_WATER:
            break
        chosen.append(file)
        total -= file.size
    return chosen
