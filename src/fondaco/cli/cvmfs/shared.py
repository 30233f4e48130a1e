"""What several commands of `fondaco cvmfs` need: their arguments, and what they open and tell."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from fondaco.cvmfs.publisher import Publisher
    from fondaco.cvmfs.repository import Repository, Snapshot
    from fondaco.cvmfs.transaction import Published, PublishOptions

Fqrn = Annotated[str, typer.Argument(metavar="FQRN", help="Full name of the repository, such as software.example.org.")]
Url = Annotated[
    str, typer.Argument(metavar="URL", help="The repository: file:///folder, http(s)://… or s3://bucket/prefix.")
]
InPath = Annotated[str, typer.Argument(metavar="[PATH]", help="Path in the repository.")]


class HashName(StrEnum):
    """Hash algorithms by the names that the reference tools use."""

    SHA1 = "sha1"
    RMD160 = "rmd160"
    SHAKE128 = "shake128"


def publisher_of(store: Any, fqrn: str, signer: Any, options: "PublishOptions | None" = None) -> "Publisher":
    from fondaco.cvmfs.publisher import Publisher
    from fondaco.cvmfs.transaction import PublishOptions

    return Publisher(
        store=store,
        fqrn=fqrn,
        signer=signer,
        public_keys=(signer.public_key,),
        options=options or PublishOptions(),
    )


def open_repository(url: str, pubkey: Path, endpoint: str | None, external: str | None = None) -> "Repository":
    from fondaco.cvmfs.keys import read_public_keys
    from fondaco.cvmfs.repository import Repository
    from fondaco.cvmfs.stores import open_readable

    store = open_readable(url, endpoint=endpoint)
    return Repository.open(store, public_keys=read_public_keys(pubkey), external_url=external)


def open_snapshot(
    url: str, pubkey: Path, tag: str | None, endpoint: str | None, external: str | None = None
) -> "Snapshot":
    return open_repository(url, pubkey, endpoint, external).at(tag)


def inside(path: str) -> str:
    """A path as people type it (``/``, ``a/b``, ``/a/b/``) as the library knows it."""
    return "".join("/" + part for part in path.split("/") if part)


def tell(fqrn: str, revision: int, published: "Published | None", *, as_json: bool) -> None:
    """What a publish did, for people or machines; *revision* is the newest one."""
    from fondaco.cli.output import human_size, write_json, write_line

    if as_json:
        write_json(fields_of(published) if published else {"fqrn": fqrn, "revision": revision, "changed": 0})
        return
    if published is None:
        write_line(f"{fqrn} is at revision {revision}: nothing to publish.")
        return
    objects = f"{published.new_objects:,} new objects, {human_size(published.new_bytes)}"
    write_line(f"{fqrn} is at revision {published.revision}: {published.changed:,} paths changed, {objects}.")


def fields_of(published: "Published") -> dict[str, Any]:
    return {
        "fqrn": published.fqrn,
        "revision": published.revision,
        "root": str(published.root),
        "published_at": published.published_at,
        "changed": published.changed,
        "catalogs": published.catalogs,
        "new_objects": published.new_objects,
        "new_bytes": published.new_bytes,
    }
