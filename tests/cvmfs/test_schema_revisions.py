"""Catalogs of the schema revisions 0 to 7: read, checked, and changed after they were brought up to the newest."""

import sqlite3
from pathlib import Path

import pytest

from fondaco.cvmfs.catalog import schema
from fondaco.cvmfs.catalog.database import CatalogDatabase
from fondaco.cvmfs.catalog.writable import WritableCatalog
from fondaco.cvmfs.digest import Digest
from fondaco.cvmfs.entry import Content, directory, regular
from fondaco.cvmfs.errors import BadChange
from fondaco.cvmfs.publisher import Publisher
from fondaco.cvmfs.repository import Repository
from fondaco.cvmfs.transaction import PublishOptions
from tests.cvmfs.check.workbench import MOUNTPOINTS, Workbench
from tests.cvmfs.conftest import GoldenRepository, KeyFolder, _key_folder

# Statements that take a catalog from revision i + 1 back to i.
BACK: list[list[str]] = [
    ["ALTER TABLE nested_catalogs DROP COLUMN size"],
    ["ALTER TABLE catalog DROP COLUMN xattr", "DELETE FROM statistics WHERE counter LIKE '%xattr'"],
    ["DELETE FROM statistics WHERE counter LIKE '%external%'"],
    ["DROP TABLE bind_mountpoints"],
    ["DELETE FROM statistics WHERE counter LIKE '%_special'"],
    [],
    ["ALTER TABLE catalog DROP COLUMN mtimens"],
]
REVISIONS = range(len(BACK) + 1)
NO_SPECIALS = [  # before revision 5 there were none
    "UPDATE statistics SET value = value - 1 WHERE counter = 'self_special'",
    "DELETE FROM catalog WHERE name = 'fifo'",
]


def downgrade(revision: int) -> list[str]:
    steps = [statement for step in reversed(BACK[revision:]) for statement in step]
    claim = f"UPDATE properties SET value = '{revision}' WHERE key = 'schema_revision'"
    return [*steps, claim if revision else "DELETE FROM properties WHERE key = 'schema_revision'"]


@pytest.fixture(scope="module")
def own_keys(golden: GoldenRepository, tmp_path_factory: pytest.TempPathFactory) -> KeyFolder:
    return _key_folder(tmp_path_factory.mktemp("own-keys"), golden.fqrn)


@pytest.fixture
def bench(golden: GoldenRepository, own_keys: KeyFolder, tmp_path: Path) -> Workbench:
    return Workbench(golden, tmp_path / "repository", own_keys)


def old(bench: Workbench, revision: int) -> Repository:
    """The reference repository with all its catalogs of an older schema revision."""
    if revision < schema.SPECIAL_SINCE:
        bench.edit("", *NO_SPECIALS)
    for mountpoint in MOUNTPOINTS:
        bench.edit(mountpoint, *downgrade(revision))
    bench.publish()
    return reopened(bench)


def reopened(bench: Workbench) -> Repository:
    return Repository.open(bench.store, public_keys=bench.public_keys, now=bench.now)


def publisher(bench: Workbench) -> Publisher:
    return Publisher(
        store=bench.store,
        fqrn=bench.keys.fqrn,
        signer=bench.keys.signer,
        public_keys=bench.public_keys,
        options=PublishOptions(clock=bench.now.timestamp),
    )


@pytest.mark.parametrize("revision", REVISIONS)
def test_every_revision_is_read_and_checked(bench: Workbench, golden: GoldenRepository, revision: int) -> None:
    newest = Repository.open(str(golden.root), public_keys=[golden.public_key], now=golden.valid_at)
    shown = dict(old(bench, revision).head.walk())
    for path, entry in newest.head.walk():
        if path == "/fifo" and revision < schema.SPECIAL_SINCE:
            continue
        assert (shown[path].size, shown[path].mode, shown[path].digest) == (entry.size, entry.mode, entry.digest)
        assert bool(shown[path].xattrs) == (bool(entry.xattrs) and revision >= schema.XATTR_SINCE)
        if entry.is_regular:
            assert reopened(bench).head.read(path) == newest.head.read(path)
    assert [str(finding) for finding in bench.check(content=True).findings] == []


@pytest.mark.parametrize("revision", REVISIONS)
def test_every_revision_is_published_to(bench: Workbench, revision: int) -> None:
    before = dict(old(bench, revision).head.walk())
    with publisher(bench).transaction() as transaction:
        for path in ("/new", "/nested/deep/inner/new"):
            transaction.put(path, regular("new", transaction.store_whole(b"new"), mtime_ns=1_000_000_007))
        transaction.commit()
    after = dict(reopened(bench).head.walk())
    assert after.keys() - before.keys() == {"/new", "/nested/deep/inner/new"}
    assert after["/new"].mtime_ns == 1_000_000_007
    assert reopened(bench).head.read("/nested/deep/inner/new") == b"new"
    assert [str(finding) for finding in bench.check(content=True).findings] == []


@pytest.mark.parametrize("revision", REVISIONS)
def test_an_upgraded_catalog_has_what_a_new_one_has(revision: int) -> None:
    new = WritableCatalog.new("", directory("")).seal(revision=1, now=1, ttl=240)
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.deserialize(new)
    for statement in downgrade(revision):
        connection.execute(statement)
    catalog = WritableCatalog.open(connection.serialize(), "", Digest(b"\1" * 20))
    catalog.insert("/file", regular("file", Content(size=3, digest=b"\2" * 20), mtime_ns=5, xattrs=b"\1\0"))
    image = catalog.seal(revision=2, now=2, ttl=240)
    upgraded = CatalogDatabase.load(image)
    assert upgraded.properties()["schema_revision"] == schema.SCHEMA_REVISION
    row = upgraded.lookup("/file")
    assert row is not None
    assert (row.size, row.digest, row.mtime_ns, row.xattrs) == (3, b"\2" * 20, 5, b"\1\0")
    assert upgraded.connection.execute("SELECT count(*) FROM statistics").fetchone() == (24,)
    assert upgraded.bind_mountpoints() == []


def test_special_files_without_their_flag_are_known_by_their_mode(bench: Workbench) -> None:
    bench.edit("", "UPDATE catalog SET flags = 4 WHERE name = 'fifo'")
    for mountpoint in MOUNTPOINTS:
        bench.edit(mountpoint, "UPDATE properties SET value = '4' WHERE key = 'schema_revision'")
    bench.publish()
    fifo = reopened(bench).head.lookup("/fifo")
    assert (fifo.is_special, fifo.is_regular) == (True, False)
    assert bench.codes() == set()


def test_what_a_revision_does_not_promise_is_not_looked_at(bench: Workbench) -> None:
    """A column that is there before its time is not read by clients."""
    bench.edit("", "UPDATE catalog SET mtimens = 5", "UPDATE properties SET value = '6' WHERE key = 'schema_revision'")
    bench.publish()
    assert reopened(bench).head.lookup("/bin/hello").mtime_ns % 1_000_000_000 == 0


@pytest.mark.parametrize(("key", "value"), [("schema", "2.4"), ("schema_revision", "8")])
def test_catalogs_of_another_generation_are_not_changed(key: str, value: str) -> None:
    catalog = WritableCatalog.new("", directory(""))
    catalog.set_property(key, value)
    image = catalog.seal(revision=1, now=1, ttl=240)
    assert CatalogDatabase.load(image).lookup("") is not None
    with pytest.raises(BadChange, match="cannot be changed"):
        WritableCatalog.open(image, "", Digest(b"\1" * 20))
