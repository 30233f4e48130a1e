"""Which entries of a tree somebody looks for (pure), and finding them."""

import fnmatch
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from fondaco.cvmfs.catalog.row import Row
from fondaco.cvmfs.walking import CatalogChain, FoundRow, walk_rows

KINDS = {
    "f": "file",
    "d": "directory",
    "l": "symlink",
    "p": "fifo",
    "s": "socket",
    "c": "character device",
    "b": "block device",
}
"""Letters of find(1) for the kinds of :attr:`~fondaco.cvmfs.catalog.row.Row.kind`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Criteria:
    """What an entry must be; all that is given must hold."""

    name: str | None = None  # shell pattern for the last part of the path; upper and lower case differ
    kinds: frozenset[str] = frozenset()  # of Row.kind; empty: any
    min_size: int | None = None  # bytes; with a size wanted only regular files match
    max_size: int | None = None
    newer_ns: int | None = None  # nanoseconds since 1970; modified after that
    older_ns: int | None = None  # modified before that
    _pattern: re.Pattern[str] | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        pattern = None if self.name is None else re.compile(fnmatch.translate(self.name))
        object.__setattr__(self, "_pattern", pattern)  # the way of frozen dataclasses

    def match(self, row: Row) -> bool:
        """Whether *row* is one."""
        if self._pattern is not None and self._pattern.match(row.name) is None:
            return False
        if self.kinds and row.kind not in self.kinds:
            return False
        return self._size_fits(row) and self._time_fits(row)

    def _size_fits(self, row: Row) -> bool:
        if self.min_size is None and self.max_size is None:
            return True
        return (
            row.is_regular
            and (self.min_size is None or row.size >= self.min_size)
            and (self.max_size is None or row.size <= self.max_size)
        )

    def _time_fits(self, row: Row) -> bool:
        if self.newer_ns is None and self.older_ns is None:
            return True
        when = row.mtime_ns
        return (self.newer_ns is None or when > self.newer_ns) and (self.older_ns is None or when < self.older_ns)


def search(chain: CatalogChain, top: str, criteria: Criteria) -> Iterator[FoundRow]:
    """What matches of *top* and all below it, as it is found, directory by directory."""
    return ((path, row) for path, row in walk_rows(chain, top) if criteria.match(row))
