"""One file-system object as a catalog row describes it.

The flag bits and the rules about which column holds what are those of cvmfs/directory_entry.h and catalog_sql.h
(schema 2.5, revision 7).
"""

import stat
from dataclasses import dataclass, replace

from fondaco.cvmfs.codec import Compression
from fondaco.cvmfs.digest import Algorithm, Digest
from fondaco.cvmfs.errors import BadChange
from fondaco.cvmfs.paths import MAX_SYMLINK_BYTES, encode

DIRECTORY_BYTES = 4096  # st_size that the reference publisher stores for directories; a constant keeps trees comparable

# Flag bits of a catalog row.
DIR = 1
NESTED_MOUNTPOINT = 2  # in the parent catalog
FILE = 4
SYMLINK = 8
SPECIAL = 16
NESTED_ROOT = 32  # in the nested catalog
CHUNKED = 64
EXTERNAL = 128
HASH_SHIFT, HASH_MASK = 8, 7 << 8  # algorithm minus one
COMPRESSION_SHIFT, COMPRESSION_MASK = 11, 7 << 11
BIND_MOUNTPOINT = 0x4000
HIDDEN = 0x8000
DIRECT_IO = 0x10000

NANO = 1_000_000_000

_ALGORITHMS = {algorithm.value: algorithm for algorithm in Algorithm}  # asking an enum takes three times as long


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of a large file, stored as an object of its own."""

    offset: int  # bytes, in the uncompressed file
    size: int  # bytes, uncompressed
    digest: bytes  # 20 raw bytes, over the stored form


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """Where the bytes of a regular file are: one object, or chunks."""

    size: int  # bytes, uncompressed
    digest: bytes | None  # None when chunked
    chunks: tuple[Chunk, ...] = ()
    compression: Compression = Compression.ZLIB
    algorithm: Algorithm = Algorithm.SHA1
    external: bool = False  # not in the repository's store: clients fetch it by its path from another address


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A catalog row without its place in the tree."""

    name: str  # last part of the path, "" for the repository's root
    mode: int  # st_mode with type bits
    flags: int
    size: int = 0  # bytes; a symlink's target length; makedev(major, minor) of a device; 0 of other special files
    mtime_ns: int = 0  # nanoseconds since 1970, may be negative
    uid: int = 0
    gid: int = 0
    digest: bytes | None = None  # 20 raw bytes; None for everything but unchunked regular files
    chunks: tuple[Chunk, ...] = ()
    symlink: str = ""  # target as given; clients expand $(VAR)
    xattrs: bytes | None = None  # blob of fondaco.cvmfs.xattrs
    linkcount: int = 1
    hardlink_group: int = 0  # members of one group share an inode; 0: none

    @property
    def is_dir(self) -> bool:
        return stat.S_ISDIR(self.mode)  # as clients: the mode counts, flags of the type came late and may be absent

    @property
    def is_symlink(self) -> bool:
        return stat.S_ISLNK(self.mode)

    @property
    def is_regular(self) -> bool:
        return stat.S_ISREG(self.mode)

    @property
    def is_special(self) -> bool:
        return not (self.is_dir or self.is_symlink or self.is_regular)

    @property
    def is_chunked(self) -> bool:
        return bool(self.flags & CHUNKED)

    @property
    def is_external(self) -> bool:
        return bool(self.flags & EXTERNAL)

    @property
    def is_mountpoint(self) -> bool:
        """A directory whose content is in a nested catalog."""
        return bool(self.flags & NESTED_MOUNTPOINT)

    @property
    def is_bind_mountpoint(self) -> bool:
        """A directory that shows another root catalog."""
        return bool(self.flags & BIND_MOUNTPOINT)

    @property
    def is_hidden(self) -> bool:
        """Found by its name, but in no listing."""
        return bool(self.flags & HIDDEN)

    @property
    def algorithm(self) -> Algorithm:
        number = ((self.flags & HASH_MASK) >> HASH_SHIFT) + 1
        return _ALGORITHMS.get(number) or Algorithm(number)

    @property
    def compression(self) -> Compression:
        return Compression((self.flags & COMPRESSION_MASK) >> COMPRESSION_SHIFT)

    def object_digest(self) -> Digest | None:
        """The hash of the file's one object, None where there is none."""
        return Digest(self.digest, self.algorithm) if self.digest else None

    def same_as(self, other: "Entry") -> bool:
        """Whether publishing one over the other would change nothing; hard links are the catalogs' own matter."""
        return self._visible() == other._visible()

    def alone(self) -> "Entry":
        """The same file outside of any hard-link group."""
        return replace(self, linkcount=1, hardlink_group=0) if self.hardlink_group or self.linkcount != 1 else self

    def _visible(self) -> "Entry":
        transition = NESTED_MOUNTPOINT | NESTED_ROOT
        if not self.is_dir:
            return self.alone()
        return replace(self, flags=self.flags & ~transition, linkcount=0, size=0)


def directory(
    name: str, *, mode: int = 0o755, mtime_ns: int = 0, uid: int = 0, gid: int = 0, xattrs: bytes | None = None
) -> Entry:
    """A directory; its link count is kept by the catalogs."""
    return Entry(
        name=name,
        mode=stat.S_IFDIR | stat.S_IMODE(mode),
        flags=DIR,
        size=DIRECTORY_BYTES,
        mtime_ns=mtime_ns,
        uid=uid,
        gid=gid,
        xattrs=xattrs,
        linkcount=2,
    )


def regular(  # noqa: PLR0913  # one argument per column
    name: str,
    content: Content,
    *,
    mode: int = 0o644,
    mtime_ns: int = 0,
    uid: int = 0,
    gid: int = 0,
    xattrs: bytes | None = None,
    hardlink_group: int = 0,
    linkcount: int = 1,
) -> Entry:
    """A regular file whose content is stored already."""
    flags = FILE | (content.algorithm - 1) << HASH_SHIFT | content.compression << COMPRESSION_SHIFT
    return Entry(
        name=name,
        mode=stat.S_IFREG | stat.S_IMODE(mode),
        flags=flags | (CHUNKED if content.chunks else 0) | (EXTERNAL if content.external else 0),
        size=content.size,
        mtime_ns=mtime_ns,
        uid=uid,
        gid=gid,
        digest=content.digest,
        chunks=content.chunks,
        xattrs=xattrs,
        hardlink_group=hardlink_group,
        linkcount=linkcount,
    )


def symlink(
    name: str, target: str, *, mtime_ns: int = 0, uid: int = 0, gid: int = 0, xattrs: bytes | None = None
) -> Entry:
    """A symbolic link; *target* is stored as given, ``$(VAR)`` is expanded by clients."""
    raw = encode(target)
    if not raw or b"\0" in raw or len(raw) > MAX_SYMLINK_BYTES:
        raise BadChange(
            f"the link {name!r} cannot be published",
            f"a target has 1 to {MAX_SYMLINK_BYTES} bytes and no NUL",
            "mend or remove the link",
        )
    return Entry(
        name=name,
        mode=stat.S_IFLNK | 0o777,
        flags=FILE | SYMLINK,
        size=len(raw),
        mtime_ns=mtime_ns,
        uid=uid,
        gid=gid,
        symlink=target,
        xattrs=xattrs,
    )


def special(
    name: str, mode: int, *, rdev: int = 0, mtime_ns: int = 0, uid: int = 0, gid: int = 0, xattrs: bytes | None = None
) -> Entry:
    """A fifo, socket or device; *mode* carries the type, *rdev* is ``os.makedev(major, minor)`` of a device."""
    device = stat.S_ISCHR(mode) or stat.S_ISBLK(mode)
    if not (device or stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        raise BadChange(f"{name!r} is no special file", f"its mode is {mode:o}", "publish it as what it is")
    return Entry(
        name=name,
        mode=mode,
        flags=FILE | SPECIAL,
        size=rdev if device else 0,
        mtime_ns=mtime_ns,
        uid=uid,
        gid=gid,
        xattrs=xattrs,
    )
