"""`fondaco cvmfs check`: look for anything wrong."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fondaco.cli.cvmfs.shared import Url
from fondaco.cli.options import Endpoint, Json, PublicKey, Tag

if TYPE_CHECKING:
    from fondaco.cvmfs.check import Report


def check(
    url: Url,
    pubkey: PublicKey,
    tag: Tag = None,
    content: Annotated[
        bool, typer.Option("--content", help="Also read every object and compare its hash and size.")
    ] = False,
    endpoint: Endpoint = None,
    as_json: Json = False,
) -> None:
    """Look for anything wrong in a repository; leaves with 1 if there is.

    Signatures, expiry, reference log, tags, every catalog's rows and statistics, and that every object is there.
    """
    from fondaco.cli.output import progress, write_json, write_line
    from fondaco.cvmfs.check import Totals
    from fondaco.cvmfs.check import check as check_repository
    from fondaco.cvmfs.keys import read_public_keys
    from fondaco.cvmfs.stores import open_readable

    with progress(f"checking {url}", quiet=as_json) as count:
        seen = Totals()

        def told(totals: Totals) -> None:
            count(totals.entries - seen.entries, totals.bytes - seen.bytes)
            seen.entries, seen.bytes = totals.entries, totals.bytes

        report = check_repository(
            open_readable(url, endpoint=endpoint), read_public_keys(pubkey), tag=tag, content=content, progress=told
        )
    if as_json:
        write_json(_report(url, report))
    else:
        for found in report.findings:
            write_line(str(found))
        totals = report.totals
        looked = f"{totals.entries:,} entries in {totals.catalogs:,} catalogs, {totals.objects:,} objects"
        problems = len(report.findings) + report.more
        write_line(f"{url}: {looked}; {problems or 'no'} problem{'s' * (problems > 1)} found.")
    if not report.clean:
        raise typer.Exit(1)


def _report(url: str, report: "Report") -> dict[str, Any]:
    findings = [{"code": found.code.value, "path": found.path, "message": found.message} for found in report.findings]
    return {"url": url, "clean": report.clean, "findings": findings, "more": report.more, **asdict(report.totals)}
