"""The hard-link groups of one catalog: which ids are free, and link counts that fit the members.

A row's ``hardlinks`` column is ``group << 32 | link count``. All members of a group lie in one directory (so in one
catalog) and are equal but for their names; ids are unique within a catalog, clients give a group one inode. The
reference checker compares each member's link count with the number of members.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator

from fondaco.cvmfs.errors import LimitExceeded
from fondaco.cvmfs.paths import PathKey

MAX_GROUP = (1 << 31) - 1  # the column is a signed 64-bit integer, its upper half the group
GROUP_SHIFT = 32
ALONE = 1  # the column of a file that is in no group


class HardLinks:
    """Keeps groups right while rows come and go. Rows held back elsewhere must be in the database before a call."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._last: int | None = None  # highest group id in use; None: not looked up yet
        self._touched: set[PathKey] = set()  # directories in which a group gained or lost a member

    def new_group(self) -> int:
        """An id that no row has. LimitExceeded after two thousand million groups."""
        if self._last is None:
            (highest,) = self._connection.execute("SELECT max(hardlinks) FROM catalog").fetchone()
            self._last = max(0, highest or 0) >> GROUP_SHIFT
        self._last += 1
        if self._last > MAX_GROUP:
            raise LimitExceeded(
                "a hard link cannot be recorded", f"group ids end at {MAX_GROUP}", "publish its directory anew"
            )
        return self._last

    def touch(self, directory: PathKey) -> None:
        """A group of *directory* gained or lost a member: its link counts are brought up to date by :meth:`settle`."""
        self._touched.add(directory)

    def is_touched(self, directory: PathKey) -> bool:
        """Whether link counts in *directory* may be out of date."""
        return directory in self._touched

    def settle(self) -> None:
        """Make the link counts in all touched directories what they are; a group of one is none."""
        sql = "SELECT rowid, hardlinks FROM catalog WHERE parent_1 = ? AND parent_2 = ? AND hardlinks >> 32"
        for directory in self._touched:
            rows = self._connection.execute(sql, directory).fetchall()
            self._connection.executemany("UPDATE catalog SET hardlinks = ? WHERE rowid = ?", corrections(rows))
        self._touched.clear()


def corrections(rows: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """What to change in the grouped *rows* (rowid, column) of one directory, as (column, rowid). Pure."""
    rows = list(rows)
    members = Counter(column >> GROUP_SHIFT for _, column in rows)
    for rowid, column in rows:
        group = column >> GROUP_SHIFT
        wanted = group << GROUP_SHIFT | members[group] if members[group] > 1 else ALONE
        if column != wanted:
            yield wanted, rowid
