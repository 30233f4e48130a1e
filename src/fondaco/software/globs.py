"""Globs over paths: many patterns compiled once to one regular expression that cannot run away.

A pattern without '/' is compared with the last part of a path, at any depth; one with '/' with the whole path, counted
from the published folder. `*` and `?` and `[…]` stay within one part, `**` as a whole part stands for any number of
parts, and a pattern that ends in '/' means everything below that directory.

The patterns come from users, so matching must not take long whatever they are: within a part each `*` is matched by the
shortest stretch that works, once and for all (an atomic group), and `**` occurs at most twice.
"""

import fnmatch
import re
from collections.abc import Callable, Sequence

MAX_PATTERN_BYTES = 1024  # longer than any key that S3 takes
MAX_PATTERNS = 200  # per list of the settings
MAX_DEEP = 2  # `**` in one pattern: each can try every depth of the path


class BadGlob(ValueError):
    """A pattern that cannot mean anything or would be too slow; the text says why."""


def compile_globs(patterns: Sequence[str]) -> Callable[[str], bool]:
    """A function that tells whether a path ("a/b", without a leading '/') matches any of *patterns*."""
    if not patterns:
        return _never
    if len(patterns) > MAX_PATTERNS:
        raise BadGlob(f"more than {MAX_PATTERNS} patterns")
    match = re.compile("|".join(translate(pattern) for pattern in patterns)).fullmatch
    return lambda path: match(path) is not None


def translate(pattern: str) -> str:
    """One pattern as a regular expression for the whole path."""
    check(pattern)
    below = pattern.endswith("/")
    parts = pattern.strip("/").split("/")
    if "/" not in pattern:
        return f"(?s:.*/)?{_part(parts[0])}" if parts[0] != "**" else "(?s:.+)"
    expression = ""
    for index, part in enumerate(parts):
        last = index == len(parts) - 1
        if part == "**":
            expression += "(?s:.+)" if last else "(?:[^/]+/)*"
        else:
            expression += _part(part) + ("" if last else "/")
    return f"{expression}(?s:/.+)" if below else expression


def check(pattern: str) -> None:
    """BadGlob unless *pattern* is fit for use."""
    if not pattern.strip("/"):
        raise BadGlob("an empty pattern")
    if len(pattern.encode("utf-8", "surrogatepass")) > MAX_PATTERN_BYTES:
        raise BadGlob(f"a pattern longer than {MAX_PATTERN_BYTES} bytes")
    parts = pattern.strip("/").split("/")
    if {"", ".", ".."} & set(parts):
        raise BadGlob(f"{pattern!r} has a part that no path has")
    if parts.count("**") > MAX_DEEP:
        raise BadGlob(f"{pattern!r} has '**' more than {MAX_DEEP} times")
    if any("**" in part for part in parts if part != "**"):
        raise BadGlob(f"'**' in {pattern!r} is not a whole part; write '*'")


def _part(part: str) -> str:
    """One part of a pattern; fnmatch does it with atomic groups, which keeps it linear, but lets '*' cross '/'."""
    pieces = []
    for one in re.split(r"(\[!?\]?[^\]]*\]|[*?])", part):
        if one == "*":
            pieces.append("*")
        elif one == "?":
            pieces.append("[^/]")
        elif one.startswith("[") and len(one) > 1:
            pieces.append(f"(?!/){fnmatch.translate(one)[4:-3]}")
        elif one:
            pieces.append(re.escape(one))
    return _stars(pieces)


def _stars(pieces: list[str]) -> str:
    """Join, each "*" and what follows it up to the next one as an atomic group; the last star takes what is left."""
    stretches: list[str] = [""]
    for piece in pieces:
        if piece == "*":
            stretches.append("")
        else:
            stretches[-1] += piece
    head, *tails = stretches
    if not tails:
        return head
    middle = "".join(f"(?>[^/]*?{tail})" for tail in tails[:-1] if tail)
    return f"{head}{middle}[^/]*{tails[-1]}"


def _never(_: str) -> bool:
    return False
