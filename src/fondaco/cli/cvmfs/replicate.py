"""`fondaco cvmfs replicate`: a stratum 1."""

from dataclasses import asdict
from typing import Annotated

import typer

from fondaco.cli.cvmfs.shared import Fqrn, Url
from fondaco.cli.options import Endpoint, Json, PublicKey, StoreUrl


def replicate(  # noqa: PLR0917
    url: Url,
    fqrn: Fqrn,
    store: StoreUrl,
    pubkey: PublicKey,
    threads: Annotated[int, typer.Option(metavar="N", min=1, help="Objects copied at the same time.")] = 8,
    history: Annotated[
        bool | None,
        typer.Option(
            "--history/--no-history",
            help="Also copy the revisions between the replica's and the current one; by default after the first time.",
        ),
    ] = None,
    endpoint: Endpoint = None,
    source_endpoint: Annotated[
        str | None, typer.Option(metavar="URL", help="Address of the S3 service of URL, if it is another one.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Copy the current revision and all tagged ones to a replica; run it again to follow the original.

    Everything is verified. What is there is not fetched again, and readers of the replica see whole revisions only.
    """
    from fondaco.cli.output import human_size, progress, write_json, write_line
    from fondaco.cvmfs.keys import read_public_keys
    from fondaco.cvmfs.replicate.snapshot import replicate as replicate_repository
    from fondaco.cvmfs.stores import open_readable, open_store

    keys = read_public_keys(pubkey)
    source = open_readable(url, endpoint=source_endpoint or endpoint)
    place = open_store(store, endpoint=endpoint, create=True)
    with progress(f"copying {fqrn}", quiet=as_json) as count:
        done = replicate_repository(source, place, fqrn, keys, history=history, threads=threads, progress=count)
    if as_json:
        write_json({**asdict(done), "root": str(done.root)})
        return
    copied = f"{done.revisions:,} revisions, {done.objects:,} objects, {human_size(done.bytes)}, copied"
    write_line(f"{fqrn} is at revision {done.revision} in {store}: {copied}.")
    for tag in done.missing_tags:
        write_line(f"tag {tag} is not complete: the original has removed its revision.")
