"""Splitting and merging nested catalogs inside a tree under change."""

from collections.abc import Callable, Iterator
from typing import Protocol

from fondaco.cvmfs import paths
from fondaco.cvmfs.catalog.balance import Balance, cuts
from fondaco.cvmfs.catalog.writable import WritableCatalog
from fondaco.cvmfs.entry import DIR, NESTED_MOUNTPOINT, Content, Entry, regular
from fondaco.cvmfs.errors import BadChange
from fondaco.cvmfs.paths import AUTO_MARKER, CATALOG_MARKER


class Catalogs(Protocol):
    """The tree of catalogs, as far as it is needed here."""

    root: WritableCatalog

    def open_nested(self, parent: WritableCatalog, mountpoint: str) -> WritableCatalog: ...

    def forget_homes(self, path: str) -> None: ...

    def put(self, path: str, entry: Entry, /) -> bool: ...

    def remove(self, path: str) -> bool: ...


def directories(catalog: WritableCatalog, top: str) -> Iterator[str]:
    """*top* and every directory below it whose content is in *catalog*, parents first."""
    waiting = [top]
    while waiting:
        path = waiting.pop()
        yield path
        waiting.extend(
            f"{path}/{entry.name}" for entry in catalog.children(path) if entry.flags & (DIR | NESTED_MOUNTPOINT) == DIR
        )


def opened(catalog: WritableCatalog) -> Iterator[WritableCatalog]:
    """The loaded catalogs from *catalog* down, children before parents."""
    for child in list(catalog.opened.values()):
        yield from opened(child)
    yield catalog


def mountpoints(catalog: WritableCatalog, top: str) -> list[str]:
    """The nested catalogs of *catalog* that begin below *top*."""
    return [path for path in catalog.references | catalog.opened if paths.is_below(path, top)]


def split(tree: Catalogs, catalog: WritableCatalog, path: str) -> WritableCatalog:
    """Give the directory *path* of *catalog* a nested catalog of its own."""
    top = catalog.lookup(path)
    if top is None:
        raise BadChange(f"{path!r} cannot become a nested catalog", "it is not there", "report this as a defect")
    child = WritableCatalog.new(path, top)
    child.parent = catalog
    for mountpoint in mountpoints(catalog, path):
        _hand_over(tree, catalog, child, mountpoint)
    child.take_in(catalog.take_rows(list(directories(catalog, path))))
    child.bind(catalog.take_bind(path))
    catalog.set_flags(path, on=NESTED_MOUNTPOINT)
    catalog.opened[path] = child
    tree.forget_homes(path)
    return child


def merge(tree: Catalogs, catalog: WritableCatalog, path: str) -> None:
    """Take the nested catalog at *path* back into *catalog*."""
    child = tree.open_nested(catalog, path)
    for mountpoint in mountpoints(child, path):
        _hand_over(tree, child, catalog, mountpoint)
    catalog.take_in(child.take_rows(list(directories(child, path))))
    catalog.bind(child.take_bind(path))
    catalog.set_flags(path, off=NESTED_MOUNTPOINT)
    catalog.below.add(child.total_when_stored, -1)
    catalog.forget(path)
    tree.forget_homes(path)


def drop(tree: Catalogs, catalog: WritableCatalog, path: str) -> None:
    """Forget the nested catalog at *path* and all below it; the mountpoint's row stays for the caller."""
    child = tree.open_nested(catalog, path)  # its statistics say what goes with it
    catalog.below.add(child.total_when_stored, -1)
    catalog.forget(path)


def _hand_over(tree: Catalogs, giver: WritableCatalog, taker: WritableCatalog, mountpoint: str) -> None:
    grandchild = tree.open_nested(giver, mountpoint)
    reference = giver.references.get(mountpoint)
    giver.forget(mountpoint)
    giver.below.add(grandchild.total_when_stored, -1)
    taker.below.add(grandchild.total_when_stored)
    if reference is not None:
        taker.refer(reference)
    taker.opened[mountpoint] = grandchild
    grandchild.parent = taker


def cut_large(tree: Catalogs, balance: Balance, empty_file: Callable[[], Content], now_ns: int) -> None:
    """Cut every catalog that has grown too large, with the marker files that say so.

    One that has not grown is left: what could be cut off was cut off when it grew, and to look for more in a catalog of
    10,000 rows takes longer than all else that changes one of its files.
    """
    for catalog in list(opened(tree.root)):
        if catalog.own.entries <= max(balance.maximum, catalog.entries_when_stored):
            continue
        catalog.flush()
        for path in cuts(catalog.mountpoint, catalog.leaf_counts(), balance):
            for name in (CATALOG_MARKER, AUTO_MARKER):
                tree.put(f"{path}/{name}", regular(name, empty_file(), mtime_ns=now_ns))
            split(tree, catalog, path)


def merge_small(tree: Catalogs, balance: Balance) -> None:
    """Merge automatic catalogs that have shrunk, where the parent has room for them."""
    for catalog in list(opened(tree.root)):
        parent, path = catalog.parent, catalog.mountpoint
        if parent is None or not catalog.dirty or catalog.own.entries >= balance.merge_below:
            continue
        if (
            parent.own.entries + catalog.own.entries > balance.maximum
            or catalog.lookup(f"{path}/{AUTO_MARKER}") is None
        ):
            continue
        tree.remove(f"{path}/{AUTO_MARKER}")
        tree.remove(f"{path}/{CATALOG_MARKER}")
        merge(tree, parent, path)
