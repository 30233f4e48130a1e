"""One row of a catalog: what about it alone would mislead or crash a client. Pure."""

import itertools
import stat
from collections.abc import Iterator
from typing import Any

from fondaco.cvmfs import entry as flags
from fondaco.cvmfs import paths, xattrs
from fondaco.cvmfs.check.findings import Code
from fondaco.cvmfs.digest import DIGEST_BYTES
from fondaco.cvmfs.entry import DIRECT_IO, NANO, Entry
from fondaco.cvmfs.errors import MalformedData
from fondaco.cvmfs.reading import chunk_fault

Fault = tuple[Code, str]

COLUMNS = (
    "hardlinks", "hash", "size", "mode", "mtime", "mtimens", "flags", "name", "symlink", "uid", "gid", "xattr",
)  # fmt: skip
MAX_MODE = (1 << 32) - 1  # mode_t

_TYPES: dict[str, tuple[type, ...]] = {
    "hash": (bytes, type(None)),
    "name": (str,),
    "symlink": (str,),
    "mtimens": (int, type(None)),
    "xattr": (bytes, type(None)),
}
# Rows of these types need no look at each column: a million rows take 13 s instead of 14.5 (CPU).
_USUAL_TYPES = set(itertools.product(*(_TYPES.get(name, (int,)) for name in COLUMNS)))
_DEFAULTS: dict[str, Any] = {"name": "", "symlink": "", "hash": None, "mtimens": None, "xattr": None}
_SQL_TYPES = {bytes: "BLOB", str: "TEXT", int: "INTEGER", float: "REAL", type(None): "NULL"}
_KINDS = {stat.S_IFDIR: flags.DIR, stat.S_IFREG: flags.FILE, stat.S_IFLNK: flags.FILE | flags.SYMLINK}
_SPECIALS = (stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFCHR, stat.S_IFBLK)
_KIND_BITS = flags.DIR | flags.FILE | flags.SYMLINK | flags.SPECIAL


def read_row(values: tuple[Any, ...]) -> tuple[Entry, list[Fault]]:
    """The entry that a row of COLUMNS describes, and which columns hold what no client expects (read as empty here)."""
    row = dict(zip(COLUMNS, values, strict=True))
    faults: list[Fault] = []
    for name, value in () if tuple(map(type, values)) in _USUAL_TYPES else row.items():
        wanted = _TYPES.get(name, (int,))
        if not isinstance(value, wanted):
            expected = " or ".join(_SQL_TYPES[kind] for kind in wanted)
            faults.append((Code.COLUMN_TYPE, f"its {name} is {_SQL_TYPES[type(value)]}, not {expected}"))
            row[name] = _DEFAULTS.get(name, 0)
    if not 0 <= row["mode"] <= MAX_MODE:
        faults.append((Code.KIND, f"its mode is {row['mode']}"))
        row["mode"] = 0
    digest = row["hash"]
    return Entry(
        name=row["name"],
        mode=row["mode"],
        flags=row["flags"],
        size=row["size"],
        mtime_ns=row["mtime"] * NANO + (row["mtimens"] or 0),
        uid=row["uid"],
        gid=row["gid"],
        digest=digest if digest and digest.strip(b"\0") else None,  # clients take zeros as no hash, too
        symlink=row["symlink"],
        xattrs=row["xattr"],
        linkcount=row["hardlinks"] & 0xFFFFFFFF,
        hardlink_group=row["hardlinks"] >> 32,
    ), faults + list(_time_faults(row["mtimens"]))


def entry_faults(entry: Entry, *, is_root: bool = False, special_flag: bool = True) -> Iterator[Fault]:
    """What is wrong with *entry* by itself; chunks must be loaded.

    *is_root*: the first row of a catalog. Without *special_flag*, the catalog is older than the flag of special files.
    """
    if not is_root:
        reason = paths.name_fault(entry.name)
        if reason:
            yield Code.NAME, f"it cannot have that name: {reason}"
    kind = stat.S_IFMT(entry.mode)
    if kind not in _KINDS and kind not in _SPECIALS:
        yield Code.KIND, f"its mode {entry.mode:o} is of no known type"
        return
    expected = _KINDS.get(kind, flags.FILE | (flags.SPECIAL if special_flag else 0))
    if entry.flags & _KIND_BITS != expected:
        yield Code.KIND, f"its flags {entry.flags} do not fit its mode {entry.mode:o}"
    yield from _flag_faults(entry, kind)
    if kind == stat.S_IFREG:
        yield from _file_faults(entry)
    elif entry.digest:
        yield Code.HASH, "it has a hash and is no regular file"
    if kind == stat.S_IFLNK:
        yield from _symlink_faults(entry)
    if kind in _SPECIALS:
        yield from _special_faults(entry, kind)
    yield from _link_faults(entry, kind)
    try:
        xattrs.unpack(entry.xattrs)
    except MalformedData as error:
        yield Code.XATTRS, error.why


def _link_faults(entry: Entry, kind: int) -> Iterator[Fault]:
    if entry.linkcount == 0:
        yield Code.LINK_COUNT, "its link count is 0"
    if kind == stat.S_IFDIR and entry.hardlink_group:
        yield Code.HARD_LINK, "a directory is in a hard link group"
    if kind != stat.S_IFDIR and entry.linkcount > 1 and not entry.hardlink_group:
        yield Code.HARD_LINK, f"its link count is {entry.linkcount}, but it is in no hard link group"


def _flag_faults(entry: Entry, kind: int) -> Iterator[Fault]:
    try:
        _ = entry.algorithm, entry.compression
    except ValueError:
        yield Code.FLAGS, f"its flags {entry.flags} name an unknown hash algorithm or compression"
    transition = flags.NESTED_MOUNTPOINT | flags.NESTED_ROOT | flags.BIND_MOUNTPOINT
    if kind != stat.S_IFDIR and entry.flags & transition:
        yield Code.FLAGS, "it has the flag of a mountpoint and is no directory"
    if kind == stat.S_IFREG:
        return
    for bit, name in ((flags.CHUNKED, "chunked"), (flags.EXTERNAL, "external"), (DIRECT_IO, "direct i/o")):
        if entry.flags & bit:
            yield Code.FLAGS, f"it has the flag '{name}' and is no regular file"
    if entry.flags & flags.NESTED_MOUNTPOINT and entry.flags & flags.BIND_MOUNTPOINT:
        yield Code.FLAGS, "it is a nested and a bind mountpoint at once"


def _file_faults(entry: Entry) -> Iterator[Fault]:
    if entry.size < 0:
        yield Code.SIZE, f"its size is {entry.size}"
    if entry.digest and len(entry.digest) != DIGEST_BYTES:
        yield Code.HASH, f"its hash has {len(entry.digest)} bytes, not {DIGEST_BYTES}"
    if not entry.is_chunked:
        if not entry.digest:
            yield Code.HASH, "it has no hash"
        return
    fault = chunk_fault(entry) if entry.chunks else "it has none"
    if fault:
        yield Code.CHUNKS, f"wrong chunks: {fault}"
    elif len(entry.chunks) == 1:
        yield Code.ONE_CHUNK, "it is cut into a single chunk, where one object would do"


def _symlink_faults(entry: Entry) -> Iterator[Fault]:
    length = len(paths.encode(entry.symlink))
    if not length or length > paths.MAX_SYMLINK_BYTES:
        yield Code.SYMLINK, f"its target has {length} bytes, clients follow 1 to {paths.MAX_SYMLINK_BYTES}"
    if entry.size != length:
        yield Code.SIZE, f"its size is {entry.size}, its target has {length} bytes"


def _special_faults(entry: Entry, kind: int) -> Iterator[Fault]:
    if entry.size and kind in (stat.S_IFIFO, stat.S_IFSOCK):
        yield Code.SIZE, f"its size is {entry.size}, that of a special file is 0"
    if entry.symlink:
        yield Code.SYMLINK, "it has a link target and is a special file"


def _time_faults(mtime_ns: int | None) -> Iterator[Fault]:
    if mtime_ns is not None and not 0 <= mtime_ns < NANO:
        yield Code.TIME, f"the nanoseconds of its time are {mtime_ns}"


def transition_faults(above: Entry, root: Entry) -> Iterator[Fault]:
    """Where a mountpoint's row in the parent catalog and the nested catalog's own root row differ."""
    for name in ("name", "mode", "size", "linkcount", "hardlink_group", "mtime_ns", "uid", "gid", "symlink", "xattrs"):
        parent_value, own_value = getattr(above, name), getattr(root, name)
        if parent_value != own_value:
            yield (
                Code.TRANSITION,
                f"parent and nested catalog disagree on its {name}: {parent_value!r} and {own_value!r}",
            )
    ignored = flags.NESTED_MOUNTPOINT | flags.NESTED_ROOT
    if above.flags & ~ignored != root.flags & ~ignored:
        yield Code.TRANSITION, f"parent and nested catalog disagree on its flags: {above.flags} and {root.flags}"
