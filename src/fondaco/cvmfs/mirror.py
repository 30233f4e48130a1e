"""Publishing a directory: make a path of the repository show exactly what a folder holds.

Files whose size, time to the nanosecond, mode and owner are those of the published row are taken as unchanged and not
read, as rsync does; ``compare_content`` reads them all.
"""

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from fondaco.cvmfs import paths
from fondaco.cvmfs.entry import Entry, directory, special, symlink
from fondaco.cvmfs.errors import BadChange, NotThatKind
from fondaco.cvmfs.ingest import IngestOptions, SourceFile, StoredFile, ingest, read_xattrs
from fondaco.cvmfs.inodes import Inode, InodeContents, Leaf, inode_of
from fondaco.cvmfs.paths import AUTO_MARKER, CATALOG_MARKER
from fondaco.cvmfs.transaction import Transaction

Progress = Callable[[int, int], None]  # files and bytes stored since the last call


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorOptions:
    """How a folder is read."""

    compare_content: bool = False  # read every file, even if its row looks unchanged
    ingest: IngestOptions = field(default_factory=IngestOptions)


def mirror(
    transaction: Transaction,
    folder: str | bytes | os.PathLike[str],
    at: str = paths.ROOT,
    *,
    options: MirrorOptions | None = None,
    progress: Progress | None = None,
) -> None:
    """Change *transaction* so that its path *at* holds what *folder* holds.

    Hard links within a directory stay hard links, those across directories become files that share their content, as
    the format has it; the content is read once. NotThatKind when *folder* is none; BadChange for a file that
    cannot be read or changes while it is read; BadPath for a name that no repository can hold.
    """
    options = options or MirrorOptions()
    source = os.fsencode(folder)
    if not os.path.isdir(source):
        raise NotThatKind(f"{paths.decode(source)!r} cannot be published", "it is no folder", "name a folder")
    walk = _Walk(transaction, options)
    files = walk.files(source, paths.check_path(at))
    try:
        for batch in ingest(transaction.content, files, options.ingest):
            for stored in batch:
                walk.publish(stored)
            if progress is not None:
                progress(len(batch), sum(stored.content.size for stored in batch))
    except OSError as error:  # of the folder: what goes wrong with the store is a StoreFailed
        name = paths.decode(os.fsencode(error.filename or source))
        raise BadChange(
            f"{name!r} cannot be read", error.strerror or str(error), "mend it and publish again; nothing was changed"
        ) from error


class _Walk:
    """Goes through a folder, publishes all but regular files and yields those whose content is needed."""

    def __init__(self, transaction: Transaction, options: MirrorOptions) -> None:
        self._transaction = transaction
        self._options = options
        self._inodes = InodeContents()
        self._separated: set[str] = set()  # to be read, and in a hard-link group that their file has left

    def files(self, folder: bytes, at: str) -> Iterator[SourceFile]:
        """What is to be read; each is given to :meth:`publish` once its content is stored."""
        waiting = [(folder, at)]
        while waiting:
            source, path = waiting.pop()
            present = self._present(path)
            self._transaction.put(path, self._directory(source, path))
            with os.scandir(source) as listing:
                found = sorted(listing, key=lambda item: item.name)
            names = {paths.decode(item.name) for item in found}
            if {CATALOG_MARKER, AUTO_MARKER} <= names:  # another publisher's automatic cut, not the user's wish
                names -= {CATALOG_MARKER, AUTO_MARKER}
            for gone in present.keys() - names - _automatic(present):
                self._transaction.remove(f"{path}/{gone}")
            linked: dict[Inode, Leaf] = {}
            for item in found:
                name = paths.decode(item.name)
                if name not in names:
                    continue
                status = item.stat(follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    waiting.append((item.path, f"{path}/{name}"))
                elif status.st_nlink > 1:
                    leaf = linked.setdefault(inode_of(status), Leaf(item.path, status, []))
                    leaf.places.append(f"{path}/{name}")
                else:
                    yield from self._leaf(Leaf(item.path, status, [f"{path}/{name}"]), present)
            for leaf in linked.values():
                yield from self._leaf(leaf, present)

    def publish(self, stored: StoredFile) -> None:
        """Put a file whose content was needed, and the links to it that were found so far."""
        entry = stored.entry()
        linked = self._inodes.stored(stored.path, entry)
        if stored.path in self._separated:
            linked = [[stored.path]]
        for places in linked:
            self._transaction.put_links(places, entry)
        if not linked:  # the common case, which needs no look at links
            self._transaction.put(stored.path, entry)

    def _leaf(self, leaf: Leaf, present: dict[str, Entry]) -> Iterator[SourceFile]:
        """Publish anything but a directory, or ask for its content.

        A row that looks unchanged serves for all names of its file, so that a new link costs no reading.
        """
        first, status = leaf.places[0], leaf.status
        if not stat.S_ISREG(status.st_mode):
            self._transaction.put_links(leaf.places, self._other(leaf))
            return
        old = [present.get(paths.name_of(place)) for place in leaf.places]
        known = None
        if not self._options.compare_content:
            known = next((row for row in old if row is not None and self._unchanged(leaf.source, status, row)), None)
        if known is not None:
            if len(old) > 1 or known.hardlink_group:
                self._transaction.put_links(leaf.places, self._whole(f"{paths.parent_of(first)}/{known.name}", known))
        elif status.st_nlink == 1:
            if old[0] is not None and old[0].hardlink_group:
                self._separated.add(first)
            yield SourceFile(leaf.source, first, status.st_size)
        else:
            entry = self._inodes.meet(leaf)
            if entry is not None:
                self._transaction.put_links(leaf.places, entry)
            elif self._inodes.must_read(leaf):
                yield SourceFile(leaf.source, first, status.st_size)

    def _whole(self, path: str, entry: Entry) -> Entry:
        """The entry at *path* with its chunks, which listings leave out."""
        return (self._transaction.lookup(path) if entry.is_chunked else None) or entry

    def _other(self, leaf: Leaf) -> Entry:
        """A symbolic link or special file."""
        status, name, attributes = leaf.status, paths.name_of(leaf.places[0]), self._xattrs(leaf.source)
        if stat.S_ISLNK(status.st_mode):
            target = paths.decode(os.readlink(leaf.source))
            return symlink(
                name, target, mtime_ns=status.st_mtime_ns, uid=status.st_uid, gid=status.st_gid, xattrs=attributes
            )
        return special(
            name, status.st_mode, rdev=status.st_rdev, mtime_ns=status.st_mtime_ns,
            uid=status.st_uid, gid=status.st_gid, xattrs=attributes,
        )  # fmt: skip

    def _present(self, path: str) -> dict[str, Entry]:
        here = self._transaction.lookup(path)
        if here is None or not here.is_dir:
            return {}
        return {entry.name: entry for entry in self._transaction.children(path)}

    def _directory(self, source: bytes, path: str) -> Entry:
        status = os.stat(source)
        return directory(
            paths.name_of(path), mode=status.st_mode, mtime_ns=status.st_mtime_ns,
            uid=status.st_uid, gid=status.st_gid, xattrs=self._xattrs(source),
        )  # fmt: skip

    def _unchanged(self, source: bytes, status: os.stat_result, old: Entry) -> bool:
        return (
            old.is_regular
            and old.is_external == self._transaction.content.external
            and (old.size, old.mtime_ns, old.mode, old.uid, old.gid)
            == (status.st_size, status.st_mtime_ns, status.st_mode, status.st_uid, status.st_gid)
            and old.xattrs == self._xattrs(source)
        )

    def _xattrs(self, source: bytes) -> bytes | None:
        return read_xattrs(source) if self._options.ingest.xattrs else None


def _automatic(present: dict[str, Entry]) -> set[str]:
    """What a publisher made itself and is in no folder: marker files, and the hidden directory of snapshots."""
    hidden = {name for name, entry in present.items() if entry.is_hidden}
    return hidden | ({CATALOG_MARKER, AUTO_MARKER} if AUTO_MARKER in present else set())
