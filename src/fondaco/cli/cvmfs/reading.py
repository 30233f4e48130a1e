"""`fondaco cvmfs ls`, `cat` and `stat`: look into a repository, everything verified."""

import stat as modes
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fondaco.cli.cvmfs.shared import InPath, Url, inside, open_snapshot
from fondaco.cli.options import Endpoint, Json, PublicKey, Tag

if TYPE_CHECKING:
    from fondaco.cvmfs.catalog.row import Row
    from fondaco.cvmfs.entry import Entry
    from fondaco.cvmfs.repository import Snapshot


def ls(
    url: Url,
    pubkey: PublicKey,
    path: InPath = "/",
    tag: Tag = None,
    long: Annotated[bool, typer.Option("-l", "--long", help="Mode, owner, size and time of each.")] = False,
    recursive: Annotated[bool, typer.Option("-R", "--recursive", help="Also what is below, as it is read.")] = False,
    endpoint: Endpoint = None,
    as_json: Json = False,
) -> None:
    """List a directory of a repository, everything verified."""
    from fondaco.cli.output import write_json, write_line
    from fondaco.cvmfs.catalog.row import Row

    snapshot = open_snapshot(url, pubkey, tag, endpoint)
    entry = snapshot.lookup(inside(path))
    if recursive and entry.is_dir:
        _list_recursively(snapshot, inside(path), long=long, as_json=as_json)
        return
    entries = sorted(snapshot.list(inside(path)), key=lambda entry: entry.name) if entry.is_dir else [entry]
    if as_json:
        write_json([_fields(entry) for entry in entries])
        return
    for entry in entries:
        write_line(_long(Row.of(entry)) if long else entry.name + ("/" if entry.is_dir else ""))


def _list_recursively(snapshot: "Snapshot", top: str, *, long: bool, as_json: bool) -> None:
    from fondaco.cli.output import write_json_items, write_lines
    from fondaco.cvmfs.walking import walk_directories

    with snapshot.chain() as chain:
        directories = walk_directories(chain, top)
        if as_json:
            write_json_items(
                {"path": f"{path}/{row.name}", **_fields(row.entry())} for path, rows in directories for row in rows
            )
            return
        for number, (path, rows) in enumerate(directories):
            if number:
                write_lines(("",))
            write_lines((f"{path or '/'}:",))
            write_lines(_long(row) if long else row.name + ("/" if row.is_dir else "") for row in rows)


def cat(
    url: Url,
    pubkey: PublicKey,
    path: InPath,
    tag: Tag = None,
    external: Annotated[
        str | None, typer.Option(metavar="URL", help="Where files are that are not in the repository's own store.")
    ] = None,
    endpoint: Endpoint = None,
    as_json: Json = False,
) -> None:
    """Print a file of a repository, its bytes verified before they are printed.

    --json only makes errors JSON: the file is printed as it is.
    """
    del as_json  # the outermost frame looks at it
    snapshot = open_snapshot(url, pubkey, tag, endpoint, external)
    with snapshot.open(inside(path)) as file:
        while block := file.read(1 << 20):
            sys.stdout.buffer.write(block)
    sys.stdout.buffer.flush()


def stat(
    url: Url, pubkey: PublicKey, path: InPath = "/", tag: Tag = None, endpoint: Endpoint = None, as_json: Json = False
) -> None:
    """Show everything that the repository says about one path."""
    from fondaco.cli.output import write_json, write_line

    snapshot = open_snapshot(url, pubkey, tag, endpoint)
    fields = _fields(snapshot.lookup(inside(path)))
    if as_json:
        write_json(fields)
        return
    chunks = fields.pop("chunks", [])
    for name, value in fields.items():
        write_line(f"{name:>10}  {value}")
    for chunk in chunks:
        write_line(f"{'chunk':>10}  {chunk['offset']:>12} +{chunk['size']:<10} {chunk['digest']}")


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
    if entry.is_external:
        fields["external"] = True
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


def _long(row: "Row") -> str:
    from fondaco.cli.output import human_time

    target = f" -> {row.symlink}" if row.symlink else ""
    owner = f"{row.uid:>5} {row.gid:>5}"
    mode = modes.filemode(row.mode)
    return f"{mode} {row.linkcount:>3} {owner} {row.size:>12} {human_time(row.mtime)} {row.name}{target}"
