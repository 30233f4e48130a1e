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
from fondaco.cvmfs.ingest import IngestOptions, SourceFile, ingest, read_xattrs
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

    Hard links are published as files of equal content. NotThatKind when *folder* is none; BadChange for a file that
    cannot be read or changes while it is read; BadPath for a name that no repository can hold.
    """
    options = options or MirrorOptions()
    source = os.fsencode(folder)
    if not os.path.isdir(source):
        raise NotThatKind(f"{paths.decode(source)!r} cannot be published", "it is no folder", "name a folder")
    files = _Walk(transaction, options).files(source, paths.check_path(at))
    try:
        for batch in ingest(transaction.content, files, options.ingest):
            for stored in batch:
                transaction.put(stored.path, stored.entry())
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

    def files(self, folder: bytes, at: str) -> Iterator[SourceFile]:
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
            for item in found:
                name = paths.decode(item.name)
                if name not in names:
                    continue
                file = self._other_or_file(item, f"{path}/{name}", present.get(name), waiting)
                if file is not None:
                    yield file

    def _other_or_file(
        self, item: os.DirEntry[bytes], path: str, old: Entry | None, waiting: list[tuple[bytes, str]]
    ) -> SourceFile | None:
        status = item.stat(follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            waiting.append((item.path, path))
        elif stat.S_ISREG(status.st_mode):
            if self._options.compare_content or old is None or not self._unchanged(item.path, status, old):
                return SourceFile(item.path, path, status.st_size)
        elif stat.S_ISLNK(status.st_mode):
            target = paths.decode(os.readlink(item.path))
            link = symlink(
                paths.name_of(path), target, mtime_ns=status.st_mtime_ns, uid=status.st_uid, gid=status.st_gid
            )
            self._transaction.put(path, link)
        else:
            entry = special(
                paths.name_of(path), status.st_mode, rdev=status.st_rdev, mtime_ns=status.st_mtime_ns,
                uid=status.st_uid, gid=status.st_gid, xattrs=self._xattrs(item.path),
            )  # fmt: skip
            self._transaction.put(path, entry)
        return None

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
