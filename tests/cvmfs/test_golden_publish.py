"""The tree of the reference repository, published by us: wherever the format fixes something, the rows are the same."""

from pathlib import Path
from typing import Any

import pytest

from fondaco.cvmfs import entry as entries
from fondaco.cvmfs.catalog.database import CatalogDatabase
from fondaco.cvmfs.chunking import ChunkSizes
from fondaco.cvmfs.digest import Digest, Suffix
from fondaco.cvmfs.entry import Content, Entry
from fondaco.cvmfs.objects import fetch
from fondaco.cvmfs.repository import Repository, Snapshot
from fondaco.cvmfs.stores.local import LocalStore
from fondaco.cvmfs.transaction import Transaction
from tests.cvmfs.conftest import GoldenRepository, KeyFolder
from tests.cvmfs.repositories import Place

GOLDEN_SIZES = ChunkSizes(minimum=64 << 10, average=128 << 10, maximum=256 << 10)  # what it was published with

Rows = dict[str, Any]


def republish(transaction: Transaction, snapshot: Snapshot, folder: str = "") -> None:
    """Put everything that *snapshot* shows, its content read and stored anew."""
    for entry in sorted(snapshot.list(folder), key=lambda entry: entry.name):
        path = f"{folder}/{entry.name}"
        transaction.put(path, remade(transaction, snapshot, path, entry))
        if entry.is_dir:
            republish(transaction, snapshot, path)


def remade(transaction: Transaction, snapshot: Snapshot, path: str, entry: Entry) -> Entry:
    common = {"mtime_ns": entry.mtime_ns, "uid": entry.uid, "gid": entry.gid, "xattrs": entry.xattrs}
    if entry.is_dir:
        return entries.directory(entry.name, mode=entry.mode, **common)  # type: ignore[arg-type]  # values by name
    if entry.is_symlink:
        return entries.symlink(entry.name, entry.symlink, **common)  # type: ignore[arg-type]
    if entry.is_special:
        return entries.special(entry.name, entry.mode, **common)  # type: ignore[arg-type]
    content: Content = transaction.store_content([snapshot.open(path).read()])
    return entries.regular(entry.name, content, mode=entry.mode, **common)  # type: ignore[arg-type]


def catalogs(store: LocalStore, root: Digest) -> Rows:
    """Every catalog by mountpoint: all that is in it but what an installation chooses."""
    found: Rows = {}
    waiting = [("", root)]
    while waiting:
        mountpoint, digest = waiting.pop()
        database = CatalogDatabase.load(fetch(store, digest, Suffix.CATALOG), expected_mountpoint=mountpoint)
        query = database.connection.execute
        columns = (
            "md5path_1, md5path_2, parent_1, parent_2, hardlinks, hash, size, mode, mtime, coalesce(mtimens, 0), flags,"
            " name, symlink, uid, gid, xattr"
        )
        found[mountpoint] = {
            "rows": sorted(query(f"SELECT {columns} FROM catalog"), key=repr),
            "types": {
                column: sorted(query(f"SELECT DISTINCT typeof({column}) FROM catalog"))
                for column in ("hash", "name", "symlink", "xattr", "size", "uid")
            },
            "chunks": sorted(query("SELECT md5path_1, md5path_2, offset, size, hash FROM chunks")),
            "nested": sorted(query("SELECT path FROM nested_catalogs")),
            "statistics": dict(query("SELECT counter, value FROM statistics")),
            "first row": query("SELECT md5path_1, md5path_2 FROM catalog ORDER BY rowid LIMIT 1").fetchone(),
            "tables": sorted(" ".join(str(sql).split()) for (sql,) in query("SELECT sql FROM sqlite_master")),
        }
        waiting += [(reference.path, reference.digest) for reference in database.nested()]
    return found


@pytest.mark.parametrize("tag", ["v1.0", "v2.0"])
def test_the_same_tree_gives_the_same_rows(
    golden: GoldenRepository, key_folder: KeyFolder, tmp_path: Path, tag: str
) -> None:
    store = LocalStore(golden.root)
    snapshot = Repository.open(store, public_keys=[golden.public_key], now=golden.valid_at).at(tag)
    place = Place(tmp_path / "ours", key_folder.path, sizes=GOLDEN_SIZES).create()
    with place.publisher.transaction() as transaction:
        transaction.put("", entries.directory("", mtime_ns=snapshot.lookup("").mtime_ns))
        republish(transaction, snapshot)
        transaction.commit()
    ours, theirs = catalogs(place.store, place.manifest().root_catalog), catalogs(store, snapshot.root)
    assert ours.keys() == theirs.keys() == {"", "/nested", "/nested/deep/inner"}
    for mountpoint, expected in theirs.items():
        for what, value in expected.items():
            assert ours[mountpoint][what] == value, f"{what} of the catalog at {mountpoint or '/'}"
    assert place.tree().keys() == {path for path, _ in snapshot.walk()}
