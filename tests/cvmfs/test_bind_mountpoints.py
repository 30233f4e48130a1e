"""Bind mountpoints, which show another root catalog, and hidden entries, which are found by their names only."""

from pathlib import Path

import pytest

from fondaco.cvmfs.catalog.database import NestedReference
from fondaco.cvmfs.catalog.nesting import merge, split
from fondaco.cvmfs.catalog.tree import CatalogTree
from fondaco.cvmfs.digest import Digest
from fondaco.cvmfs.entry import BIND_MOUNTPOINT, directory, symlink
from fondaco.cvmfs.errors import BadChange, MalformedData
from fondaco.cvmfs.mirror import mirror
from fondaco.cvmfs.publisher import Publisher
from fondaco.cvmfs.repository import Repository
from fondaco.cvmfs.transaction import PublishOptions
from tests.cvmfs.check.damage import WHERE
from tests.cvmfs.check.workbench import Workbench
from tests.cvmfs.conftest import GoldenRepository, KeyFolder, _key_folder

PLACE = "/emptydir"  # shows the tag v1.0
BIND = f"UPDATE catalog SET flags = flags | {BIND_MOUNTPOINT} WHERE name = 'emptydir'"
HIDE = f"UPDATE catalog SET flags = flags | {0x8000} WHERE {WHERE.format('/bin')}"


@pytest.fixture(scope="module")
def own_keys(golden: GoldenRepository, tmp_path_factory: pytest.TempPathFactory) -> KeyFolder:
    return _key_folder(tmp_path_factory.mktemp("own-keys"), golden.fqrn)


@pytest.fixture
def bench(golden: GoldenRepository, own_keys: KeyFolder, tmp_path: Path) -> Workbench:
    bench = Workbench(golden, tmp_path / "repository", own_keys)
    root = original(golden).at("v1.0").root
    bench.edit("", BIND, HIDE, f"INSERT OR REPLACE INTO bind_mountpoints VALUES ('{PLACE}', '{root}', 0)")
    bench.publish()
    return bench


def original(golden: GoldenRepository) -> Repository:
    return Repository.open(str(golden.root), public_keys=[golden.public_key], now=golden.valid_at)


def reopened(bench: Workbench) -> Repository:
    return Repository.open(bench.store, public_keys=bench.public_keys, now=bench.now)


def test_a_bind_mountpoint_shows_another_revision_with_its_nested_catalogs(
    bench: Workbench, golden: GoldenRepository
) -> None:
    head, tagged = reopened(bench).head, original(golden).at("v1.0")
    assert head.lookup(PLACE).is_bind_mountpoint
    expected = {f"{PLACE}{path}": entry for path, entry in tagged.walk() if path}
    shown = {path: entry for path, entry in head.walk(PLACE) if path != PLACE}
    assert shown == expected
    assert any(path.startswith(f"{PLACE}/nested/deep/inner/") for path in shown)
    for path, entry in tagged.walk():
        if entry.is_regular:
            assert head.read(f"{PLACE}{path}") == tagged.read(path)


def test_a_bind_mountpoint_is_part_of_every_walk_that_comes_by(bench: Workbench) -> None:
    assert f"{PLACE}/nested/deep/inner/.cvmfscatalog" in dict(reopened(bench).head.walk())


def test_hidden_entries_are_found_but_not_listed(bench: Workbench) -> None:
    head = reopened(bench).head
    assert head.lookup("/bin").is_hidden
    assert "bin" not in {entry.name for entry in head.list("/")}
    assert not any(path.startswith("/bin") for path, _ in head.walk())
    assert "hello" in {entry.name for entry in head.list("/bin")}
    assert head.read("/bin/hello")


def test_check_knows_them(bench: Workbench) -> None:
    assert [str(finding) for finding in bench.check(content=True).findings] == []


def test_check_looks_for_what_is_shown(bench: Workbench, golden: GoldenRepository) -> None:
    bench.edit("", f"UPDATE bind_mountpoints SET sha1 = '{'1' * 40}'")
    bench.publish()
    (finding,) = bench.check().findings
    assert (finding.code.value, finding.path) == ("object-missing", PLACE)


def test_a_row_that_registers_nothing_is_malformed(bench: Workbench) -> None:
    bench.edit("", "UPDATE bind_mountpoints SET size = 'much'")
    bench.publish()
    with pytest.raises(MalformedData, match="is registered as"):
        reopened(bench).head.list("/")
    assert bench.codes() == {"column-type"}


def test_publishing_a_folder_keeps_what_is_hidden_and_nothing_goes_into_another_revision(
    bench: Workbench, tmp_path: Path
) -> None:
    publisher = Publisher(
        store=bench.store,
        fqrn=bench.keys.fqrn,
        signer=bench.keys.signer,
        public_keys=bench.public_keys,
        options=PublishOptions(clock=bench.now.timestamp),
    )
    (tmp_path / "source").mkdir()
    (tmp_path / "source/file").write_bytes(b"file")
    with publisher.transaction() as transaction:
        for path in (f"{PLACE}/x", f"{PLACE}/lib/x"):
            with pytest.raises(BadChange, match="shows another revision"):
                transaction.put(path, symlink("x", "target"))
        mirror(transaction, tmp_path / "source")
        transaction.commit()
    head = reopened(bench).head
    assert [entry.name for entry in head.list("/")] == ["file"]
    assert head.read("/bin/hello")
    assert [str(finding) for finding in bench.check().findings] == [], "the reference went with its mountpoint"


def test_bind_mountpoints_move_between_catalogs() -> None:
    tree = CatalogTree.empty(directory(""))
    for path in ("/a", "/a/b", "/a/b/snapshot"):
        tree.put(path, directory(path.rpartition("/")[2]))
    digest = Digest(b"\1" * 20)
    tree.root.bind([NestedReference("/a/b/snapshot", digest, 7, is_bind=True)])
    child = split(tree, tree.root, "/a/b")
    assert tree.root.bind_mountpoints() == []
    assert [(item.path, item.digest, item.size) for item in child.bind_mountpoints()] == [("/a/b/snapshot", digest, 7)]
    merge(tree, tree.root, "/a/b")
    assert [item.path for item in tree.root.bind_mountpoints()] == ["/a/b/snapshot"]
    tree.remove("/a")
    assert tree.root.bind_mountpoints() == []
