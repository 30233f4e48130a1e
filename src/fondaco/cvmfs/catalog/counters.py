"""The statistics of a catalog: twelve counters for itself, twelve for everything below it."""

from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from typing import Self

from fondaco.cvmfs.entry import Entry


@dataclass(slots=True, kw_only=True)
class Counters:
    """One half of a catalog's statistics; field names are the format's, without ``self_`` or ``subtree_``."""

    regular: int = 0  # regular files, chunked and external ones included
    symlink: int = 0
    special: int = 0
    dir: int = 0  # the catalog's own root row included; a mountpoint counts in both catalogs
    nested: int = 0  # mountpoints
    chunked: int = 0
    chunks: int = 0
    file_size: int = 0  # bytes of all regular files
    chunked_size: int = 0  # bytes of the chunked ones
    xattr: int = 0  # rows that have extended attributes
    external: int = 0
    external_file_size: int = 0  # bytes

    def count(self, entry: Entry, sign: int = 1) -> None:
        """Add (or with -1 take away) one row."""
        if entry.is_dir:
            self.dir += sign
            self.nested += sign * entry.is_mountpoint
        elif entry.is_symlink:
            self.symlink += sign
        elif entry.is_special:
            self.special += sign
        else:
            self._count_file(entry, sign)
        self.xattr += sign * (entry.xattrs is not None)

    def _count_file(self, entry: Entry, sign: int) -> None:
        self.regular += sign
        self.file_size += sign * entry.size
        if entry.is_chunked:
            self.chunked += sign
            self.chunked_size += sign * entry.size
            self.chunks += sign * len(entry.chunks)
        if entry.is_external:
            self.external += sign
            self.external_file_size += sign * entry.size

    def add(self, other: "Counters", sign: int = 1) -> None:
        """Add (or with -1 take away) another set of counters."""
        for name in COUNTER_NAMES:
            setattr(self, name, getattr(self, name) + sign * getattr(other, name))

    @property
    def entries(self) -> int:
        """Rows of the catalog."""
        return self.regular + self.symlink + self.special + self.dir

    @classmethod
    def sum(cls, parts: Iterable["Counters"]) -> Self:
        """All of *parts* together."""
        total = cls()
        for part in parts:
            total.add(part)
        return total

    def copy(self) -> "Counters":
        return Counters(**dict(zip(COUNTER_NAMES, astuple(self), strict=True)))


COUNTER_NAMES = tuple(field.name for field in fields(Counters))
