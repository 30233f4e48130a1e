"""Modes, owners, times and links out of object metadata, in the conventions of the tools that write them.

| tool | names | values |
|---|---|---|
| rclone | `mtime`, `mode`, `uid`, `gid` | seconds with fraction (or RFC 3339); octal with type bits (`100644`) |
| s3fs | `mtime`, `mode`, `uid`, `gid` | seconds with or without fraction; decimal with type bits (`33188`) |
| AWS DataSync, FSx, File Gateway | `file-mtime`, `file-permissions`, `file-owner`, `file-group` | `…ns`; octal |

Octal or decimal: `mode` is read in both bases. A reading counts when its type bits fit what the key is (a marker is a
directory, anything else a regular file or a link), or when it is permissions alone in octal (at most 7777). No text
counts in both bases: decimals with the type of a file or link lie in 32768-45055, which as octal have another type, and
likewise those of directories.

A value that cannot be read never stops a publish: the default is taken and a note says so.
"""

import hashlib
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum

PLAIN_MODE = 0o644
EXECUTABLE_MODE = 0o755
DIRECTORY_MODE = 0o755
KEPT_MODE_BITS = (
    0o1777  # set-user-id and set-group-id never come out of a bucket: whoever may write there is not trusted so far
)
SNIFF_BYTES = 4  # enough to know a script or an ELF file

MAX_ID = (1 << 32) - 2  # the largest uid_t or gid_t; the last value means "no change" to chown
NANO = 1_000_000_000
_MAX_NS = (1 << 63) - 1

_NAMES = ("mode", "mtime", "uid", "gid", "file-permissions", "file-mtime", "file-owner", "file-group")
_SECONDS = re.compile(r"-?[0-9]{1,11}(\.[0-9]{1,18})?", re.ASCII)
_NANOSECONDS = re.compile(r"(-?[0-9]{1,19})ns", re.ASCII)
_DIGITS = re.compile(r"[0-9]{1,10}", re.ASCII)
_MODE = re.compile(r"(0o)?[0-9]{1,10}", re.ASCII)


class Kind(Enum):
    """What an object becomes."""

    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"  # the object's content is the target


_TYPE_BITS = {Kind.FILE: stat.S_IFREG, Kind.DIRECTORY: stat.S_IFDIR, Kind.SYMLINK: stat.S_IFLNK}


@dataclass(frozen=True, slots=True, kw_only=True)
class Posix:
    """What the metadata say; None where they say nothing that can be used."""

    kind: Kind
    mode: int | None = None  # permission bits without set-user-id and set-group-id
    mtime_ns: int | None = None  # nanoseconds since 1970
    uid: int = 0
    gid: int = 0
    notes: tuple[str, ...] = ()  # what could not be read


def read(metadata: Mapping[str, str], *, marker: bool) -> Posix:
    """The metadata of an object, whose key is a directory marker or not; names in lower case."""
    notes: list[str] = []
    kind, mode = _mode(metadata, marker=marker, notes=notes)
    return Posix(
        kind=kind,
        mode=mode,
        mtime_ns=_mtime(metadata, notes),
        uid=_owner(metadata, ("uid", "file-owner"), notes),
        gid=_owner(metadata, ("gid", "file-group"), notes),
        notes=tuple(notes),
    )


def digest(metadata: Mapping[str, str]) -> str:
    """A short name for the part of the metadata that matters here: equal exactly when that part is."""
    relevant = "\0".join(f"{name}={metadata[name]}" for name in _NAMES if name in metadata)
    return hashlib.sha256(relevant.encode("utf-8", "surrogatepass")).hexdigest()[:16] if relevant else ""


def file_mode(told: int | None, *, first: bytes, executable: bool) -> int:
    """The permissions of a regular file: as told, else by its first bytes; *executable* adds the right to run it."""
    if told is None:
        return EXECUTABLE_MODE if executable or looks_executable(first) else PLAIN_MODE
    return told | (told & 0o444) >> 2 if executable else told


def looks_executable(first: bytes) -> bool:
    """Whether content that begins so is a script or an ELF file."""
    return first.startswith((b"#!", b"\x7fELF"))


def _mode(metadata: Mapping[str, str], *, marker: bool, notes: list[str]) -> tuple[Kind, int | None]:
    default = Kind.DIRECTORY if marker else Kind.FILE
    kinds = (Kind.DIRECTORY,) if marker else (Kind.FILE, Kind.SYMLINK)
    for name, bases in (("mode", (8, 10)), ("file-permissions", (8,))):
        text = metadata.get(name)
        if text is None:
            continue
        for base in bases:
            found = _reading(text, base, kinds, default)
            if found is not None:
                return found
        notes.append(f"{name} {text[:40]!r} is no mode of a {default.value}")
    return default, None


def _reading(text: str, base: int, kinds: tuple[Kind, ...], default: Kind) -> tuple[Kind, int] | None:
    """*text* as a mode in that base, when it makes sense."""
    if not _MODE.fullmatch(text) or (text.startswith("0o") and base != 8):
        return None
    digits = text.removeprefix("0o")
    if base == 8 and not set(digits) <= set("01234567"):
        return None
    value = int(digits, base)
    if base == 8 and value <= 0o7777:
        return default, value & KEPT_MODE_BITS
    if value > 0o177777:
        return None
    return next(((kind, value & KEPT_MODE_BITS) for kind in kinds if stat.S_IFMT(value) == _TYPE_BITS[kind]), None)


def _mtime(metadata: Mapping[str, str], notes: list[str]) -> int | None:
    for name, parse in (("mtime", _parse_mtime), ("file-mtime", _parse_nanoseconds)):
        text = metadata.get(name)
        if text is None:
            continue
        value = parse(text)
        if value is not None and abs(value) <= _MAX_NS:
            return value
        notes.append(f"{name} {text[:40]!r} is no time")
    return None


def _parse_mtime(text: str) -> int | None:
    if _SECONDS.fullmatch(text):
        return int(Decimal(text) * NANO)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86400 + since.seconds) * NANO + since.microseconds * 1000


def _parse_nanoseconds(text: str) -> int | None:
    found = _NANOSECONDS.fullmatch(text)
    return int(found.group(1)) if found else None


def _owner(metadata: Mapping[str, str], names: tuple[str, str], notes: list[str]) -> int:
    for name in names:
        text = metadata.get(name)
        if text is None:
            continue
        if _DIGITS.fullmatch(text) and int(text) <= MAX_ID:
            return int(text)
        notes.append(f"{name} {text[:40]!r} is no numeric owner")
    return 0
