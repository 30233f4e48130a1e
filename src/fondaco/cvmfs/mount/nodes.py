"""What the kernel knows of the tree: inode numbers, and the row behind each.

A number is a hash of *what* is shown: of the path for a directory; of path, type and content for everything else; of
catalog, group and content for hard links. So a number is the same in every mount and after the kernel forgot it, the
members of a hard-link group share one, and a file whose content changes gets another one. The last point is what lets
a new revision be taken over under open files: the kernel keeps cached pages by inode number, and never mixes old
content with new.
"""

import stat
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import TYPE_CHECKING

from fondaco.cvmfs import paths
from fondaco.cvmfs.entry import Entry

if TYPE_CHECKING:
    from fondaco.cvmfs.mount.tree import Tree

ROOT_INODE = 1  # of every FUSE file system
_KEY_BYTES = 16  # 8 of them make the number; all of them tell two things with one number apart


def key_of(path: str, entry: Entry, mountpoint: str) -> bytes:
    """What identifies *entry* at *path*, whose row is in the catalog of *mountpoint*: 16 bytes.

    The row of a chunked file must come with its chunks.
    """
    if stat.S_ISDIR(entry.mode):
        return _hash(b"d", paths.encode(path))
    if entry.hardlink_group:
        place = b"h%d/" % entry.hardlink_group + paths.encode(mountpoint)
    else:
        place = b"f" + paths.encode(path)
    content = entry.digest or b"".join(b"%d %s" % (chunk.offset, chunk.digest) for chunk in entry.chunks)
    kind = b"%o %d %d" % (stat.S_IFMT(entry.mode), entry.flags, entry.size)
    return _hash(place, kind, content, paths.encode(entry.symlink))


def inode_of(path: str, key: bytes) -> int:
    """The inode number for a key: 63 bits, so that signed readers take it too; the root has the kernel's own."""
    if path == paths.ROOT:
        return ROOT_INODE
    return max(int.from_bytes(key[:8], "little") >> 1, ROOT_INODE + 1)


def directory_inode(path: str) -> int:
    """The inode number of the directory at *path*."""
    return ROOT_INODE if path == paths.ROOT else inode_of(path, _hash(b"d", paths.encode(path)))


def _hash(*parts: bytes) -> bytes:
    return blake2b(b"\0".join(parts), digest_size=_KEY_BYTES).digest()


@dataclass(slots=True)
class Node:
    """One inode."""

    ino: int
    key: bytes
    path: str  # of one of its names, if it has several
    entry: Entry  # without chunks: those are read again when the file is opened
    tree: "Tree"  # the revision that path and entry are of; an older one once the path shows something else
    aliases: set[str] = field(default_factory=set)  # all paths seen of a hard-link group
    references: int = 0  # how often the kernel was told of it


class Nodes:
    """The inodes that the kernel holds. Used by one thread."""

    def __init__(self) -> None:
        self._nodes: dict[int, Node] = {}

    def __len__(self) -> int:
        return len(self._nodes)

    def __iter__(self) -> Iterator[Node]:
        return iter(list(self._nodes.values()))

    def get(self, ino: int) -> Node | None:
        """The node of that number, None when the kernel should not know it."""
        return self._nodes.get(ino)

    def at(self, path: str, entry: Entry, mountpoint: str, tree: "Tree", *, current: bool = True) -> Node | None:
        """The node of a row just read from *tree*; a known one is brought up to date. Not yet referenced.

        With *tree* not *current*, which is how a directory opened before goes on being read, a known one stays as it
        is. None when its number belongs to another inode already: of a million inodes, a chance of 1 to 10 million.
        """
        key = key_of(path, entry, mountpoint)
        ino = inode_of(path, key)
        node = self._nodes.get(ino)
        if node is None:
            node = Node(ino, key, path, without_chunks(entry), tree)
        elif node.key != key:
            return None
        elif current:
            node.path, node.entry, node.tree = path, without_chunks(entry), tree
        if entry.hardlink_group and (current or node.tree is tree):
            node.aliases.add(path)
        return node

    def reference(self, node: Node) -> None:
        """The kernel was told of *node* once more."""
        node.references += 1
        self._nodes[node.ino] = node

    def forget(self, ino: int, times: int) -> None:
        """The kernel let go of *times* references."""
        node = self._nodes.get(ino)
        if node is None:
            return
        node.references -= times
        if node.references <= 0:
            del self._nodes[ino]


def without_chunks(entry: Entry) -> Entry:
    """*entry* in the form that is kept: a large file has a thousand chunks, and the kernel may hold many such files."""
    if not entry.chunks:
        return entry
    return replace(entry, chunks=())
