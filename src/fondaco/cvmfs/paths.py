"""Repository paths: what may be a name, and the MD5 keys that catalogs use for them.

A path is ``""`` for the root and ``"/a/b"`` below it. Names are text with ``surrogateescape``, as in :mod:`os`, so
that any sequence of bytes but NUL and ``/`` round-trips; no Unicode normalisation is ever applied.
"""

import hashlib
import struct
from collections.abc import Iterator

from fondaco.cvmfs.errors import BadPath

MAX_NAME_BYTES = 255  # POSIX NAME_MAX; the kernel refuses longer names below a mount
MAX_PATH_BYTES = 4095  # POSIX PATH_MAX without its NUL
MAX_SYMLINK_BYTES = 4095  # longer targets read back as empty through the stock client

ROOT = ""
CATALOG_MARKER = ".cvmfscatalog"
AUTO_MARKER = ".cvmfsautocatalog"

PathKey = tuple[int, int]
NO_PARENT: PathKey = (0, 0)  # the root row's parent, not md5("")

_KEY = struct.Struct("<qq")  # the 16 digest bytes copied into two native (little-endian) signed integers


def encode(text: str) -> bytes:
    """The bytes of a name or path."""
    return text.encode("utf-8", "surrogateescape")


def decode(raw: bytes) -> str:
    """A name or path out of its bytes."""
    return raw.decode("utf-8", "surrogateescape")


def path_key(path: str) -> PathKey:
    """The two integers under which catalogs file *path*."""
    digest = hashlib.md5(path.encode("utf-8", "surrogateescape"), usedforsecurity=False).digest()
    high, low = _KEY.unpack(digest)
    return high, low


def parent_of(path: str) -> str:
    """The path one level up; the root has none."""
    return path.rpartition("/")[0]


def parent_key(path: str) -> PathKey:
    """The key of the path one level up, NO_PARENT for the root."""
    return path_key(parent_of(path)) if path else NO_PARENT


def name_of(path: str) -> str:
    """The last part of a path, ``""`` for the root."""
    return path.rpartition("/")[2]


def ancestors(path: str) -> Iterator[str]:
    """Every path above *path*, the root first."""
    position = 0
    while position >= 0 and path:
        yield path[:position]
        position = path.find("/", position + 1)


def is_below(path: str, top: str) -> bool:
    """Whether *path* lies strictly below *top*."""
    return path.startswith(top + "/")


def check_path(path: str) -> str:
    """*path* if a repository can hold it, else BadPath with the reason."""
    if path == ROOT:
        return path
    if not path.startswith("/"):
        raise _bad(path, "paths inside a repository begin with '/'")
    if len(encode(path)) > MAX_PATH_BYTES:
        raise _bad(path, f"it is longer than {MAX_PATH_BYTES} bytes")
    for name in path[1:].split("/"):
        reason = name_fault(name)
        if reason:
            raise _bad(path, reason)
    return path


def name_fault(name: str) -> str | None:
    """Why *name* cannot be one part of a path, or None."""
    if name == "":
        return "it has an empty part"
    if name in (".", ".."):
        return f"a part of it is '{name}'"
    if "\0" in name:
        return "it holds a NUL byte"
    if "/" in name:
        return "a name holds a '/'"
    if len(encode(name)) > MAX_NAME_BYTES:
        return f"a part of it is longer than {MAX_NAME_BYTES} bytes"
    return None


def _bad(path: str, why: str) -> BadPath:
    return BadPath(f"{path[:200]!r} cannot be a path in a repository", why, "rename it")
