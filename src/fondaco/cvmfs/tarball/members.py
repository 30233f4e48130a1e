"""What a member of a tar archive is in a repository: its path, kind and attributes, or why it is refused. Pure."""

import os
import re
import stat
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from fondaco.cvmfs import paths, xattrs
from fondaco.cvmfs.entry import NANO, Entry, directory, special, symlink
from fondaco.cvmfs.errors import BadArchive, BadPath
from fondaco.cvmfs.ingest import Status, is_kept_xattr

MAX_ID = (1 << 32) - 1  # uid_t and gid_t
MAX_SECONDS = 1 << 62  # either side of 1970; catalogs have 64 bits
MAX_FILE_BYTES = 16 << 40  # the largest file of ext4; a sparse member of any size takes no room in an archive
ALL_MODE_BITS = 0o7777
VOLUME_LABEL = b"V"  # GNU: the name of the archive, no file

_TIME = re.compile(r"-?[0-9]{1,19}(\.[0-9]{1,30})?", re.ASCII)
_XATTR = "SCHILY.xattr."
_DEVICES = {tarfile.CHRTYPE: stat.S_IFCHR, tarfile.BLKTYPE: stat.S_IFBLK, tarfile.FIFOTYPE: stat.S_IFIFO}


@dataclass(frozen=True, slots=True, kw_only=True)
class TarOptions:
    """How members are published."""

    xattrs: bool = False  # keep user.* attributes and capabilities, where the archive has them (GNU tar --xattrs)
    uid: int | None = None  # everything belongs to this user instead of who the archive says
    gid: int | None = None
    mode_mask: int = ALL_MODE_BITS  # permission bits that are kept
    processes: int | None = None  # as IngestOptions.processes


def place_of(name: str, at: str) -> str:
    """The path of the member *name* of an archive taken apart at the path *at*."""
    if name.startswith("/"):
        raise refused(name, "its name is absolute", "make the archive with relative names (tar -C DIR -c .)")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise refused(name, "'..' in its name may lead out of the archive")
    path = at + "".join(f"/{part}" for part in parts)
    try:
        return paths.check_path(path)
    except BadPath as error:
        raise refused(name, error.why) from error


def target_of(info: tarfile.TarInfo, at: str) -> str:
    """The path of the file that a hard link names."""
    try:
        target = place_of(info.linkname, at)
    except BadArchive as error:
        raise refused(info.name, f"it is a hard link to {info.linkname[:200]!r}, and {error.why}") from error
    if target == place_of(info.name, at):
        raise refused(info.name, "it is a hard link to itself")
    return target


def status_of(info: tarfile.TarInfo, options: TarOptions) -> Status:
    """Mode, time, owner and attributes of a member."""
    return Status(
        mode=info.mode & ALL_MODE_BITS & options.mode_mask,
        mtime_ns=_mtime_ns(info),
        uid=_owner(info, info.uid, options.uid),
        gid=_owner(info, info.gid, options.gid),
        xattrs=xattrs.pack(attributes_of(info.pax_headers)) if options.xattrs else None,
    )


def entry_of(info: tarfile.TarInfo, path: str, status: Status) -> Entry | None:
    """The entry of anything but regular files and hard links; None for what is no file at all."""
    name, common = paths.name_of(path), status._asdict()
    mode = common.pop("mode")
    if info.isdir():
        return directory(name, mode=mode, **common)
    if path == paths.ROOT:
        raise refused(info.name, "it has no name and is no directory")
    if info.issym():
        return symlink(name, info.linkname, **common)
    kind = _DEVICES.get(info.type)
    if kind is not None:
        rdev = 0 if kind == stat.S_IFIFO else _rdev(info)
        return special(name, kind | mode, rdev=rdev, **common)
    if info.type == VOLUME_LABEL:
        return None
    raise refused(info.name, f"its type {info.type!r} is unknown")


def check_size(info: tarfile.TarInfo) -> None:
    """BadArchive for a file that no file system has."""
    if info.size > MAX_FILE_BYTES:
        raise refused(info.name, f"it has {info.size} bytes, more than {MAX_FILE_BYTES}")


def attributes_of(headers: Mapping[str, str]) -> dict[bytes, bytes]:
    """The extended attributes in the PAX headers of a member, as far as they are published."""
    found = {}
    for key, value in headers.items():
        if key.startswith(_XATTR):
            name = key[len(_XATTR) :].replace("%3D", "=").replace("%25", "%")  # as GNU tar writes them
            found[paths.encode(name)] = paths.encode(value)
    return {name: value for name, value in found.items() if is_kept_xattr(name)}


def refused(name: str, why: str, hint: str = "mend the archive; nothing was published") -> BadArchive:
    """The error about one member."""
    return BadArchive(f"the member {name[:200]!r} cannot be published", why, hint)


def _mtime_ns(info: tarfile.TarInfo) -> int:
    """Nanoseconds since 1970; tarfile reads PAX times as floats, which lose some."""
    text = info.pax_headers.get("mtime")
    if text is None:
        moment = int(info.mtime) * NANO
    elif _TIME.fullmatch(text):
        moment = int(Decimal(text).scaleb(9))
    else:
        raise refused(info.name, f"its time {text[:40]!r} is none")
    if abs(moment) > MAX_SECONDS * NANO:
        raise refused(info.name, f"its time {text or info.mtime} is out of range")
    return moment


def _owner(info: tarfile.TarInfo, told: int, wanted: int | None) -> int:
    if wanted is not None:
        return wanted
    if not 0 <= told <= MAX_ID:
        raise refused(info.name, f"its owner {told} is out of range")
    return told


def _rdev(info: tarfile.TarInfo) -> int:
    try:
        return os.makedev(info.devmajor, info.devminor)
    except (OverflowError, ValueError) as error:
        raise refused(info.name, f"there is no device {info.devmajor}:{info.devminor}") from error
