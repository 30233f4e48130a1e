"""What a new revision changes for an inode that the kernel knows."""

from dataclasses import dataclass

from fondaco.cvmfs.entry import Entry
from fondaco.cvmfs.mount.nodes import Node, inode_of, key_of, without_chunks
from fondaco.cvmfs.mount.tree import Tree


@dataclass(frozen=True, slots=True)
class Change:
    """A node in the new revision."""

    path: str  # where it is now, if it is
    entry: Entry | None  # its row there; None when no path shows it any more
    gone: tuple[str, ...]  # paths that showed it and show something else, or nothing, now


def changes(node: Node, old: Tree, new: Tree) -> Change:
    """Compare *node* of *old* with what its paths show in *new*; CatalogNeeded as a tree's lookup."""
    kept: dict[str, Entry] = {}
    gone = []
    for path in sorted(node.aliases | {node.path}):
        entry = _still(node, path, old, new)
        if entry is None:
            gone.append(path)
        else:
            kept[path] = entry
    if not kept:
        return Change(node.path, None, tuple(gone))
    path = node.path if node.path in kept else min(kept)
    return Change(path, kept[path], tuple(gone))


def _still(node: Node, path: str, old: Tree, new: Tree) -> Entry | None:
    """The row of *path* in *new* if it is the same inode."""
    place = new.place(path, inside=False)
    if path == node.path and place.reference == old.place(path, inside=False).reference:
        return node.entry  # an untouched catalog: most of a large repository, at most publishes
    entry = place.catalog.database.lookup(path)
    if entry is None or inode_of(path, key_of(path, entry, place.reference.mountpoint)) != node.ino:
        return None
    return without_chunks(entry)
