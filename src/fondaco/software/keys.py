"""From object keys to repository paths: every key has exactly one path or one reason for having none.

Names are compared and published byte for byte: no Unicode normalisation, no case folding, no trimming.
"""

import re
from dataclasses import dataclass

from fondaco.cvmfs.paths import AUTO_MARKER, CATALOG_MARKER, MAX_NAME_BYTES, MAX_PATH_BYTES, encode
from fondaco.software.refusal import Reason, Refusal

DEFAULT_PREFIX = "cvmfs/"
SETTINGS_NAME = ".fondaco.toml"  # directly below the prefix
LINK_SUFFIX = ".rclonelink"  # rclone --links: an object `x.rclonelink` holds the target of the link `x`
RESERVED_ROOT = ".cvmfs"  # names in the root that begin so are the repository's own files and virtual directories

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")  # Unicode category Cc
_SURROGATE = re.compile(r"[\ud800-\udfff]")  # how bytes that are not UTF-8 come out of surrogateescape


@dataclass(frozen=True, slots=True)
class Place:
    """Where a key goes."""

    path: str  # "/a/b"; "" for the marker of the published folder itself
    is_directory: bool  # the key is a marker: it ends in "/"


def check_prefix(prefix: str) -> str:
    """*prefix* if keys can lie below it: empty, or ending in '/'."""
    if prefix and (not prefix.endswith("/") or prefix.startswith("/")):
        raise ValueError(f"a prefix ends in '/' and does not begin with one, unlike {prefix!r}")
    return prefix


def place(key: str, prefix: str = DEFAULT_PREFIX) -> Place | Refusal:
    """The path of *key*, or why it has none."""
    if not key.startswith(prefix):
        return Refusal(reason=Reason.OUTSIDE)
    relative = key[len(prefix) :]
    is_directory = relative.endswith("/") or not relative
    inner = relative.removesuffix("/")
    if not inner:
        return Place("", is_directory=True) if relative == "" else Refusal(reason=Reason.EMPTY_PART)
    fault = _fault(inner, is_directory=is_directory)
    return fault or Place(f"/{inner}", is_directory)


def _fault(inner: str, *, is_directory: bool) -> Refusal | None:
    if _CONTROL.search(inner):
        return Refusal(reason=Reason.CONTROL)
    if _SURROGATE.search(inner):
        return Refusal(reason=Reason.NOT_UTF8)
    parts = inner.split("/")
    if "" in parts:
        return Refusal(reason=Reason.EMPTY_PART)
    if "." in parts or ".." in parts:
        return Refusal(reason=Reason.DOT_PART)
    if len(encode(inner)) + 1 > MAX_PATH_BYTES:
        return Refusal(reason=Reason.PATH_TOO_LONG)
    if len(inner) > MAX_NAME_BYTES // 4 and any(len(encode(part)) > MAX_NAME_BYTES for part in parts):
        return Refusal(reason=Reason.NAME_TOO_LONG)
    return _reserved(parts, is_directory=is_directory)


def _reserved(parts: list[str], *, is_directory: bool) -> Refusal | None:
    if parts[0].startswith(RESERVED_ROOT) and parts != [CATALOG_MARKER]:
        return Refusal(reason=Reason.RESERVED, detail=f"names in the root that begin with {RESERVED_ROOT!r}")
    if AUTO_MARKER in parts:
        return Refusal(reason=Reason.RESERVED, detail=f"{AUTO_MARKER!r} marks catalogs that are cut automatically")
    if CATALOG_MARKER in (parts if is_directory else parts[:-1]):
        return Refusal(reason=Reason.RESERVED, detail=f"{CATALOG_MARKER!r} is a file, no directory")
    return None


def key_of(path: str, prefix: str = DEFAULT_PREFIX) -> str:
    """The key that an ordinary file at *path* has: the inverse of `place` for files."""
    return prefix + path.removeprefix("/")
