"""Archives as what is in them: members in order, each checked, as a stream.

Whoever made the archive is not trusted. Refused, and with it the whole archive: members that would leave its directory
(absolute, '..', through a link), links that point out of it, devices, fifos and sockets, names that no path can have,
encrypted members, and more members or bytes than the limits allow. Bytes are counted as they come.
"""

import stat
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BufferedReader
from typing import IO, TYPE_CHECKING, Any

from fondaco.cvmfs.paths import MAX_SYMLINK_BYTES, encode
from fondaco.cvmfs.tarball.stream import BlockFile, TarReader, blocks_of, reporting_damage
from fondaco.software.errors import BadArchive
from fondaco.software.keys import place
from fondaco.software.posix import DIRECTORY_MODE, KEPT_MODE_BITS, MAX_ID, NANO, Kind
from fondaco.software.refusal import Refusal

if TYPE_CHECKING:
    import tarfile


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpackLimits:
    """What an archive may become."""

    members: int = 200_000
    bytes: int = 64 << 30  # of all members together, unpacked
    ratio: int = 200  # unpacked bytes for each byte of the archive; sources and documents reach 20
    free_bytes: int = 64 << 20  # so much is allowed whatever the ratio

    def most_bytes(self, archive_bytes: int) -> int:
        """How many unpacked bytes an archive of that size may have."""
        return min(self.bytes, max(self.free_bytes, self.ratio * archive_bytes))


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One thing in an archive. Blocks are read before the next member is asked for."""

    path: str  # "a/b", relative to the archive's directory; "" for the directory itself
    kind: Kind
    mode: int | None  # permission bits
    mtime_ns: int | None  # nanoseconds since 1970
    uid: int = 0
    gid: int = 0
    target: str = ""  # of a symlink
    same_as: str | None = None  # path of an earlier member whose content this one has: a hard link
    blocks: Iterable[bytes] = ()


def is_zip(name: str) -> bool:
    """Whether an archive of that name must be read with seeking."""
    return name.lower().endswith(".zip")


def tar_members(blocks: Iterable[bytes], size: int, into: str, limits: UnpackLimits) -> Iterator[Member]:
    """The members of a tar archive of *size* bytes, plain or compressed, read as a stream; BadArchive.

    *into* is the path of the directory that it is unpacked into.
    """
    guard = _Guard(limits, size, into)
    with _as_bad_archive():
        archive = TarReader(BufferedReader(BlockFile(blocks)))
        for info in archive:
            yield guard.admit(_tar_member(archive, info, guard))
        for _ in guard.counted(archive.rest()):
            pass


def zip_members(file: IO[bytes], size: int, into: str, limits: UnpackLimits) -> Iterator[Member]:
    """The members of a zip archive of *size* bytes, as `tar_members`; BadArchive."""
    guard = _Guard(limits, size, into)
    with _as_bad_archive(), zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            yield guard.admit(_zip_member(archive, info, guard))


class _Guard:
    """Counts, and knows which paths were links or files so far."""

    def __init__(self, limits: UnpackLimits, archive_bytes: int, into: str) -> None:
        self._into = into
        self._members_left = limits.members
        self._bytes_left = limits.most_bytes(archive_bytes)
        self._kinds: dict[str, Kind] = {}

    def admit(self, member: Member) -> Member:
        """*member* if it may be unpacked after those before it."""
        self._members_left -= 1
        if self._members_left < 0:
            raise _bad("it has more members than the limit")
        parts = member.path.split("/")
        for depth in range(1, len(parts)):
            above = self._kinds.setdefault("/".join(parts[:depth]), Kind.DIRECTORY)
            if above is not Kind.DIRECTORY:
                raise _bad(f"{member.path!r} lies below a {above.value}")
        before = self._kinds.get(member.path)
        if before is not None and (before is Kind.DIRECTORY) != (member.kind is Kind.DIRECTORY):
            raise _bad(f"{member.path!r} is both a directory and a file")
        if member.path == "" and member.kind is not Kind.DIRECTORY:
            raise _bad("a member has no name")
        if member.same_as is not None and self._kinds.get(member.same_as) is not Kind.FILE:
            raise _bad(f"the hard link {member.path!r} names {member.same_as!r}, which is no file before it")
        self._kinds[member.path] = member.kind
        return member

    def counted(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """*blocks*, as long as all members together keep within the limit."""
        with _as_bad_archive():
            for block in blocks:
                self._bytes_left -= len(block)
                if self._bytes_left < 0:
                    raise _bad("it unpacks to more bytes than the limit")
                yield block

    def inner_path(self, name: str) -> str:
        """A member's name as a path inside the archive's directory."""
        if name.startswith("/"):
            raise _bad(f"the member {name[:200]!r} is absolute")
        plain = name.removesuffix("/")
        while plain.startswith("./"):
            plain = plain[2:]
        if plain in ("", "."):
            return ""
        judged = place(f"{self._into[1:]}/{plain}", "")
        if isinstance(judged, Refusal):
            raise _bad(f"the member {name[:200]!r}: {judged.reason.sentence}")
        return plain


def _check_target(path: str, target: str) -> str:
    """A link's target if it stays inside, followed by name alone."""
    if not target or "\0" in target or len(encode(target)) > MAX_SYMLINK_BYTES:
        raise _bad(f"the link {path!r} has no possible target")
    depth = path.count("/")
    for part in target.split("/"):
        if part == "..":
            depth -= 1
        elif part not in ("", "."):
            depth += 1
        if depth < 0:
            break
    if target.startswith("/") or depth < 0:
        raise _bad(f"the link {path!r} points out of the archive, to {target[:200]!r}")
    return target


# -- tar ---------------------------------------------------------------------------------------------------------------


def _tar_member(archive: TarReader, info: "tarfile.TarInfo", guard: _Guard) -> Member:
    path = guard.inner_path(info.name)
    common: dict[str, Any] = {
        "path": path,
        "mode": info.mode & KEPT_MODE_BITS,
        "mtime_ns": int(info.mtime * NANO) if abs(info.mtime) < 1 << 33 else None,
        "uid": info.uid if 0 <= info.uid <= MAX_ID else 0,
        "gid": info.gid if 0 <= info.gid <= MAX_ID else 0,
    }
    if info.isdir():
        return Member(kind=Kind.DIRECTORY, **common)
    if info.issym():
        return Member(kind=Kind.SYMLINK, target=_check_target(path, info.linkname), **common)
    if info.islnk():
        return Member(kind=Kind.FILE, same_as=guard.inner_path(info.linkname), **common)
    if not info.isreg():
        raise _bad(f"{path!r} is a device, fifo or socket")
    return Member(kind=Kind.FILE, blocks=guard.counted(archive.blocks(info)), **common)


# -- zip ---------------------------------------------------------------------------------------------------------------


def _zip_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, guard: _Guard) -> Member:
    if info.flag_bits & 1:
        raise _bad(f"{info.filename[:200]!r} is encrypted")
    unix = info.external_attr >> 16
    path = guard.inner_path(info.filename)
    common: dict[str, Any] = {"path": path, "mtime_ns": _zip_time(info)}
    mode = unix & KEPT_MODE_BITS if unix else None
    if info.is_dir() or stat.S_ISDIR(unix):
        return Member(kind=Kind.DIRECTORY, mode=mode if mode is not None else DIRECTORY_MODE, **common)
    if stat.S_ISLNK(unix):
        with archive.open(info) as file:
            raw = file.read(MAX_SYMLINK_BYTES + 1)
        return Member(
            kind=Kind.SYMLINK,
            mode=mode,
            target=_check_target(path, raw.decode("utf-8", "surrogateescape")),
            **common,
        )
    if stat.S_IFMT(unix) not in (0, stat.S_IFREG):
        raise _bad(f"{path!r} is a device, fifo or socket")
    return Member(kind=Kind.FILE, mode=mode, blocks=guard.counted(_zip_blocks(archive, info)), **common)


def _zip_time(info: zipfile.ZipInfo) -> int | None:
    try:
        return int(datetime(*info.date_time, tzinfo=UTC).timestamp()) * NANO  # zip has local times without a zone
    except ValueError:
        return None


def _zip_blocks(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    with archive.open(info) as file:
        yield from blocks_of(file)


# -- common ------------------------------------------------------------------------------------------------------------


@contextmanager
def _as_bad_archive() -> Iterator[None]:
    """What the libraries raise about an archive, as BadArchive; errors of reading the bucket pass."""
    with reporting_damage(_bad):
        try:
            yield
        except zipfile.BadZipFile as error:
            raise _bad(str(error)) from error


def _bad(why: str) -> BadArchive:
    return BadArchive("the archive is not unpacked", why, "mend the archive and upload it again")
