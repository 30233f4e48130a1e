"""`fondaco cvmfs ingest`: add what a tar archive holds, from a file or a pipe."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader, FileIO
from typing import Annotated, cast

import typer

from fondaco.cli.cvmfs.shared import Fqrn, inside, publisher_of, tell
from fondaco.cli.options import Endpoint, Json, Keys, StoreUrl

MAX_ID = (1 << 32) - 1  # uid_t and gid_t
BUFFER_BYTES = 256 << 10


def _octal(text: str) -> int:
    try:
        bits = int(text, 8)
    except ValueError:
        bits = -1
    if not 0 <= bits <= 0o7777:
        raise typer.BadParameter(f"{text!r} is no octal number up to 7777", param_hint="--mode-mask")
    return bits


def ingest(  # noqa: PLR0917
    archive: Annotated[
        str, typer.Argument(metavar="TARFILE", help="Archive: plain, gzip, bzip2 or xz; - for standard input.")
    ],
    fqrn: Fqrn,
    store: StoreUrl,
    keys: Keys,
    at: Annotated[str, typer.Option(metavar="PATH", help="Where in the repository the archive is taken apart.")] = "/",
    tag: Annotated[str | None, typer.Option(metavar="NAME", help="Also give the new revision this name.")] = None,
    delete: Annotated[
        list[str] | None,
        typer.Option(metavar="PATH", help="Remove this from the repository first, if it is there; may be repeated."),
    ] = None,
    uid: Annotated[
        int | None, typer.Option(metavar="N", min=0, max=MAX_ID, help="Owner of everything, instead of the archive's.")
    ] = None,
    gid: Annotated[
        int | None, typer.Option(metavar="N", min=0, max=MAX_ID, help="Group of everything, instead of the archive's.")
    ] = None,
    mode_mask: Annotated[
        str, typer.Option(metavar="OCTAL", help="Permission bits to keep: 0755 drops setuid and writing.")
    ] = "7777",
    xattrs: Annotated[bool, typer.Option("--xattrs", help="Keep extended attributes of the user namespace.")] = False,
    endpoint: Endpoint = None,
    as_json: Json = False,
) -> None:
    """Add what a tar archive holds to PATH in the repository, in one pass.

    Members take the place of files of their names; what else is there stays. An archive that is damaged, cut off or
    would write elsewhere publishes nothing. Another compression goes through a pipe: zstd -dc X | fondaco cvmfs ingest
    - …
    """
    from fondaco.cli.output import progress
    from fondaco.cvmfs.keys import KeyFileSigner
    from fondaco.cvmfs.stores import open_store
    from fondaco.cvmfs.tarball.members import TarOptions
    from fondaco.cvmfs.tarball.publish import ingest_tar

    publisher = publisher_of(open_store(store, endpoint=endpoint), fqrn, KeyFileSigner(keys, fqrn))
    options = TarOptions(xattrs=xattrs, uid=uid, gid=gid, mode_mask=_octal(mode_mask))
    with (
        _opened(archive) as file,
        publisher.transaction() as transaction,
        progress(f"publishing {archive}", quiet=as_json) as count,
    ):
        if tag is not None:
            transaction.check_tag(tag)
        for path in delete or ():
            transaction.remove(inside(path))
        ingest_tar(transaction, file, inside(at), options=options, progress=count)
        published = transaction.commit(tag=tag)
        revision = transaction.head.revision
    tell(fqrn, revision, published, as_json=as_json)


@contextmanager
def _opened(archive: str) -> Iterator[BufferedReader]:
    """The archive of that name; the standard input is left open."""
    from fondaco.cvmfs.errors import BadArchive

    if archive == "-":
        yield cast("BufferedReader", sys.stdin.buffer)
        return
    try:
        file = cast("BufferedReader", BufferedReader(FileIO(archive), BUFFER_BYTES))
    except OSError as error:
        raise BadArchive(f"{archive!r} cannot be opened", error.strerror or str(error), "name a tar archive") from error
    with file:
        yield file
