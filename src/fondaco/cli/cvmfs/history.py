"""`fondaco cvmfs rollback`, `resign` and `diff`: go back, sign again, compare revisions."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fondaco.cli.cvmfs.shared import Fqrn, Url, open_repository, publisher_of
from fondaco.cli.options import Endpoint, Json, Keys, PublicKey, StoreUrl

if TYPE_CHECKING:
    from fondaco.cvmfs.difference import Difference
    from fondaco.cvmfs.history import Tag

NAMED = "Tag, number of a revision, or hash of a root catalog."


def rollback(
    fqrn: Fqrn,
    store: StoreUrl,
    keys: Keys,
    to: Annotated[str | None, typer.Option(metavar="NAME", help=NAMED + " Else: undo the last publish.")] = None,
    keep_tags: Annotated[
        bool, typer.Option("--keep-tags", help="Leave newer tags, and the named one, where they are.")
    ] = False,
    endpoint: Endpoint = None,
    as_json: Json = False,
) -> None:
    """Publish the files of an earlier revision again, as the newest one.

    Tags newer than that revision are removed, as `cvmfs_server rollback` does.
    """
    from fondaco.cli.output import printable, write_json, write_line
    from fondaco.cvmfs.keys import KeyFileSigner
    from fondaco.cvmfs.rollback import roll_back
    from fondaco.cvmfs.stores import open_store

    publisher = publisher_of(open_store(store, endpoint=endpoint), fqrn, KeyFileSigner(keys, fqrn))
    done = roll_back(publisher, to, keep_tags=keep_tags)
    if as_json:
        removed = [tag.name for tag in done.removed]
        shows = {"revision": done.target.revision, "root": str(done.target.root)}
        write_json(
            {"fqrn": fqrn, "revision": done.revision, "root": str(done.root), "shows": shows, "removed_tags": removed}
        )
        return
    for tag in done.removed:
        write_line(f"removed tag {printable(tag.name)} (revision {tag.revision})")
    write_line(f"{fqrn} is at revision {done.revision}, which shows what revision {done.target.revision} showed.")


def resign(
    fqrn: Fqrn,
    store: StoreUrl,
    keys: Keys,
    days: Annotated[int, typer.Option(metavar="N", min=1, max=3650, help="How long the whitelist holds.")] = 30,
    new_certificate: Annotated[
        bool,
        typer.Option(
            "--new-certificate",
            help="Let FQRN.key and FQRN.crt of the key folder sign from now on, and no other certificate any more.",
        ),
    ] = False,
    endpoint: Endpoint = None,
    as_json: Json = False,
) -> None:
    """Sign the whitelist again, also an expired one, so that clients go on trusting the repository.

    Needs FQRN.masterkey only; with --new-certificate the new signing key too.
    """
    from fondaco.cli.output import write_json, write_line
    from fondaco.cvmfs.keys import KeyFileSigner, MasterKeyFile
    from fondaco.cvmfs.resigning import Renewal, change_certificate, renew_whitelist
    from fondaco.cvmfs.stores import open_store

    master = MasterKeyFile(keys, fqrn)
    renewal = Renewal(master=master, public_keys=(master.public_key,), now=datetime.now(UTC), life=timedelta(days=days))
    place = open_store(store, endpoint=endpoint)
    if new_certificate:
        renewed = change_certificate(publisher_of(place, fqrn, KeyFileSigner(keys, fqrn)), renewal)
    else:
        renewed = renew_whitelist(place, fqrn, renewal)
    until = renewed.valid_until
    certificates = [str(listed) for listed in renewed.fingerprints]
    if as_json:
        write_json({"fqrn": fqrn, "valid_until": until.isoformat(), "certificates": certificates})
        return
    write_line(f"The whitelist of {fqrn} holds until {until:%Y-%m-%d %H:%M} UTC, for {len(certificates)} certificates.")


def diff(
    url: Url,
    pubkey: PublicKey,
    old: Annotated[str, typer.Argument(metavar="FROM", help=NAMED)],
    new: Annotated[str | None, typer.Argument(metavar="[TO]", help=NAMED + " Else: the newest revision.")] = None,
    endpoint: Endpoint = None,
    as_json: Json = False,
) -> None:
    """Show what changed between two revisions: + added, - removed, ~ changed and in what.

    Catalogs that both share are not even looked at. Marker files of automatic nested catalogs are left out.
    """
    from fondaco.cli.output import printable, write_json_items, write_line
    from fondaco.cvmfs.difference import Change, differences

    repository = open_repository(url, pubkey, endpoint)
    before, after = repository.revision_of(old), repository.revision_of(new)
    found = differences(repository.store, before.root, after.root)
    if as_json:
        write_json_items(_fields(found), head={"from": _revision(before), "to": _revision(after)}, key="changes")
        return
    signs = {Change.ADDED: "+", Change.REMOVED: "-", Change.CHANGED: "~"}
    for one in found:
        aspects = f"  ({', '.join(aspect.value for aspect in one.aspects)})" if one.aspects else ""
        write_line(f"{signs[one.change]} {printable(one.path or '/')}{aspects}")


def _revision(tag: "Tag") -> dict[str, Any]:
    return {"revision": tag.revision, "root": str(tag.root), "tag": tag.name or None}


def _fields(found: "Iterator[Difference]") -> Iterator[dict[str, Any]]:
    for one in found:
        fields: dict[str, Any] = {"path": one.path or "/", "change": one.change.value, "kind": one.row.kind}
        if one.aspects:
            fields["what"] = [aspect.value for aspect in one.aspects]
        yield fields
