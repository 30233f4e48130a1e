"""Files of a folder that have several names: each is read once, whatever the number of its names. Pure.

Names in one directory come together as a :class:`Leaf`; leaves of one inode in several directories share its content.
"""

import os
from dataclasses import dataclass
from typing import NamedTuple

from fondaco.cvmfs.entry import Entry

Inode = tuple[int, int]  # device and inode number


class Leaf(NamedTuple):
    """Anything but a directory, with all the names that it has in one directory."""

    source: bytes  # one of its names in the folder
    status: os.stat_result
    places: list[str]  # paths in the repository


@dataclass(slots=True)
class _Shared:
    """An inode that has more names than were met so far, or is being read."""

    names_left: int  # names that were not met yet
    places: list[list[str]]  # what waits for the content, directory by directory
    entry: Entry | None = None  # once it is stored


class InodeContents:
    """Which inodes were read; what was met under all its names is forgotten."""

    def __init__(self) -> None:
        self._shared: dict[Inode, _Shared] = {}
        self._reading: dict[str, Inode] = {}  # by the first place, which stands for the inode while it is read

    def meet(self, leaf: Leaf) -> Entry | None:
        """The published form of *leaf* if it was read; else it waits for that: see :meth:`must_read`."""
        inode = inode_of(leaf.status)
        shared = self._shared.get(inode)
        if shared is None:
            shared = self._shared[inode] = _Shared(leaf.status.st_nlink, [])
            self._reading[leaf.places[0]] = inode
        shared.names_left -= len(leaf.places)
        if shared.entry is None:
            shared.places.append(leaf.places)
        elif shared.names_left <= 0:
            del self._shared[inode]
        return shared.entry

    def must_read(self, leaf: Leaf) -> bool:
        """Whether *leaf*, just met, is the one to read for all of its inode."""
        return leaf.places[0] in self._reading

    def stored(self, path: str, entry: Entry) -> list[list[str]]:
        """The file read for *path* is *entry*: which paths show it, directory by directory; empty for other files."""
        inode = self._reading.pop(path, None)
        if inode is None:
            return []
        shared = self._shared[inode]
        places, shared.places, shared.entry = shared.places, [], entry
        if shared.names_left <= 0:
            del self._shared[inode]
        return places


def inode_of(status: os.stat_result) -> Inode:
    """What names of one file have in common."""
    return status.st_dev, status.st_ino
