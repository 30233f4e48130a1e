"""`fondaco sync`: a bucket becomes a CernVM-FS repository, once or for as long as the command runs."""

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from fondaco.cli.options import Endpoint, Json, Keys, StoreUrl

if TYPE_CHECKING:
    from fondaco.software.ledger import Ledger
    from fondaco.software.sync import Outcome, Progress, Sync
    from fondaco.software.worker import Worker
    from fondaco.web.site import Site

app = typer.Typer(rich_markup_mode=None)

TOKEN_VARIABLE = "FONDACO_HOOK_TOKEN"  # noqa: S105 - the name of the variable that holds it
MAX_SHOWN = 20  # refusals that are printed; all of them are in the ledger and on the status page

Tell = Callable[["Outcome"], None]


@app.command("sync")
def sync(  # noqa: PLR0917
    fqrn: Annotated[str, typer.Argument(metavar="FQRN", help="Full name of the repository, made with `cvmfs mkfs`.")],
    bucket: Annotated[str, typer.Option(metavar="URL", help="The bucket: s3://name.")],
    store: StoreUrl,
    keys: Keys,
    ledger: Annotated[Path, typer.Option(metavar="FILE", help="Remembers what was published; made when missing.")],
    prefix: Annotated[str, typer.Option(help="The published folder in the bucket, ending in '/'.")] = "cvmfs/",
    endpoint: Endpoint = None,
    once: Annotated[bool, typer.Option("--once", help="Publish what differs, and leave.")] = False,
    listen: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help=f"Also serve the repository, its status, and /hooks/s3 for events with the token in {TOKEN_VARIABLE}.",
        ),
    ] = None,
    interval: Annotated[float, typer.Option(min=1, metavar="SECONDS", help="Time between two full listings.")] = 300.0,
    as_json: Json = False,
) -> None:
    """Make the repository show what lies in the bucket.

    Keys of the object store come from the environment variables of the AWS tools. Without --once it goes on until it is
    told to stop, by Ctrl-C or SIGTERM; a publish under way is finished then.
    """
    _check_usage(bucket, prefix, listen, once=once)
    with ExitStack() as running:
        made, book = _open(running, fqrn, bucket, store, keys, ledger, prefix, endpoint)
        if once:
            with _shown(fqrn, quiet=as_json) as progress:
                made.progress = progress
                outcome = made.sweep()
            _tell(fqrn, outcome, book, as_json=as_json)
            return
        _serve(running, made, fqrn, listen, interval, lambda found: _tell(fqrn, found, book, as_json=as_json))


def _check_usage(bucket: str, prefix: str, listen: str | None, *, once: bool) -> None:
    parts = urlsplit(bucket)
    if parts.scheme != "s3" or not parts.netloc or parts.path.strip("/"):
        raise typer.BadParameter(f"{bucket!r} is no bucket: write s3://name", param_hint="--bucket")
    if prefix and (not prefix.endswith("/") or prefix.startswith("/")):
        raise typer.BadParameter("it ends in '/' and does not begin with one", param_hint="--prefix")
    if once and listen:
        raise typer.BadParameter("it makes no sense together with --once", param_hint="--listen")
    if listen is not None:
        host, _, port = listen.rpartition(":")
        if not host or not port.isdecimal() or int(port) > 65535:
            raise typer.BadParameter("write HOST:PORT, such as 127.0.0.1:8080", param_hint="--listen")
        if not os.environ.get(TOKEN_VARIABLE):
            raise typer.BadParameter(f"set {TOKEN_VARIABLE} to a secret shared with the store", param_hint="--listen")


def _open(
    running: ExitStack,
    fqrn: str,
    bucket: str,
    store: str,
    keys: Path,
    ledger: Path,
    prefix: str,
    endpoint: str | None,
) -> tuple["Sync", "Ledger"]:
    from fondaco.backends.s3 import S3Bucket
    from fondaco.backends.s3_wire import S3Access
    from fondaco.cvmfs.keys import KeyFileSigner
    from fondaco.cvmfs.publisher import Publisher
    from fondaco.cvmfs.stores import open_store
    from fondaco.software.ledger import Ledger
    from fondaco.software.sync import Sync, SyncOptions

    signer = KeyFileSigner(keys, fqrn)
    publisher = Publisher(
        store=open_store(store, endpoint=endpoint), fqrn=fqrn, signer=signer, public_keys=(signer.public_key,)
    )
    source = S3Bucket(urlsplit(bucket).netloc, S3Access.from_environment(os.environ, endpoint=endpoint))
    book = running.enter_context(Ledger(ledger, fqrn))
    return running.enter_context(Sync(source, publisher, book, SyncOptions(prefix=prefix))), book


def _serve(running: ExitStack, made: "Sync", fqrn: str, listen: str | None, interval: float, tell: Tell) -> None:
    """Serve until a signal comes."""
    from fondaco.cli.output import write_line
    from fondaco.software.schedule import Timing
    from fondaco.software.worker import PublicRevision, Worker

    told = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: told.set())
    look = None
    workers: list[Worker] = []
    if listen is not None:
        from fondaco.web.app import create_app
        from fondaco.web.serve import serve

        host, _, port = listen.rpartition(":")
        address = running.enter_context(serve(create_app(_site(made, fqrn, workers)), host=host, port=int(port)))
        look = PublicRevision(f"{address.url}/cvmfs/{fqrn}")
        write_line(f"{fqrn} is served at {address.url}/cvmfs/{fqrn}, events are taken at {address.url}/hooks/s3")
        sys.stdout.flush()
    workers.append(running.enter_context(Worker(made, timing=Timing(sweep=interval), look=look, told=tell)))
    told.wait()


def _site(made: "Sync", fqrn: str, workers: "list[Worker]") -> "Site":
    """What is served; events that come before there is a worker are found by its first sweep."""
    from fondaco.web.site import Hook, ServedRepository, Site

    served = ServedRepository(fqrn=fqrn, store=made.publisher.store, bucket=made.bucket.name, ledger=made.ledger)

    def mark(_bucket: str, keys: frozenset[str]) -> int:
        return sum(worker.mark(keys) for worker in workers)

    def faults() -> list[str]:
        return [fault for worker in workers if (fault := worker.fault()) is not None]

    return Site(repositories={fqrn: served}, hook=Hook(token=os.environ[TOKEN_VARIABLE], mark=mark), faults=faults)


@contextmanager
def _shown(fqrn: str, *, quiet: bool) -> "Iterator[Progress]":
    """Show the steps on stderr while they run, if that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    steps = {"list": "listing the bucket", "read": "reading objects", "publish": f"publishing {fqrn}"}
    console = Console(stderr=True)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal, transient=True) as shown:
        task = shown.add_task(steps["list"], total=None)
        yield lambda step, done, total: shown.update(task, description=steps[step], completed=done, total=total or None)


def _tell(fqrn: str, outcome: "Outcome", ledger: "Ledger", *, as_json: bool) -> None:
    from fondaco.cli.output import write_line

    if as_json:
        write_line(json.dumps(_fields(fqrn, outcome, ledger)))  # one line each: it may go on for ever
        sys.stdout.flush()
        return
    made = outcome.plan
    if outcome.published is not None:
        gone = f", {len(made.remove)} removed" if made.remove else ""
        write_line(f"{fqrn} is at revision {outcome.published.revision}: {len(made.fetch)} objects read{gone}.")
    elif made.held:
        write_line(f"The folder is empty; {made.held} keys stay published until a later listing shows it empty too.")
    else:
        write_line(f"{fqrn} shows what is in the bucket; nothing was published.")
    if outcome.published is not None or outcome.is_sweep:
        _tell_refusals(ledger)
    sys.stdout.flush()  # whoever reads along through a pipe sees it now


def _tell_refusals(ledger: "Ledger") -> None:
    from fondaco.cli.output import printable, write_line

    rows = ledger.refusals(most=MAX_SHOWN + 1)
    for row in rows[:MAX_SHOWN]:
        why = row.reason.sentence if row.reason else ""
        write_line(printable(f"  refused: {row.key}: {why}" + (f" ({row.detail})" if row.detail else "")))
    if len(rows) > MAX_SHOWN:
        write_line("  … and more")


def _fields(fqrn: str, outcome: "Outcome", ledger: "Ledger") -> dict[str, Any]:
    made = outcome.plan
    refused = ledger.refusals(most=MAX_SHOWN)
    return {
        "fqrn": fqrn,
        "revision": outcome.revision,
        "fetched": len(made.fetch),
        "removed": len(made.remove),
        "unchanged": made.unchanged,
        "held": made.held,
        "refusals": [{"key": row.key, "reason": row.reason, "detail": row.detail} for row in refused],
    }
