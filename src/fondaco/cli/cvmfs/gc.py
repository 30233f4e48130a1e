"""`fondaco cvmfs gc`: remove what old revisions alone need."""

from contextlib import nullcontext
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fondaco.cli.cvmfs.shared import Fqrn, publisher_of
from fondaco.cli.options import Endpoint, Json, Keys, StoreUrl

if TYPE_CHECKING:
    from typing import TextIO

    from fondaco.cvmfs.gc.keep import Keep

DEFAULT_DAYS = 3.0  # as the reference tools
DAY_SECONDS = 24 * 3600


def gc(  # noqa: PLR0917
    fqrn: Fqrn,
    store: StoreUrl,
    keys: Keys,
    revisions: Annotated[
        int | None, typer.Option("--keep-revisions", metavar="N", min=0, help="Keep so many before the current one.")
    ] = None,
    days: Annotated[
        float | None,
        typer.Option("--keep-days", metavar="N", min=0, help="Keep what was visible in the last days; 3 by default."),
    ] = None,
    since: Annotated[
        datetime | None, typer.Option("--keep-since", metavar="TIME", help="Keep what was visible then (UTC) or later.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be removed.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Allow the collection of this repository from now on.")
    ] = False,
    log: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Append the name of each object before it is removed.")
    ] = None,
    endpoint: Endpoint = None,
    as_json: Json = False,
) -> None:
    """Remove objects that no kept revision needs, and what publishes that were cut off left behind.

    The current revision and all tagged ones are kept, and what any --keep option asks for.
    """
    from fondaco.cli.output import human_size, progress, write_json, write_line
    from fondaco.cvmfs.gc.collect import collect
    from fondaco.cvmfs.keys import KeyFileSigner
    from fondaco.cvmfs.stores import open_store

    publisher = publisher_of(open_store(store, endpoint=endpoint), fqrn, KeyFileSigner(keys, fqrn))
    keep = _keep(publisher.options.clock(), revisions, days, since)
    with progress(f"collecting {fqrn}", quiet=as_json) as count, _log_file(log) as written:
        done = collect(publisher, keep, force=force, dry_run=dry_run, log=written, progress=count)
    if as_json:
        write_json(asdict(done))
        return
    verb = "would be removed" if dry_run else "removed"
    kept = f"{done.roots_kept:,} revisions with {done.objects_kept:,} objects kept"
    gone = f"{done.roots_dropped:,} revisions and {done.objects_removed:,} objects, {human_size(done.bytes_removed)},"
    write_line(f"{fqrn}: {kept}; {gone} {verb}.")


def _keep(now: float, revisions: int | None, days: float | None, since: datetime | None) -> "Keep":

    from fondaco.cvmfs.gc.keep import Keep

    moments = []
    if days is None and revisions is None and since is None:
        days = DEFAULT_DAYS
    if days is not None:
        moments.append(int(now - days * DAY_SECONDS))
    if since is not None:
        moments.append(int(since.replace(tzinfo=UTC).timestamp()))
    return Keep(revisions=revisions or 0, since=min(moments, default=None))


def _log_file(path: Path | None) -> "nullcontext[None] | TextIO":
    from fondaco.cvmfs.errors import StoreFailed

    if path is None:
        return nullcontext()
    try:
        return path.open("a", encoding="ascii")
    except OSError as error:
        raise StoreFailed(
            f"the log {path} cannot be written", error.strerror or str(error), "name another file"
        ) from error
