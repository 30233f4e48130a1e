"""Rows of a revision out of open catalogs, and what a new revision changes."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from fondaco.cvmfs.entry import BIND_MOUNTPOINT, HIDDEN, Entry, directory, regular
from fondaco.cvmfs.errors import MalformedData
from fondaco.cvmfs.mount.nodes import Node, Nodes
from fondaco.cvmfs.mount.takeover import changes
from fondaco.cvmfs.mount.tree import CatalogNeeded, Catalogs, Tree, load
from tests.cvmfs.conftest import KeyFolder
from tests.cvmfs.repositories import Place

_Result = TypeVar("_Result")


@pytest.fixture
def place(tmp_path: Path, key_folder: KeyFolder) -> Place:
    place = Place(tmp_path / "repository", key_folder.path).create()
    source = tmp_path / "source"
    (source / "nested").mkdir(parents=True)
    (source / "nested" / ".cvmfscatalog").touch()
    (source / "nested" / "deep").write_text("deep")
    (source / "flat").write_text("flat")
    place.publish(source)
    return place


def tree_of(place: Place, catalogs: Catalogs) -> Tree:
    manifest = place.manifest()
    return Tree(catalogs, manifest.root_catalog, manifest.root_catalog_size)


def asked(place: Place, catalogs: Catalogs, question: Callable[[], _Result], needed: list[str]) -> _Result:
    """The answer, after loading what it needs; the mountpoints of that go to *needed*."""
    while True:
        try:
            return question()
        except CatalogNeeded as need:
            needed.append(need.reference.mountpoint)
            catalogs.add(need.reference, load(place.store, need.reference))


def test_catalogs_are_asked_for_one_by_one(place: Place) -> None:
    catalogs, needed = Catalogs(), []
    tree = tree_of(place, catalogs)
    found = asked(place, catalogs, lambda: tree.lookup("/nested/deep"), needed)
    assert found is not None
    assert (found[0].name, found[1], needed) == ("deep", "/nested", ["", "/nested"])
    assert tree.lookup("/nested/none") is None
    assert tree.root_row()[0].is_dir
    assert (tree.revision(), tree.ttl()) == (2, 240)


def test_the_least_recently_used_catalog_is_closed(place: Place) -> None:
    catalogs, needed = Catalogs(limit=1), []
    tree = tree_of(place, catalogs)
    asked(place, catalogs, lambda: tree.lookup("/flat"), needed)
    with pytest.raises(CatalogNeeded):
        tree.lookup("/nested/deep")
    assert len(catalogs) == 1


def test_hidden_rows_are_found_and_not_listed_and_bind_mountpoints_are_refused(place: Place) -> None:
    with place.publisher.transaction() as transaction:
        content = transaction.store_whole(b"x")
        shown = regular("hidden", content)
        transaction.put(
            "/hidden", Entry(name="hidden", mode=shown.mode, flags=shown.flags | HIDDEN, digest=shown.digest)
        )
        transaction.commit()
    catalogs, needed = Catalogs(), []
    tree = tree_of(place, catalogs)
    root = asked(place, catalogs, tree.root_row, needed)[0]
    rows, mountpoint = asked(place, catalogs, lambda: tree.children("", root), needed)
    assert (sorted(row.name for row in rows), mountpoint) == (["flat", "nested"], "")
    assert tree.lookup("/hidden") is not None
    bound = Entry(name="b", mode=directory("b").mode, flags=1 | BIND_MOUNTPOINT)
    with pytest.raises(MalformedData, match="another revision"):
        tree.children("/b", bound)


def test_what_a_new_revision_changes(place: Place, tmp_path: Path) -> None:
    catalogs, needed = Catalogs(), []
    old = tree_of(place, catalogs)
    nodes = Nodes()

    def node(path: str) -> Node:
        found = asked(place, catalogs, lambda: old.lookup(path), needed)
        assert found is not None
        made = nodes.at(path, *found, old)
        assert made is not None
        return made

    flat, deep, nested = node("/flat"), node("/nested/deep"), node("/nested")
    (tmp_path / "source" / "flat").write_text("other content")
    place.publish(tmp_path / "source")
    new = tree_of(place, catalogs)
    changed = asked(place, catalogs, lambda: changes(flat, old, new), needed)
    assert (changed.entry, changed.gone) == (None, ("/flat",))
    for kept in (deep, nested):
        same = asked(place, catalogs, lambda kept=kept: changes(kept, old, new), needed)
        assert (same.entry, same.gone) == (kept.entry, ())
    (tmp_path / "source" / "nested" / "deep").chmod(0o600)
    place.publish(tmp_path / "source")
    newest = tree_of(place, catalogs)
    altered = asked(place, catalogs, lambda: changes(deep, old, newest), needed)
    assert altered.gone == ()
    assert altered.entry is not None
    assert altered.entry.mode & 0o777 == 0o600
