"""`fondaco cvmfs find` and `du`: search a repository, and see what is large in it."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fondaco.cli.cvmfs.shared import InPath, Url, inside, open_snapshot
from fondaco.cli.options import Endpoint, Json, PublicKey, Tag

if TYPE_CHECKING:
    from fondaco.cvmfs.searching import Criteria
    from fondaco.cvmfs.usage import Usage
    from fondaco.cvmfs.walking import FoundRow

_SIZE = re.compile(r"([+-]?)([0-9]{1,18})([kMGT]?)", re.ASCII)
_UNITS = {"": 1, "k": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}  # bytes
_AGE = re.compile(r"([0-9]{1,6})([mhdw])", re.ASCII)
_AGES = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_WHEN = "A time (2026-11-22, 2026-11-22T11:00; UTC), or how long ago: 30m, 12h, 7d, 4w."


def find(  # noqa: PLR0917  # as many parameters as options
    url: Url,
    pubkey: PublicKey,
    path: InPath = "/",
    name: Annotated[str | None, typer.Option(metavar="PATTERN", help="Shell pattern for the name.")] = None,
    kind: Annotated[
        str, typer.Option("--type", metavar="LETTERS", help="f file, d directory, l link, p s c b as in find(1).")
    ] = "",
    size: Annotated[
        str | None, typer.Option(metavar="[+-]N[kMGT]", help="Files of at least +N, at most -N, or exactly N bytes.")
    ] = None,
    newer: Annotated[str | None, typer.Option(metavar="WHEN", help=f"Modified after WHEN. {_WHEN}")] = None,
    older: Annotated[str | None, typer.Option(metavar="WHEN", help="Modified before WHEN.")] = None,
    tag: Tag = None,
    null: Annotated[bool, typer.Option("--null", "-0", help="End each path with NUL, for xargs -0.")] = False,
    endpoint: Endpoint = None,
    as_json: Json = False,
) -> None:
    """Find what matches all options, at and below PATH; paths are shown as they are found."""
    import sys

    from fondaco.cli.output import write_json_items, write_lines
    from fondaco.cvmfs.searching import search

    criteria = _criteria(name, kind, size, newer, older)
    with open_snapshot(url, pubkey, tag, endpoint).chain() as chain:
        found = search(chain, inside(path), criteria)
        if as_json:
            write_json_items(_found_fields(found))
            return
        places = (place or "/" for place, _ in found)
        if not null:
            write_lines(places)
            return
        for place in places:
            sys.stdout.buffer.write(place.encode("utf-8", "surrogateescape") + b"\0")


def du(
    url: Url,
    pubkey: PublicKey,
    path: InPath = "/",
    depth: Annotated[int, typer.Option(metavar="N", min=0, help="Also show directories N levels below PATH.")] = 0,
    tag: Tag = None,
    endpoint: Endpoint = None,
    as_json: Json = False,
) -> None:
    """Show how many bytes and entries lie at and below PATH, as users see them: neither compressed nor shared.

    Whole nested catalogs are counted by their statistics, without reading what is in them.
    """
    from fondaco.cli.output import human_size, write_json_items, write_line
    from fondaco.cvmfs.usage import measure

    with open_snapshot(url, pubkey, tag, endpoint).chain() as chain:
        measured = measure(chain, inside(path), depth=depth)
        if as_json:
            write_json_items(_usage_fields(usage) for usage in measured)
            return
        for usage in measured:
            write_line(f"{human_size(usage.size):>10}  {usage.entries:>12,}  {usage.path or '/'}")


def _criteria(name: str | None, kind: str, size: str | None, newer: str | None, older: str | None) -> "Criteria":
    from fondaco.cvmfs.searching import KINDS, Criteria

    unknown = set(kind) - KINDS.keys() - {","}
    if unknown:
        raise typer.BadParameter(f"{min(unknown)!r} is none of {' '.join(KINDS)}", param_hint="--type")
    least, most = (None, None) if size is None else size_range(size)
    now = datetime.now(UTC)
    return Criteria(
        name=name,
        kinds=frozenset(KINDS[letter] for letter in kind if letter != ","),
        min_size=least,
        max_size=most,
        newer_ns=None if newer is None else moment(newer, now, "--newer"),
        older_ns=None if older is None else moment(older, now, "--older"),
    )


def size_range(text: str) -> tuple[int | None, int | None]:
    """The least and the most bytes that ``+1M``, ``-1M`` or ``1M`` stand for."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise typer.BadParameter(f"{text!r} is no size such as +100M", param_hint="--size")
    sign, digits, unit = match.groups()
    size = int(digits) * _UNITS[unit]
    return None if sign == "-" else size, None if sign == "+" else size


def moment(text: str, now: datetime, option: str) -> int:
    """The time that an option gives, in nanoseconds since 1970."""
    age = _AGE.fullmatch(text)
    try:
        if age is not None:
            when = now - timedelta(**{_AGES[age[2]]: int(age[1])})
        else:
            when = datetime.fromisoformat(text)
            when = when.replace(tzinfo=UTC) if when.tzinfo is None else when
        since = when - datetime.fromtimestamp(0, UTC)
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(f"{text!r} is no time such as 2026-11-22 or 7d", param_hint=option) from error
    return since // timedelta(microseconds=1) * 1000


def _found_fields(found: "Iterator[FoundRow]") -> Iterator[dict[str, Any]]:
    for path, row in found:
        yield {"path": path or "/", "kind": row.kind, "size": row.size, "mtime_ns": row.mtime_ns}


def _usage_fields(usage: "Usage") -> dict[str, Any]:
    return {
        "path": usage.path or "/",
        "bytes": usage.size,
        "entries": usage.entries,
        "files": usage.files,
        "directories": usage.directories,
        "symlinks": usage.symlinks,
        "specials": usage.specials,
    }
