"""Publishing a tar archive in one pass: its members are added over what a repository has.

Memory stays at a few batches of small files and a few chunks of one large file, whatever the archive's size. Members
take effect in their order, so that a later one of the same name wins; nothing is visible before the archive was read to
its end and the transaction is committed.
"""

import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from io import BufferedReader
from typing import NamedTuple, TypeVar

from fondaco.cvmfs import paths
from fondaco.cvmfs.content import ContentWriter
from fondaco.cvmfs.entry import Entry, directory, regular
from fondaco.cvmfs.errors import BadArchive
from fondaco.cvmfs.ingest import LARGE_BYTES, IngestOptions, Piece, Status, StoredFile, ingest
from fondaco.cvmfs.mirror import Progress
from fondaco.cvmfs.tarball import members
from fondaco.cvmfs.tarball.members import TarOptions
from fondaco.cvmfs.tarball.stream import TarReader, reporting_damage
from fondaco.cvmfs.transaction import Transaction

Block = TypeVar("Block")


class HeldFile(NamedTuple):
    """A regular file in memory."""

    path: str
    data: bytes
    status: Status

    @property
    def size(self) -> int:
        return len(self.data)

    def store(self, writer: ContentWriter, *, keep_xattrs: bool) -> StoredFile:
        """Store its content; attributes are in the status already."""
        del keep_xattrs
        return StoredFile(self.path, writer.write_whole(self.data), self.status)


class Placed(NamedTuple):
    """A member that needs no storing any more; it goes along with those that do, to keep their order."""

    path: str
    entry: Entry
    size: int = 0

    def store(self, writer: ContentWriter, *, keep_xattrs: bool) -> "Placed":
        """Nothing to do."""
        del writer, keep_xattrs
        return self


class Link(NamedTuple):
    """A hard link to a member before it, or to what is in the repository."""

    path: str
    target: str
    size: int = 0

    def store(self, writer: ContentWriter, *, keep_xattrs: bool) -> "Link":
        """Nothing to do."""
        del writer, keep_xattrs
        return self


Outcome = StoredFile | Placed | Link


def ingest_tar(
    transaction: Transaction,
    archive: BufferedReader,
    at: str = paths.ROOT,
    *,
    options: TarOptions | None = None,
    progress: Progress | None = None,
) -> None:
    """Add the members of *archive*, plain or compressed by gzip, bzip2 or xz, to *transaction* below the path *at*.

    Hard links within a directory become links, others files that share their content. Directories that no member
    describes are made where they are missing. BadArchive for an archive that is damaged, cut off or would write
    elsewhere; BadChange where a file is in a member's way as a directory, or the other way round. Give the transaction
    up after an error.
    """
    options = options or TarOptions()
    reading = IngestOptions(processes=options.processes)
    placing = _Placing(transaction, options)
    pieces = _pieces(transaction, archive, paths.check_path(at), options)
    for batch in ingest(transaction.content, pieces, reading, held=True):
        for piece in batch:
            placing.place(piece)
        if progress is not None:
            progress(len(batch), sum(_bytes_of(piece) for piece in batch))


def _pieces(
    transaction: Transaction, archive: BufferedReader, at: str, options: TarOptions
) -> Iterator[Piece[Outcome]]:
    with reporting_damage(_damaged):
        reader = TarReader(archive)
    for info in _checked(reader):
        path = members.place_of(info.name, at)
        if info.islnk():
            yield Link(path, members.target_of(info, at))
            continue
        status = members.status_of(info, options)
        if info.isreg():
            yield _file(transaction, path, info, status, _checked(reader.blocks(info)))
            continue
        entry = members.entry_of(info, path, status)
        if entry is not None:
            yield Placed(path, entry)
    for _ in _checked(reader.rest()):
        pass


def _file(
    transaction: Transaction, path: str, info: tarfile.TarInfo, status: Status, blocks: Iterator[bytes]
) -> HeldFile | Placed:
    if path == paths.ROOT:
        raise members.refused(info.name, "it has no name and is no directory")
    members.check_size(info)
    if info.size < LARGE_BYTES:
        return HeldFile(path, b"".join(blocks), status)
    content = transaction.store_content(blocks)  # chunk after chunk, while batches before it are under way
    return Placed(path, regular(paths.name_of(path), content, **status._asdict()), content.size)


class _Placing:
    """Puts members into the tree."""

    def __init__(self, transaction: Transaction, options: TarOptions) -> None:
        self._transaction = transaction
        self._options = options
        self._directories = {paths.ROOT}  # known to be there
        self._origins: dict[str, str] = {}  # hard link → the member that was a file, through other links
        self._near: dict[tuple[str, str], str] = {}  # such a member, a directory → its first link there

    def place(self, piece: Outcome) -> None:
        """Make *piece* take effect."""
        if isinstance(piece, Link):
            self._link(piece)
            return
        entry = piece.entry() if isinstance(piece, StoredFile) else piece.entry
        if self._origins:
            self._origins.pop(piece.path, None)
        self._need_parents(piece.path, entry.mtime_ns)
        self._transaction.put(piece.path, entry, over_directory=False)

    def _link(self, link: Link) -> None:
        """All names of one file in one directory become links of each other, whichever name the archive links to."""
        path, target = link.path, link.target
        entry = self._transaction.lookup(target)
        if entry is None or entry.is_dir:
            raise members.refused(path, f"it is a hard link to {target!r}, which is no file before it")
        self._need_parents(path, entry.mtime_ns)
        origin = self._origins[path] = self._origins.get(target, target)
        near = self._near.setdefault((origin, paths.parent_of(path)), path)
        if paths.parent_of(origin) == paths.parent_of(path):
            near = origin
        there = self._transaction.lookup(near) if near != path else None
        if there is not None and replace(there, name=entry.name).same_as(entry):
            target = near  # else it was replaced by a later member, or is this very path
        self._transaction.link(path, target, over_directory=False)

    def _need_parents(self, path: str, mtime_ns: int) -> None:
        """The tree makes missing parents by itself; here only for those that shall belong to somebody."""
        if self._options.uid is None and self._options.gid is None:
            return
        for above in paths.ancestors(path):
            if above in self._directories:
                continue
            if self._transaction.lookup(above) is None:
                uid, gid = self._options.uid or 0, self._options.gid or 0
                self._transaction.put(above, directory(paths.name_of(above), mtime_ns=mtime_ns, uid=uid, gid=gid))
            self._directories.add(above)


def _bytes_of(piece: Outcome) -> int:
    return piece.content.size if isinstance(piece, StoredFile) else piece.size


def _checked(blocks: Iterable[Block]) -> Iterator[Block]:
    """*blocks*, what goes wrong in reading them being a fault of the archive."""
    with reporting_damage(_damaged):
        yield from blocks


def _damaged(why: str) -> BadArchive:
    return BadArchive("the archive cannot be published", why, "mend the archive; nothing was published")
