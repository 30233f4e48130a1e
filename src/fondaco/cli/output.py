"""How commands print: names as bytes, sizes and times for people, JSON for machines."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Protocol

SIZE_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


class Counter(Protocol):
    """Takes note of files and bytes as they are done."""

    def __call__(self, files: int, size: int, /) -> None: ...


def write_line(text: str) -> None:
    """One line on stdout; names that are not UTF-8 leave as the bytes they are.

    On a terminal, control characters show as ``?`` as in ls, so that a file name cannot drive the terminal.
    """
    write_lines((text,))


def write_lines(lines: Iterable[str]) -> None:
    """As :func:`write_line` for many lines, written as they come; asks once what stdout is, not a million times."""
    terminal = sys.stdout.isatty()
    out = sys.stdout.buffer
    for text in lines:
        shown = text
        if terminal:
            shown = "".join("?" if character < " " or character == "\x7f" else character for character in text)
        out.write(shown.encode("utf-8", "surrogateescape") + b"\n")


def printable(text: str) -> str:
    """*text* on one line of any terminal or log: what cannot be printed is escaped as in Python, ``\\x07``."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape", "surrogatepass").decode() for one in text)


def write_json(value: Any) -> None:
    """One JSON document on stdout; bytes that are not UTF-8 show as lone surrogates (``\\udcXX``)."""
    sys.stdout.write(json.dumps(value, indent=1) + "\n")


def write_json_items(items: Iterable[Any], *, head: Mapping[str, Any] | None = None, key: str = "items") -> None:
    """One JSON document whose items come one by one, each on a line, so that a million of them need no memory.

    A list; with *head*, an object of these fields and the list under *key*.
    """
    fields = "".join(f"{json.dumps(name)}: {json.dumps(value)},\n" for name, value in (head or {}).items())
    sys.stdout.write("[" if head is None else f"{{{fields}{json.dumps(key)}: [")
    separator = "\n"
    for item in items:
        sys.stdout.write(separator + json.dumps(item))
        separator = ",\n"
    sys.stdout.write("\n]\n" if head is None else "\n]}\n")


def human_size(size: float) -> str:
    """A size in bytes for people: ``1.5 MiB``."""
    unit = 0
    while size >= 1024 and unit < len(SIZE_UNITS) - 1:
        size /= 1024
        unit += 1
    return f"{size:.0f} {SIZE_UNITS[unit]}" if unit == 0 else f"{size:.1f} {SIZE_UNITS[unit]}"


def human_time(seconds: float) -> str:
    """A moment for people: ``2026-11-22 11:00:00``, UTC; ``@seconds`` where no calendar reaches."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return f"@{seconds}"


@contextmanager
def progress(what: str, *, quiet: bool) -> Iterator[Counter]:
    """Show files and bytes on stderr while something long runs, if that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[files]} files"),
        DownloadColumn(binary_units=True),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal, transient=True) as shown:
        task = shown.add_task(what, total=None, files=0)
        files = 0

        def count(more: int, size: int) -> None:
            nonlocal files
            files += more
            shown.update(task, advance=size, files=f"{files:,}")

        yield count
