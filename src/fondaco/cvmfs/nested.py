"""Nested catalogs on wish: give a directory a catalog of its own, or take that away.

A directory has a catalog of its own exactly where a ``.cvmfscatalog`` file lies in it: both are changes of that file.
"""

from fondaco.cvmfs import paths
from fondaco.cvmfs.entry import regular
from fondaco.cvmfs.errors import BadChange, NotInRepository, NotThatKind
from fondaco.cvmfs.paths import AUTO_MARKER, CATALOG_MARKER
from fondaco.cvmfs.transaction import Transaction


def split(transaction: Transaction, path: str, *, mtime_ns: int) -> bool:
    """Give the directory *path* a catalog of its own, for good; False when it has one on a user's wish already.

    One that was cut off automatically becomes the user's, and is no longer merged when it gets small.
    """
    _need_directory(transaction, path)
    content = transaction.store_whole(b"")
    made = transaction.put(f"{path}/{CATALOG_MARKER}", regular(CATALOG_MARKER, content, mtime_ns=mtime_ns))
    return transaction.remove(f"{path}/{AUTO_MARKER}") or made


def merge(transaction: Transaction, path: str) -> bool:
    """Take the content of the directory *path* into the catalog above; False when it has none of its own.

    BadChange where it would be cut off again, because together the two are too large.
    """
    _need_directory(transaction, path)
    if transaction.lookup(f"{path}/{CATALOG_MARKER}") is None:
        return False
    above, own = transaction.catalog_entries(paths.parent_of(path)), transaction.catalog_entries(path)
    most = transaction.balance.maximum
    if above + own > most and own >= transaction.balance.minimum:
        raise BadChange(
            f"the catalog at {path!r} cannot be merged",
            f"it has {own:,} entries, the one above {above:,}, and together they may have {most:,}",
            "split what else is large in the one above first",
        )
    transaction.remove(f"{path}/{AUTO_MARKER}")
    return transaction.remove(f"{path}/{CATALOG_MARKER}")


def _need_directory(transaction: Transaction, path: str) -> None:
    if path == paths.ROOT:
        raise BadChange("the root's catalog stays as it is", "every repository has it", "name a directory below it")
    entry = transaction.lookup(path)
    if entry is None:
        raise NotInRepository(f"{path!r} has no catalog", "there is no such directory", "list its parent")
    if not entry.is_dir:
        raise NotThatKind(f"{path!r} has no catalog", "it is no directory", "name a directory")
