"""`fondaco demo`: shows on this machine how a bucket becomes a repository."""

import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fondaco.cli.options import Json

if TYPE_CHECKING:
    from types import FrameType

    from fondaco.local.demo import Report

app = typer.Typer(rich_markup_mode=None)

ENDING_SIGNALS = (signal.SIGTERM, signal.SIGHUP)  # Ctrl-C is an exception by itself


@app.command("demo")
def demo(
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the folder, and serve the repository until Ctrl-C, to mount it.")
    ] = False,
    folder: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the demo's own folder is made; else the system's.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Watch a bucket become a CernVM-FS repository, on this machine.

    Starts a real S3 server on loopback, uploads Python's standard library, shows when it is uploaded, seen, published
    and visible, changes some files, verifies everything through the signed chain, and cleans up.
    """
    from fondaco.cli.demo_display import Display, Silent
    from fondaco.local.demo import demonstrate
    from fondaco.local.demo_site import DemoSite

    began = time.monotonic()
    observer = Silent() if as_json else Display()
    with ExitStack() as stack:
        stack.enter_context(_ended_in_order())
        place = stack.enter_context(_place(folder, keep=keep))
        with observer.step("starting SeaweedFS and the web service") as step:
            site = stack.enter_context(DemoSite(place / "site"))
            step.result("SeaweedFS and the web service are up; bucket and repository made")
        report = demonstrate(site, place / "tree", observer, began=began)
        if as_json:
            _write_report(report, place if keep else None, site.public_key_file)
        else:
            observer.report(report)
            observer.mounting(report.fqrn, site.server_url, site.public_key_file, now=keep)
        if keep:
            observer.serving(place)
            _wait_for_interrupt()


@contextmanager
def _place(parent: Path | None, *, keep: bool) -> Iterator[Path]:
    """A new folder; gone afterwards unless it is to be kept."""
    place = Path(tempfile.mkdtemp(prefix="fondaco-demo-", dir=parent))
    try:
        yield place
    finally:
        if not keep:
            shutil.rmtree(place)


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """Let a signal that ends the process end it through every clean-up."""

    def leave(number: int, _: "FrameType | None") -> None:
        sys.exit(128 + number)

    before = {number: signal.signal(number, leave) for number in ENDING_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait_for_interrupt() -> None:
    try:
        while True:
            signal.pause()
    except KeyboardInterrupt:
        return


def _write_report(report: "Report", kept: Path | None, public_key: Path) -> None:
    from fondaco.cli.output import write_json

    fields: dict[str, Any] = asdict(report)
    if kept is not None:
        fields |= {"folder": str(kept), "public_key_file": str(public_key)}
    write_json(fields)
    sys.stdout.flush()  # a program that reads it waits for nothing but Ctrl-C after that
