"""`fondaco cvmfs mkfs` and `publish`: make a repository, and fill it from a folder."""

from pathlib import Path
from typing import Annotated

import typer

from fondaco.cli.cvmfs.shared import Fqrn, HashName, fields_of, inside, publisher_of, tell
from fondaco.cli.options import Endpoint, Json, Keys, StoreUrl


def mkfs(
    fqrn: Fqrn,
    store: StoreUrl,
    keys: Keys,
    compression: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Of its files, for its life: zlib (objects equal to those of the CernVM-FS server tools), deflate"
            " (same size, half the time), fast (an eighth of the time, a twelfth larger), none.",
        ),
    ] = "zlib",
    algorithm: Annotated[
        HashName, typer.Option("--hash", help="What names objects, for the whole life of the repository.")
    ] = HashName.SHA1,
    endpoint: Endpoint = None,
    as_json: Json = False,
) -> None:
    """Make a new, empty repository.

    Keys that are not in the key folder yet are made there; keep FQRN.masterkey safe, it is what users trust in the end.
    """
    from fondaco.cli.output import write_json, write_line
    from fondaco.cvmfs import keys as key_files
    from fondaco.cvmfs.codec import codec_named
    from fondaco.cvmfs.digest import Algorithm, Digest
    from fondaco.cvmfs.fqrn import check_fqrn
    from fondaco.cvmfs.stores import open_store

    check_fqrn(fqrn)  # before anything is made under an impossible name
    codec_named(compression)
    hashed = Algorithm[algorithm.name]
    Digest.of(b"", hashed)  # and before anything is made that could not be named
    place = open_store(store, endpoint=endpoint, create=True)
    if not any(keys.glob(f"{fqrn}.*")):
        key_files.generate(keys, fqrn)
    signer = key_files.KeyFileSigner(keys, fqrn)
    published = publisher_of(place, fqrn, signer).create(signer, algorithm=hashed, codec=compression)
    if as_json:
        write_json(fields_of(published))
        return
    write_line(f"{fqrn} is there, empty, at revision {published.revision}.")
    write_line(f"Publish a folder:  fondaco cvmfs publish DIR {fqrn} --store {store} --keys {keys}")
    write_line(f"Users need the public key:  {keys / (fqrn + '.pub')}")


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
    external: Annotated[
        bool,
        typer.Option("--external", help="Store no files, only their hashes: clients get them from CVMFS_EXTERNAL_URL."),
    ] = False,
    endpoint: Endpoint = None,
    as_json: Json = False,
) -> None:
    """Make PATH in the repository show exactly what DIR holds.

    Only what differs is stored; a run without changes publishes nothing. Readers see the old revision until the new one
    is complete, whatever happens.
    """
    from fondaco.cli.output import progress
    from fondaco.cvmfs.ingest import IngestOptions
    from fondaco.cvmfs.keys import KeyFileSigner
    from fondaco.cvmfs.mirror import MirrorOptions, mirror
    from fondaco.cvmfs.stores import open_store
    from fondaco.cvmfs.transaction import PublishOptions

    how = PublishOptions(external=external)
    publisher = publisher_of(open_store(store, endpoint=endpoint), fqrn, KeyFileSigner(keys, fqrn), how)
    options = MirrorOptions(compare_content=compare, ingest=IngestOptions(xattrs=xattrs))
    with publisher.transaction() as transaction, progress(f"publishing {folder}", quiet=as_json) as count:
        if tag is not None:
            transaction.check_tag(tag)
        mirror(transaction, folder, inside(at), options=options, progress=count)
        published = transaction.commit(tag=tag)
        revision = transaction.head.revision
    tell(fqrn, revision, published, as_json=as_json)
