"""Publishing a directory: make a path of the repository show exactly what a folder holds.

Files whose size, time to the nanosecond, mode and owner are those of the published row are taken as unchanged and not
read, as rsync does; ``compare_content`` reads them all.
"""

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from fondaco.cvmfs import paths, xattrs
from fondaco.cvmfs.entry import Content, Entry, directory, regular, special, symlink
from fondaco.cvmfs.errors import BadChange, NotThatKind
from fondaco.cvmfs.ordered import in_order
from fondaco.cvmfs.paths import AUTO_MARKER, CATALOG_MARKER
from fondaco.cvmfs.transaction import Transaction

READ_BLOCK_BYTES = 1 << 20
BATCH_BYTES = 1 << 21  # small files handed to a worker together: fewer switches between threads
BATCH_FILES = 64
CHANGED_WHILE_READ_TRIES = 3
KEPT_XATTR_PREFIXES = (b"user.",)
KEPT_XATTRS = frozenset({b"security.capability"})

Progress = Callable[[int, int], None]  # files and bytes stored since the last call


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorOptions:
    """How a folder is read."""

    xattrs: bool = False  # keep user.* attributes and capabilities; the reference publisher leaves them out by default
    compare_content: bool = False  # read every file, even if its row looks unchanged
    threads: int = max(2, os.cpu_count() or 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """A regular file whose content is to be stored."""

    source: bytes
    path: str
    size: int  # bytes, when it was listed


def mirror(
    transaction: Transaction, folder: str | bytes | os.PathLike[str], at: str = paths.ROOT, *,
    options: MirrorOptions | None = None, progress: Progress | None = None,
) -> None:  # fmt: skip
    """Change *transaction* so that its path *at* holds what *folder* holds.

    Hard links are published as files of equal content. NotThatKind when *folder* is none; BadChange for a file that
    changes while it is read or a name that no repository can hold.
    """
    options = options or MirrorOptions()
    source = os.fsencode(folder)
    if not os.path.isdir(source):
        raise NotThatKind(f"{paths.decode(source)!r} cannot be published", "it is no folder", "name a folder")
    try:
        _mirror(transaction, source, paths.check_path(at), options, progress)
    except OSError as error:  # of the folder: what goes wrong with the store is a StoreFailed
        name = paths.decode(os.fsencode(error.filename or source))
        raise BadChange(
            f"{name!r} cannot be read", error.strerror or str(error), "mend it and publish again; nothing was changed"
        ) from error


def _mirror(
    transaction: Transaction, source: bytes, at: str, options: MirrorOptions, progress: Progress | None
) -> None:
    walk = _Walk(transaction, options)
    with ThreadPoolExecutor(options.threads, thread_name_prefix="publish") as pool:
        batches = _batches(walk.files(source, at))
        for stored in in_order(pool, lambda batch: [_store(transaction, file, options) for file in batch], batches):
            for path, entry in stored:
                transaction.put(path, entry)
            if progress is not None:
                progress(len(stored), sum(entry.size for _, entry in stored))


class _Walk:
    """Goes through a folder, publishes all but regular files and yields those whose content is needed."""

    def __init__(self, transaction: Transaction, options: MirrorOptions) -> None:
        self._transaction = transaction
        self._options = options

    def files(self, folder: bytes, at: str) -> Iterator[_File]:
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
    ) -> _File | None:
        status = item.stat(follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            waiting.append((item.path, path))
        elif stat.S_ISREG(status.st_mode):
            if self._options.compare_content or old is None or not self._unchanged(item.path, status, old):
                return _File(source=item.path, path=path, size=status.st_size)
        elif stat.S_ISLNK(status.st_mode):
            target = paths.decode(os.readlink(item.path))
            link = symlink(
                paths.name_of(path), target, mtime_ns=status.st_mtime_ns, uid=status.st_uid, gid=status.st_gid
            )
            self._transaction.put(path, link)
        else:
            entry = special(
                paths.name_of(path), status.st_mode, rdev=status.st_rdev, mtime_ns=status.st_mtime_ns,
                uid=status.st_uid, gid=status.st_gid, xattrs=_xattrs(item.path, self._options),
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
            uid=status.st_uid, gid=status.st_gid, xattrs=_xattrs(source, self._options),
        )  # fmt: skip

    def _unchanged(self, source: bytes, status: os.stat_result, old: Entry) -> bool:
        return (
            old.is_regular
            and (old.size, old.mtime_ns, old.mode, old.uid, old.gid)
            == (status.st_size, status.st_mtime_ns, status.st_mode, status.st_uid, status.st_gid)
            and old.xattrs == _xattrs(source, self._options)
        )


def _automatic(present: dict[str, Entry]) -> set[str]:
    """Marker files that the publisher made itself and that are in no folder."""
    return {CATALOG_MARKER, AUTO_MARKER} if AUTO_MARKER in present else set()


def _batches(files: Iterable[_File]) -> Iterator[list[_File]]:
    batch: list[_File] = []
    size = 0
    for file in files:
        batch.append(file)
        size += file.size
        if size >= BATCH_BYTES or len(batch) >= BATCH_FILES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _store(transaction: Transaction, file: _File, options: MirrorOptions) -> tuple[str, Entry]:
    for _ in range(CHANGED_WHILE_READ_TRIES):
        descriptor = os.open(file.source, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        with os.fdopen(descriptor, "rb", buffering=0) as opened:
            before = os.fstat(descriptor)
            content = _content(transaction, opened.read, before.st_size)
            after = os.fstat(descriptor)
        if (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, content.size):
            entry = regular(
                paths.name_of(file.path), content, mode=after.st_mode, mtime_ns=after.st_mtime_ns,
                uid=after.st_uid, gid=after.st_gid, xattrs=_xattrs(file.source, options),
            )  # fmt: skip
            return file.path, entry
    raise BadChange(
        f"{paths.decode(file.source)!r} cannot be published", "it keeps changing while it is read", "publish it later"
    )


def _content(transaction: Transaction, read: Callable[[int], bytes], size: int) -> Content:
    if size <= READ_BLOCK_BYTES:
        data = read(size + 1)  # one byte more shows a file that grows
        if len(data) == size:
            return transaction.store_whole(data)
        return transaction.store_content([data, *iter(lambda: read(READ_BLOCK_BYTES), b"")])
    return transaction.store_content(iter(lambda: read(READ_BLOCK_BYTES), b""))


def _xattrs(source: bytes, options: MirrorOptions) -> bytes | None:
    if not options.xattrs:
        return None
    names = [os.fsencode(name) for name in os.listxattr(source, follow_symlinks=False)]
    kept = [name for name in names if name.startswith(KEPT_XATTR_PREFIXES) or name in KEPT_XATTRS]
    return xattrs.pack({name: os.getxattr(source, name, follow_symlinks=False) for name in kept})
