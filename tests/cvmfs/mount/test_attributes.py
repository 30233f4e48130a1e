"""What `stat` shows."""

import os
import stat

from fondaco.cvmfs.entry import Content, Entry, regular, special, symlink
from fondaco.cvmfs.mount.attributes import attributes_of


def test_a_file_shows_the_columns_of_its_row() -> None:
    entry = regular("f", Content(size=1024, digest=b"1" * 20), mode=0o640, mtime_ns=-1, uid=7, gid=8, linkcount=2)
    shown = attributes_of(entry, {})
    assert (shown.mode, shown.uid, shown.gid, shown.links) == (stat.S_IFREG | 0o640, 7, 8, 2)
    assert (shown.size, shown.blocks, shown.mtime_ns, shown.rdev) == (1024, 3, -1, 0)


def test_a_link_is_as_long_as_its_expanded_target() -> None:
    assert attributes_of(symlink("l", "$(A)/x"), {b"A": b"12345"}).size == 7


def test_a_device_shows_its_number_and_no_size() -> None:
    shown = attributes_of(special("n", stat.S_IFCHR | 0o600, rdev=os.makedev(1, 3)), {})
    assert (shown.rdev, shown.size) == (os.makedev(1, 3), 0)


def test_numbers_beyond_the_kernels_are_cut_and_no_link_count_is_zero() -> None:
    entry = Entry(name="f", mode=stat.S_IFREG, flags=4, uid=1 << 32, gid=(1 << 32) - 1, linkcount=0)
    shown = attributes_of(entry, {})
    assert (shown.uid, shown.gid, shown.links) == (0, (1 << 32) - 1, 1)
