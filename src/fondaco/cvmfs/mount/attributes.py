"""What ``stat`` shows of a catalog row: the values of the stock client.

Source: ``GetStatStructure`` and ``size()`` in cvmfs/directory_entry.h. All three times are the row's mtime.
"""

import stat
from collections.abc import Mapping
from dataclasses import dataclass

from fondaco.cvmfs import paths
from fondaco.cvmfs.entry import Entry
from fondaco.cvmfs.mount.variables import expand

BLOCK_BYTES = 512  # unit of st_blocks
_UNSIGNED_32 = 0xFFFFFFFF  # ids, link counts and device numbers of the kernel's protocol; catalogs hold 64 bits


@dataclass(frozen=True, slots=True)
class Attributes:
    """The fields of ``struct stat`` without the inode number."""

    mode: int  # with type bits
    links: int
    uid: int
    gid: int
    rdev: int  # makedev(major, minor) of a device, else 0
    size: int  # bytes; of a symbolic link, of its expanded target
    blocks: int  # of 512 bytes; never 0, as in the stock client
    mtime_ns: int


def attributes_of(entry: Entry, environment: Mapping[bytes, bytes]) -> Attributes:
    """The attributes of *entry*; *environment* expands the variables of a symbolic link."""
    mode = entry.mode
    rdev, size = 0, entry.size
    if stat.S_ISLNK(mode):
        size = len(target_of(entry, environment))
    elif stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        rdev, size = entry.size & _UNSIGNED_32, 0
    return Attributes(
        mode,
        max(1, entry.linkcount),
        entry.uid & _UNSIGNED_32,
        entry.gid & _UNSIGNED_32,
        rdev,
        size,
        1 + size // BLOCK_BYTES,
        entry.mtime_ns,
    )


def target_of(entry: Entry, environment: Mapping[bytes, bytes]) -> bytes:
    """The target of a symbolic link with its variables expanded."""
    target = paths.encode(entry.symlink)
    return expand(target, environment) if b"$(" in target else target
