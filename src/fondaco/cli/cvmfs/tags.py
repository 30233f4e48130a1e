"""`fondaco cvmfs tag`: names for revisions."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from fondaco.cli.cvmfs.shared import Fqrn, Url, open_repository, publisher_of
from fondaco.cli.options import Endpoint, Json, Keys, PublicKey, StoreUrl

if TYPE_CHECKING:
    from pathlib import Path

    from fondaco.cvmfs.history import Tag
    from fondaco.cvmfs.publisher import Publisher

app = typer.Typer(name="tag", help="Name revisions.", no_args_is_help=True, rich_markup_mode=None)


@app.command("list")
def list_tags(url: Url, pubkey: PublicKey, endpoint: Endpoint = None, as_json: Json = False) -> None:
    """List the tags of a repository, the newest revision first."""
    from fondaco.cli.output import human_time, printable, write_json, write_line

    tags = open_repository(url, pubkey, endpoint).tags()
    if as_json:
        write_json([_fields(tag) for tag in tags])
        return
    width = max((len(tag.name) for tag in tags), default=0)
    for tag in tags:
        line = f"{tag.name:<{width}}  {tag.revision:>8}  {human_time(tag.timestamp)}  {printable(tag.description)}"
        write_line(line.rstrip())


@app.command("add")
def add(
    names: Annotated[list[str], typer.Argument(metavar="NAME", help="Names to give.")],
    fqrn: Fqrn,
    store: StoreUrl,
    keys: Keys,
    at: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Tag, number of a revision, or hash of a root catalog. Else: the newest."),
    ] = None,
    description: Annotated[str, typer.Option("--message", "-m", metavar="TEXT", help="What the tag is for.")] = "",
    endpoint: Endpoint = None,
    as_json: Json = False,
) -> None:
    """Name a revision, so that it can be mounted, compared and is kept."""
    from fondaco.cli.output import write_json, write_line
    from fondaco.cvmfs.tagging import add_tags

    added = add_tags(_publisher(fqrn, store, keys, endpoint), names, at=at, description=description)
    if as_json:
        write_json([_fields(tag) for tag in added])
        return
    for tag in added:
        write_line(f"{tag.name} is revision {tag.revision} of {fqrn}.")


@app.command("remove")
def remove(
    names: Annotated[list[str], typer.Argument(metavar="NAME", help="Tags to remove, all in one commit.")],
    fqrn: Fqrn,
    store: StoreUrl,
    keys: Keys,
    endpoint: Endpoint = None,
    as_json: Json = False,
) -> None:
    """Take names away; no file goes until garbage is collected."""
    from fondaco.cvmfs.tagging import remove_tags

    _tell_removed(remove_tags(_publisher(fqrn, store, keys, endpoint), names), as_json=as_json)


@app.command("thin")
def thin(  # noqa: PLR0917
    fqrn: Fqrn,
    store: StoreUrl,
    keys: Keys,
    last: Annotated[int, typer.Option(metavar="N", min=0, help="Keep the newest N.")] = 0,
    daily: Annotated[int, typer.Option(metavar="N", min=0, help="Keep one of each of the last N days.")] = 0,
    weekly: Annotated[int, typer.Option(metavar="N", min=0, help="Keep one of each of the last N weeks.")] = 0,
    monthly: Annotated[int, typer.Option(metavar="N", min=0, help="Keep one of each of the last N months.")] = 0,
    named_too: Annotated[
        bool, typer.Option("--all", help="Thin tags that people named, too, not only generic-… ones.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would go.")] = False,
    endpoint: Endpoint = None,
    as_json: Json = False,
) -> None:
    """Remove all automatic tags but the newest, and the newest of each day, week and month.

    Days, weeks and months without a tag do not count.
    """
    from fondaco.cli.output import write_json, write_line
    from fondaco.cvmfs.tagging import thin_tags
    from fondaco.cvmfs.thinning import Keep

    keep = Keep(last=last, daily=daily, weekly=weekly, monthly=monthly)
    gone, left = thin_tags(_publisher(fqrn, store, keys, endpoint), keep, named_too=named_too, dry_run=dry_run)
    if as_json:
        write_json({"removed": [_fields(tag) for tag in gone], "left": left, "dry_run": dry_run})
        return
    for tag in gone:
        write_line(f"{'would remove' if dry_run else 'removed'} {tag.name} (revision {tag.revision})")
    write_line(f"{left} tags stay.")


def _publisher(fqrn: str, store: str, keys: "Path", endpoint: str | None) -> "Publisher":
    from fondaco.cvmfs.keys import KeyFileSigner
    from fondaco.cvmfs.stores import open_store

    return publisher_of(open_store(store, endpoint=endpoint), fqrn, KeyFileSigner(keys, fqrn))


def _tell_removed(removed: "tuple[Tag, ...]", *, as_json: bool) -> None:
    from fondaco.cli.output import write_json, write_line

    if as_json:
        write_json([_fields(tag) for tag in removed])
        return
    for tag in removed:
        write_line(f"removed {tag.name} (revision {tag.revision})")


def _fields(tag: "Tag") -> dict[str, Any]:
    return {
        "name": tag.name,
        "revision": tag.revision,
        "root": str(tag.root),
        "timestamp": tag.timestamp,
        "description": tag.description,
    }
