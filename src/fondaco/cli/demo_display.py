"""What `fondaco demo` shows: progress on a terminal, the same lines without it, at 80 columns."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from fondaco.cli.output import human_size

if TYPE_CHECKING:
    from fondaco.local.demo import Report, Round, Step

LINE_WIDTH = 78  # one less than the narrowest terminal people use, and the margin
MOMENTS = {
    "uploaded": "the last request was answered",
    "seen": "its last event arrived",
    "published": "the signed manifest was in place",
    "visible": "read at the public address",
}


class _SilentStep:
    def count(self, files: int, size: int, /) -> None: ...

    def now(self, text: str) -> None: ...

    def result(self, text: str) -> None: ...


class Silent:
    """Shows nothing: for machines."""

    @contextmanager
    def step(self, title: str, *, size: int = 0) -> Iterator["Step"]:
        del title, size
        yield _SilentStep()

    def report(self, report: "Report") -> None: ...

    def mounting(self, fqrn: str, server_url: str, public_key: Path, *, now: bool) -> None: ...

    def serving(self, place: Path) -> None: ...


class _ShownStep:
    def __init__(self, progress: Progress, task: TaskID, title: str) -> None:
        self._progress = progress
        self._task = task
        self.text = title

    def count(self, files: int, size: int, /) -> None:
        del files
        self._progress.advance(self._task, size)

    def now(self, text: str) -> None:
        self._progress.update(self._task, description=text)

    def result(self, text: str) -> None:
        self.text = text


class Display(Silent):
    """Shows everything on stdout, escape codes only on a terminal."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False, markup=False)
        self._say("Fondaco: a bucket becomes a CernVM-FS repository")
        self._say()

    @contextmanager
    def step(self, title: str, *, size: int = 0) -> Iterator["Step"]:
        """A moving line while it runs, one line with its time when it is done."""
        columns = [SpinnerColumn(), TextColumn("{task.description}", markup=False)]
        if size:
            columns += [BarColumn(bar_width=16), DownloadColumn(binary_units=True)]
        columns.append(TimeElapsedColumn())
        began = time.monotonic()
        hidden = not self._console.is_terminal
        with Progress(*columns, console=self._console, transient=True, disable=hidden) as progress:
            step = _ShownStep(progress, progress.add_task(title, total=size or None), title)
            yield step
        self._say(f"  {step.text:<{LINE_WIDTH - 12}}{time.monotonic() - began:>8.2f} s")

    def report(self, report: "Report") -> None:
        """The way of each upload as a table, and the sums."""
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column("after the upload began", no_wrap=True)
        for one in report.rounds:
            table.add_column(one.name, justify="right", no_wrap=True)
        for name, meaning in MOMENTS.items():
            table.add_row(f"{name:<10} {meaning}", *(_moment(one, name) for one in report.rounds))
        table.add_row("from uploaded to visible", *(f"{one.visible - one.uploaded:.2f} s" for one in report.rounds))
        self._say()
        self._console.print(table)
        verified = report.verified
        speed = human_size(verified.bytes / report.verify_seconds)
        self._say()
        self._say(
            f"{verified.files:,} files and {verified.links} links are byte for byte what was uploaded ({speed}/s)."
        )
        self._say(f"All of it took {report.total_seconds:.1f} s.")

    def mounting(self, fqrn: str, server_url: str, public_key: Path, *, now: bool) -> None:
        """What to write on a machine with the stock client; *now*: it is served on."""
        self._say()
        start = "Mount it" if now else "Run it with --keep to mount it"
        self._say(f"{start} with the stock CernVM-FS client here, as root:")
        self._say()
        for line in mount_lines(fqrn, server_url, public_key):
            self._say(f"  {line}")

    def serving(self, place: Path) -> None:
        """What is left, and how to end it."""
        self._say()
        self._say(f"Serving until Ctrl-C. The folder stays: {place}")

    def _say(self, text: str = "") -> None:
        self._console.print(text, soft_wrap=True)


def mount_lines(fqrn: str, server_url: str, public_key: Path) -> list[str]:
    """Commands that mount the repository with the stock CernVM-FS client; *server_url* ends before `/cvmfs`."""
    return [
        f"cp {public_key} /etc/cvmfs/keys/",
        f"cat > /etc/cvmfs/config.d/{fqrn}.conf <<END",
        f"CVMFS_SERVER_URL={server_url}/cvmfs/@fqrn@",
        f"CVMFS_PUBLIC_KEY=/etc/cvmfs/keys/{public_key.name}",
        "CVMFS_HTTP_PROXY=DIRECT",
        "END",
        f"mkdir -p /cvmfs/{fqrn}",
        f"mount -t cvmfs {fqrn} /cvmfs/{fqrn}",
    ]


def _moment(one: "Round", name: str) -> str:
    seconds = f"{getattr(one, name):.2f} s"
    return f"r{one.revision}  {seconds}" if name in ("published", "visible") else seconds
