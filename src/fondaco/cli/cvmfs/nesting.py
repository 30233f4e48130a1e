"""`fondaco cvmfs split` and `merge`: nested catalogs on wish."""

import time
from typing import Annotated

import typer

from fondaco.cli.cvmfs.shared import Fqrn, inside, publisher_of, tell
from fondaco.cli.options import Endpoint, Json, Keys, StoreUrl

Directories = Annotated[list[str], typer.Argument(metavar="PATH", help="Directories in the repository.")]


def split(
    paths: Directories, fqrn: Fqrn, store: StoreUrl, keys: Keys, endpoint: Endpoint = None, as_json: Json = False
) -> None:
    """Give directories catalogs of their own.

    Large trees are divided by themselves; this is for directories that are used or changed apart from the rest, such as
    the releases of a software. What is in them stays as it is.
    """
    _change(fqrn, paths, store, keys, endpoint, as_json, wish=True)


def merge(
    paths: Directories, fqrn: Fqrn, store: StoreUrl, keys: Keys, endpoint: Endpoint = None, as_json: Json = False
) -> None:
    """Take the content of directories into the catalogs above them."""
    _change(fqrn, paths, store, keys, endpoint, as_json, wish=False)


def _change(
    fqrn: str, paths: list[str], store: str, keys: Keys, endpoint: str | None, as_json: bool, *, wish: bool
) -> None:
    from fondaco.cvmfs import nested
    from fondaco.cvmfs.keys import KeyFileSigner
    from fondaco.cvmfs.stores import open_store

    publisher = publisher_of(open_store(store, endpoint=endpoint), fqrn, KeyFileSigner(keys, fqrn))
    with publisher.transaction() as transaction:
        for path in paths:
            if wish:
                nested.split(transaction, inside(path), mtime_ns=time.time_ns())
            else:
                nested.merge(transaction, inside(path))
        published = transaction.commit()
        revision = transaction.head.revision
    tell(fqrn, revision, published, as_json=as_json)
