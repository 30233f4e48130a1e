"""`fondaco cvmfs`: make, publish, read and check repositories, without root and without a service."""

import stat as modes
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fondaco.cli.options import Endpoint, Json, Keys, PublicKey, StoreUrl, Tag

if TYPE_CHECKING:
    from fondaco.cvmfs.check import Report
    from fondaco.cvmfs.entry import Entry
    from fondaco.cvmfs.publisher import Publisher
    from fondaco.cvmfs.repository import Snapshot
    from fondaco.cvmfs.transaction import Published

app = typer.Typer(
    name="cvmfs",
    help="Make, publish, read and check CernVM-FS repositories.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Fqrn = Annotated[str, typer.Argument(metavar="FQRN", help="Full name of the repository, such as software.example.org.")]
Url = Annotated[
    str, typer.Argument(metavar="URL", help="The repository: file:///folder, http(s)://… or s3://bucket/prefix.")
]
Path_ = Annotated[str, typer.Argument(metavar="[PATH]", help="Path in the repository.")]


@app.command()
def mkfs(fqrn: Fqrn, store: StoreUrl, keys: Keys, endpoint: Endpoint = None, as_json: Json = False) -> None:
    """Make a new, empty repository.

    Keys that are not in the key folder yet are made there; keep FQRN.masterkey safe, it is what users trust in the end.
    """
    from fondaco.cli.output import write_json, write_line
    from fondaco.cvmfs import keys as key_files
    from fondaco.cvmfs.fqrn import check_fqrn
    from fondaco.cvmfs.stores import open_store

    check_fqrn(fqrn)  # before anything is made under an impossible name
    place = open_store(store, endpoint=endpoint, create=True)
    if not any(keys.glob(f"{fqrn}.*")):
        key_files.generate(keys, fqrn)
    signer = key_files.KeyFileSigner(keys, fqrn)
    published = _publisher(place, fqrn, signer).create(signer)
    if as_json:
        write_json(_published(published))
        return
    write_line(f"{fqrn} is there, empty, at revision {published.revision}.")
    write_line(f"Publish a folder:  fondaco cvmfs publish DIR {fqrn} --store {store} --keys {keys}")
    write_line(f"Users need the public key:  {keys / (fqrn + '.pub')}")


@app.command()
def publish(  # noqa: PLR0917
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to publish.")],
    fqrn: Fqrn,
    store: StoreUrl,
    keys: Keys,
    at: Annotated[str, typer.Option(metavar="PATH", help="Where in the repository the folder's content goes.")] = "/",
    tag: Annotated[str | None, typer.Option(metavar="NAME", help="Also give the new revision this name.")] = None,
    xattrs: Annotated[bool, typer.Option("--xattrs", help="Keep extended attributes of the user namespace.")] = False,
    compare: Annotated[
        bool,
        typer.Option("--compare-content", help="Read every file, even where size, time and mode are as published."),
    ] = False,
    endpoint: Endpoint = None,
    as_json: Json = False,
) -> None:
    """Make PATH in the repository show exactly what DIR holds.

    Only what differs is stored; a run without changes publishes nothing. Readers see the old revision until the new one
    is complete, whatever happens.
    """
    from fondaco.cli.output import progress, write_json
    from fondaco.cvmfs.ingest import IngestOptions
    from fondaco.cvmfs.keys import KeyFileSigner
    from fondaco.cvmfs.mirror import MirrorOptions, mirror
    from fondaco.cvmfs.stores import open_store

    publisher = _publisher(open_store(store, endpoint=endpoint), fqrn, KeyFileSigner(keys, fqrn))
    options = MirrorOptions(compare_content=compare, ingest=IngestOptions(xattrs=xattrs))
    with publisher.transaction() as transaction, progress(f"publishing {folder}", quiet=as_json) as count:
        if tag is not None:
            transaction.check_tag(tag)
        mirror(transaction, folder, _inside(at), options=options, progress=count)
        published = transaction.commit(tag=tag)
        revision = transaction.head.revision
    if as_json:
        write_json(_published(published) if published else {"fqrn": fqrn, "revision": revision, "changed": 0})
    else:
        _tell(fqrn, revision, published)


@app.command("ls")
def list_(
    url: Url,
    pubkey: PublicKey,
    path: Path_ = "/",
    tag: Tag = None,
    long: Annotated[bool, typer.Option("-l", "--long", help="Mode, owner, size and time of each.")] = False,
    endpoint: Endpoint = None,
    as_json: Json = False,
) -> None:
    """List a directory of a repository, everything verified."""
    from fondaco.cli.output import write_json, write_line

    snapshot = _snapshot(url, pubkey, tag, endpoint)
    entry = snapshot.lookup(_inside(path))
    entries = sorted(snapshot.list(_inside(path)), key=lambda entry: entry.name) if entry.is_dir else [entry]
    if as_json:
        write_json([_fields(entry) for entry in entries])
        return
    for entry in entries:
        write_line(_long(entry) if long else entry.name + ("/" if entry.is_dir else ""))


@app.command()
def cat(
    url: Url, pubkey: PublicKey, path: Path_, tag: Tag = None, endpoint: Endpoint = None, as_json: Json = False
) -> None:
    """Print a file of a repository, its bytes verified before they are printed.

    --json only makes errors JSON: the file is printed as it is.
    """
    del as_json  # the outermost frame looks at it
    snapshot = _snapshot(url, pubkey, tag, endpoint)
    with snapshot.open(_inside(path)) as file:
        while block := file.read(1 << 20):
            sys.stdout.buffer.write(block)
    sys.stdout.buffer.flush()


@app.command()
def stat(
    url: Url, pubkey: PublicKey, path: Path_ = "/", tag: Tag = None, endpoint: Endpoint = None, as_json: Json = False
) -> None:
    """Show everything that the repository says about one path."""
    from fondaco.cli.output import write_json, write_line

    snapshot = _snapshot(url, pubkey, tag, endpoint)
    fields = _fields(snapshot.lookup(_inside(path)))
    if as_json:
        write_json(fields)
        return
    chunks = fields.pop("chunks", [])
    for name, value in fields.items():
        write_line(f"{name:>10}  {value}")
    for chunk in chunks:
        write_line(f"{'chunk':>10}  {chunk['offset']:>12} +{chunk['size']:<10} {chunk['digest']}")


@app.command()
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


def _publisher(store: Any, fqrn: str, signer: Any) -> "Publisher":
    from fondaco.cvmfs.publisher import Publisher

    return Publisher(store=store, fqrn=fqrn, signer=signer, public_keys=(signer.public_key,))


def _snapshot(url: str, pubkey: Path, tag: str | None, endpoint: str | None) -> "Snapshot":
    from fondaco.cvmfs.keys import read_public_keys
    from fondaco.cvmfs.repository import Repository
    from fondaco.cvmfs.stores import open_readable

    repository = Repository.open(open_readable(url, endpoint=endpoint), public_keys=read_public_keys(pubkey))
    return repository.at(tag)


def _inside(path: str) -> str:
    """A path as people type it (``/``, ``a/b``, ``/a/b/``) as the library knows it."""
    return "".join("/" + part for part in path.split("/") if part)


def _tell(fqrn: str, revision: int, published: "Published | None") -> None:
    from fondaco.cli.output import human_size, write_line

    if published is None:
        write_line(f"{fqrn} is at revision {revision}: nothing to publish.")
        return
    objects = f"{published.new_objects:,} new objects, {human_size(published.new_bytes)}"
    write_line(f"{fqrn} is at revision {published.revision}: {published.changed:,} paths changed, {objects}.")


def _published(published: "Published") -> dict[str, Any]:
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


def _report(url: str, report: "Report") -> dict[str, Any]:
    findings = [{"code": found.code.value, "path": found.path, "message": found.message} for found in report.findings]
    return {"url": url, "clean": report.clean, "findings": findings, "more": report.more, **asdict(report.totals)}


def _fields(entry: "Entry") -> dict[str, Any]:
    from fondaco.cvmfs import xattrs

    fields: dict[str, Any] = {
        "name": entry.name,
        "kind": _kind(entry),
        "mode": f"{entry.mode:o}",
        "size": entry.size,
        "mtime_ns": entry.mtime_ns,
        "uid": entry.uid,
        "gid": entry.gid,
        "links": entry.linkcount,
    }
    if entry.is_symlink:
        fields["target"] = entry.symlink
    if entry.digest:
        fields["digest"] = str(entry.object_digest())
    if entry.xattrs:
        fields["xattrs"] = {
            key.decode("utf-8", "surrogateescape"): value.decode("utf-8", "surrogateescape")
            for key, value in xattrs.unpack(entry.xattrs).items()
        }
    if entry.chunks:
        fields["chunks"] = [
            {"offset": chunk.offset, "size": chunk.size, "digest": chunk.digest.hex() + entry.algorithm.text}
            for chunk in entry.chunks
        ]
    return fields


def _kind(entry: "Entry") -> str:
    if entry.is_dir:
        return "directory"
    if entry.is_symlink:
        return "symlink"
    return "special" if entry.is_special else "file"


def _long(entry: "Entry") -> str:
    from fondaco.cli.output import human_time

    target = f" -> {entry.symlink}" if entry.is_symlink else ""
    when = human_time(entry.mtime_ns // 1_000_000_000)
    owner = f"{entry.uid:>5} {entry.gid:>5}"
    return f"{modes.filemode(entry.mode)} {entry.linkcount:>3} {owner} {entry.size:>12} {when} {entry.name}{target}"
