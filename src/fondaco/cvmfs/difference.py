"""What differs between two trees, at a cost that goes with what differs.

Both are walked side by side. Where a nested catalog begins in both and is the same object, nothing below it is looked
at. Where one tree has a nested catalog and the other one none, the walk goes on in whatever catalog holds the rows.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from fondaco.cvmfs import paths
from fondaco.cvmfs.catalog.opened import OpenCatalog
from fondaco.cvmfs.catalog.row import Row
from fondaco.cvmfs.digest import Digest
from fondaco.cvmfs.entry import CHUNKED, COMPRESSION_MASK, EXTERNAL, HASH_MASK
from fondaco.cvmfs.paths import AUTO_MARKER, CATALOG_MARKER
from fondaco.cvmfs.stores.base import ReadableStore
from fondaco.cvmfs.walking import CatalogChain, check_directory_name, walk_rows

_STORED_FORM = CHUNKED | EXTERNAL | HASH_MASK | COMPRESSION_MASK


class Change(Enum):
    """What happened to a path."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


class Aspect(Enum):
    """In what a path differs."""

    KIND = "kind"
    """A file became a directory, say; what was or is below it is told path by path."""
    CONTENT = "content"
    """The stored object is another one; equal bytes stored in another way (chunks, compression) differ too."""
    TARGET = "target"
    DEVICE = "device"
    MODE = "mode"
    OWNER = "owner"
    MTIME = "mtime"
    XATTRS = "xattrs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One path that differs."""

    path: str
    change: Change
    row: Row  # the new one, of what was removed the old one
    aspects: tuple[Aspect, ...] = ()  # of what changed


def differences(store: ReadableStore, old: Digest, new: Digest) -> Iterator[Difference]:
    """What differs between the trees of two root catalogs, directory by directory, by name.

    Marker files of automatic nested catalogs are left out: they tell of the catalogs, not of the files.
    """
    if old == new:
        return
    with CatalogChain(store, old) as before, CatalogChain(store, new) as after:
        yield from compare(before, after)


def compare(before: CatalogChain, after: CatalogChain) -> Iterator[Difference]:
    """As :func:`differences`, of trees that are open."""
    yield from _root(before, after)
    waiting = [paths.ROOT]
    while waiting:
        path = waiting.pop()
        yield from _directory(before, after, path, waiting)


def _root(before: CatalogChain, after: CatalogChain) -> Iterator[Difference]:
    row = after.lookup(paths.ROOT)
    aspects = row_aspects(before.lookup(paths.ROOT), row)
    if aspects:
        yield Difference(path=paths.ROOT, change=Change.CHANGED, row=row, aspects=aspects)


def _directory(before: CatalogChain, after: CatalogChain, path: str, waiting: list[str]) -> Iterator[Difference]:
    """What differs in a directory that both have; those in it that must be looked at are added to *waiting*."""
    old_catalog, new_catalog = before.enter(path), after.enter(path)
    old, new = _rows(old_catalog, path), _rows(new_catalog, path)
    further: list[str] = []
    whole: list[tuple[CatalogChain, Change, str]] = []  # trees that came or went, told after this directory
    for name in sorted(old.keys() | new.keys()):
        was, now, place = old.get(name), new.get(name), f"{path}/{name}"
        if was is not None and now is not None:
            if was.is_dir and now.is_dir:
                if not _same_catalog(before, after, place):
                    further.append(place)
            elif was.is_dir or now.is_dir:
                whole.append((before, Change.REMOVED, place) if was.is_dir else (after, Change.ADDED, place))
            aspects = _aspects(old_catalog, new_catalog, place, was, now)
            if aspects:
                yield Difference(path=place, change=Change.CHANGED, row=now, aspects=aspects)
        elif now is not None:
            yield Difference(path=place, change=Change.ADDED, row=now)
            if now.is_dir:
                whole.append((after, Change.ADDED, place))
        elif was is not None:
            yield Difference(path=place, change=Change.REMOVED, row=was)
            if was.is_dir:
                whole.append((before, Change.REMOVED, place))
    for chain, change, place in whole:
        yield from _tree(chain, change, place)
    further.reverse()
    waiting += further


def _tree(chain: CatalogChain, change: Change, top: str) -> Iterator[Difference]:
    """Everything below *top*, which only one side has."""
    hidden: set[str] = set()
    for path, row in walk_rows(chain, top):
        # By name, the automatic marker comes before the other one.
        if row.name == AUTO_MARKER:
            hidden |= {path, f"{paths.parent_of(path)}/{CATALOG_MARKER}"}
        if path == top or path in hidden:
            continue
        yield Difference(path=path, change=change, row=row)


def _rows(catalog: OpenCatalog, path: str) -> dict[str, Row]:
    rows = {row.name: row for row in catalog.rows(path)}
    for row in rows.values():
        if row.is_dir:
            check_directory_name(row.name)
    if AUTO_MARKER in rows:
        del rows[AUTO_MARKER]
        rows.pop(CATALOG_MARKER, None)
    return rows


def _same_catalog(before: CatalogChain, after: CatalogChain, path: str) -> bool:
    old, new = before.nested(path), after.nested(path)
    return old is not None and new is not None and old.digest == new.digest


def _aspects(old_catalog: OpenCatalog, new_catalog: OpenCatalog, path: str, was: Row, now: Row) -> tuple[Aspect, ...]:
    aspects = row_aspects(was, now)
    both_chunked = was.is_regular and now.is_regular and was.flags & now.flags & CHUNKED
    if both_chunked and Aspect.CONTENT not in aspects and old_catalog.chunks(path) != new_catalog.chunks(path):
        return (Aspect.CONTENT, *aspects)
    return aspects


def row_aspects(was: Row, now: Row) -> tuple[Aspect, ...]:
    """In what two rows of one path differ, as users see it; chunks are not in rows."""
    if was.kind != now.kind:
        return (Aspect.KIND,)
    found = []
    if was.is_regular and (_content(was) != _content(now)):
        found.append(Aspect.CONTENT)
    if was.symlink != now.symlink:
        found.append(Aspect.TARGET)
    if "device" in was.kind and was.size != now.size:
        found.append(Aspect.DEVICE)
    if was.mode != now.mode:
        found.append(Aspect.MODE)
    if (was.uid, was.gid) != (now.uid, now.gid):
        found.append(Aspect.OWNER)
    if was.mtime_ns != now.mtime_ns:
        found.append(Aspect.MTIME)
    if (was.xattrs or None) != (now.xattrs or None):
        found.append(Aspect.XATTRS)
    return tuple(found)


def _content(row: Row) -> tuple[int, int, bytes]:
    return row.size, row.flags & _STORED_FORM, row.digest or b""
