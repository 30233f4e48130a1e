"""The requests of the kernel."""

import errno
import functools
import logging
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

import pyfuse3

from fondaco.cvmfs import paths
from fondaco.cvmfs.entry import Entry
from fondaco.cvmfs.errors import CvmfsError
from fondaco.cvmfs.mount.attributes import attributes_of, target_of
from fondaco.cvmfs.mount.content import parts_of
from fondaco.cvmfs.mount.handles import Fetcher, OpenFile
from fondaco.cvmfs.mount.nodes import Node
from fondaco.cvmfs.mount.tree import Tree
from fondaco.cvmfs.mount.volume import MAX_ABSENT, Volume
from fondaco.cvmfs.mount.xattr import Xattrs

KERNEL_SECONDS = 60.0  # the kernel's caches, as in the stock client; a new revision empties what it changes at once
BLOCK_BYTES = 4096  # st_blksize, and the unit of statfs
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_TRUNC | os.O_APPEND
log = logging.getLogger("fondaco.cvmfs.mount")

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


@dataclass(slots=True)
class OpenDirectory:
    """A directory as it was when it was opened."""

    path: str
    entries: list[Entry]
    mountpoint: str
    tree: Tree


def _answering(
    request: Callable[_Parameters, Awaitable[_Result]],
) -> Callable[_Parameters, Awaitable[_Result]]:
    """Foreseen faults become an I/O error, which is counted and told of in the log."""

    @functools.wraps(request)
    async def answer(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        try:
            return await request(*args, **kwargs)
        except pyfuse3.FUSEError:
            raise
        except CvmfsError as error:
            log.warning("%s", error)
        except Exception:  # the outermost frame: a defect in one request must not take the mount from everybody
            log.exception("a request failed")
        volume: Volume = args[0].volume  # type: ignore[attr-defined]  # the first argument is the class below
        volume.usage.errors += 1
        volume.usage.last_error = int(time.time())
        raise pyfuse3.FUSEError(errno.EIO)

    return answer


class Operations(pyfuse3.Operations):  # type: ignore[misc]  # an optional dependency, which the check does not see
    """Answers the kernel for one volume. Used by one thread."""

    supports_dot_lookup = False
    enable_writeback_cache = False

    def __init__(self, volume: Volume, fetcher: Fetcher, xattrs: Xattrs) -> None:
        super().__init__()
        self.volume = volume
        self._fetcher = fetcher
        self._xattrs = xattrs
        self._files: dict[int, OpenFile] = {}
        self._directories: dict[int, OpenDirectory] = {}
        self._last_handle = 0

    @_answering
    async def lookup(self, parent_inode: int, name: bytes, ctx: Any) -> Any:
        parent = self._node(parent_inode)
        path = f"{parent.path}/{paths.decode(name)}"
        tree, found = await self.volume.asking(lambda: (parent.tree, parent.tree.lookup(path)))
        if found is None:
            return self._absent(parent_inode, name, current=tree is self.volume.tree)
        node = self._shown(path, *found, tree)
        self.volume.nodes.reference(node)
        return self._attributes(node.ino, node.entry, current=tree is self.volume.tree)

    @_answering
    async def getattr(self, inode: int, ctx: Any) -> Any:
        node = self._node(inode)
        return self._attributes(inode, node.entry, current=node.tree is self.volume.tree)

    async def forget(self, inode_list: Sequence[tuple[int, int]]) -> None:
        for inode, times in inode_list:
            if inode != pyfuse3.ROOT_INODE:
                self.volume.nodes.forget(inode, times)

    @_answering
    async def readlink(self, inode: int, ctx: Any) -> bytes:
        return target_of(self._node(inode).entry, self.volume.environment)

    @_answering
    async def opendir(self, inode: int, ctx: Any) -> int:
        node = self._node(inode)
        tree, (entries, mountpoint) = await self.volume.asking(
            lambda: (node.tree, node.tree.children(node.path, node.entry))
        )
        self.volume.usage.listed += 1
        self.volume.usage.open_directories += 1
        handle = self._new_handle()
        self._directories[handle] = OpenDirectory(node.path, entries, mountpoint, tree)
        return handle

    @_answering
    async def readdir(self, fh: int, start_id: int, token: Any) -> None:
        directory = self._directories[fh]
        current = directory.tree is self.volume.tree
        reply, reference = pyfuse3.readdir_reply, self.volume.nodes.reference
        for number in range(start_id, len(directory.entries)):
            entry = directory.entries[number]
            node = self._shown(f"{directory.path}/{entry.name}", entry, directory.mountpoint, directory.tree)
            attributes = self._attributes(node.ino, node.entry, current=current)
            if not reply(token, paths.encode(entry.name), attributes, number + 1):
                return
            reference(node)

    async def releasedir(self, fh: int) -> None:
        del self._directories[fh]
        self.volume.usage.open_directories -= 1

    @_answering
    async def open(self, inode: int, flags: int, ctx: Any) -> Any:
        if flags & _WRITING:
            raise pyfuse3.FUSEError(errno.EROFS)
        node = self._node(inode)
        volume = self.volume
        found = await volume.asking(lambda: node.tree.lookup(node.path))
        if found is None:
            raise pyfuse3.FUSEError(errno.ESTALE)
        file = OpenFile(parts_of(node.path, found[0], volume.store, volume.external), self._fetcher)
        await file.prepare()
        volume.usage.opened += 1
        volume.usage.open_files += 1
        handle = self._new_handle()
        self._files[handle] = file
        # A number stands for one content, so pages that are cached under it stay good.
        return pyfuse3.FileInfo(fh=handle, keep_cache=True)

    @_answering
    async def read(self, fh: int, off: int, size: int) -> bytes:
        return await self._files[fh].read(off, size)

    async def release(self, fh: int) -> None:
        self._files.pop(fh).close()
        self.volume.usage.open_files -= 1

    async def flush(self, fh: int) -> None:
        """Closing a file writes nothing."""

    @_answering
    async def statfs(self, ctx: Any) -> Any:
        status = pyfuse3.StatvfsData()
        limit = self.volume.cache.limit // BLOCK_BYTES
        free = max(0, limit - self.volume.cache.estimate // BLOCK_BYTES)
        status.f_bsize = status.f_frsize = BLOCK_BYTES
        status.f_blocks, status.f_bfree, status.f_bavail = limit, free, free
        status.f_files = status.f_ffree = status.f_favail = 0
        status.f_namemax = paths.MAX_NAME_BYTES
        return status

    @_answering
    async def getxattr(self, inode: int, name: bytes, ctx: Any) -> bytes:
        value = await self._xattrs.get(self._node(inode), name)
        if value is None:
            raise pyfuse3.FUSEError(pyfuse3.ENOATTR)
        return value

    @_answering
    async def listxattr(self, inode: int, ctx: Any) -> list[bytes]:
        return self._xattrs.names(self._node(inode).entry)

    def close(self) -> None:
        """Close what was left open."""
        while self._files:
            self._files.popitem()[1].close()

    def _node(self, inode: int) -> Node:
        node = self.volume.nodes.get(inode)
        if node is None:
            raise pyfuse3.FUSEError(errno.ESTALE)
        return node

    def _shown(self, path: str, entry: Entry, mountpoint: str, tree: Tree) -> Node:
        node = self.volume.nodes.at(path, entry, mountpoint, tree, current=tree is self.volume.tree)
        if node is None:
            log.warning("%s has the inode number of another file", path)
            raise pyfuse3.FUSEError(errno.EIO)
        return node

    def _absent(self, parent: int, name: bytes, *, current: bool) -> Any:
        absent = self.volume.absent
        if not current or len(absent) >= MAX_ABSENT:
            raise pyfuse3.FUSEError(errno.ENOENT)
        absent.add((parent, name))
        answer = pyfuse3.EntryAttributes()
        answer.st_ino = 0  # the kernel remembers that there is nothing
        answer.entry_timeout = KERNEL_SECONDS
        return answer

    def _attributes(self, ino: int, entry: Entry, *, current: bool) -> Any:
        found = attributes_of(entry, self.volume.environment)
        answer = pyfuse3.EntryAttributes()
        answer.st_ino = ino
        answer.generation = 0
        # A directory opened before a new revision goes on being listed as it was, but is not remembered so.
        answer.entry_timeout = answer.attr_timeout = KERNEL_SECONDS if current else 0
        answer.st_mode = found.mode
        answer.st_nlink = found.links
        answer.st_uid = found.uid
        answer.st_gid = found.gid
        answer.st_rdev = found.rdev
        answer.st_size = found.size
        answer.st_blksize = BLOCK_BYTES
        answer.st_blocks = found.blocks
        answer.st_atime_ns = answer.st_mtime_ns = answer.st_ctime_ns = found.mtime_ns
        return answer

    def _new_handle(self) -> int:
        self._last_handle += 1
        return self._last_handle
