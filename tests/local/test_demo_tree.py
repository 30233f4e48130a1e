"""The tree of the demonstration, and that its objects say what a publisher reads in them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fondaco.local import demo_tree
from fondaco.local.demo_tree import Item
from fondaco.software import posix
from fondaco.software.keys import LINK_SUFFIX, Place, place

NAMES = st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="/"), min_size=1, max_size=20).filter(
    lambda name: name not in (".", "..") and not name.startswith(".cvmfs") and not name.endswith(LINK_SUFFIX)
)


@given(
    parts=st.lists(NAMES, min_size=1, max_size=4),
    mode=st.integers(0, 0o777),
    mtime_ns=st.integers(0, 1 << 61),
    target=st.none() | NAMES,
)
def test_an_object_says_all_that_the_item_has(parts: list[str], mode: int, mtime_ns: int, target: str | None) -> None:
    path = "/" + "/".join(parts)
    item = Item(path=path, size=1, mode=0 if target else mode, mtime_ns=mtime_ns, target=target)
    read = posix.read(item.metadata, marker=False)
    assert read.mtime_ns == mtime_ns
    assert read.notes == ()
    assert read.kind is posix.Kind.FILE  # a link is known by its key
    assert read.mode == (None if target else mode)
    assert place(item.key.removesuffix(LINK_SUFFIX if target else "")) == Place(path, is_directory=False)
    assert item.key.endswith(LINK_SUFFIX) == (target is not None)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tree") / "tree"
    demo_tree.make_tree(folder)
    return folder


def snapshot(folder: Path) -> dict[str, tuple[Item, bytes]]:
    return {item.path: (item, demo_tree.content(folder, item)) for item in demo_tree.items(folder)}


def test_the_tree_is_a_real_one(tree: Path) -> None:
    items = list(demo_tree.items(tree))
    files = [item for item in items if item.target is None]
    assert len(files) >= demo_tree.ENOUGH_FILES
    assert sum(1 for item in files if item.mode & 0o100) >= 1
    links = {item.path: item.target for item in items if item.target is not None}
    assert links["/bin/greet"] == "hello"
    assert (tree / "lib" / "python3" / "this.py").is_file()  # a link to a directory
    assert not any("__pycache__" in item.path or item.path.endswith(".pyc") for item in items)
    assert [folder for folder in tree.rglob("*") if folder.is_dir() and not any(folder.iterdir())] == []


def test_a_short_library_is_filled_up_with_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library, packages = tmp_path / "library", tmp_path / "packages"
    (library / "json").mkdir(parents=True)
    (library / "json" / "tool.py").write_text("#")
    for package in range(4):
        for file in range(1000):
            (packages / f"p{package}").mkdir(parents=True, exist_ok=True)
            (packages / f"p{package}" / f"{file}.py").write_text("")
    monkeypatch.setattr(
        demo_tree.sysconfig, "get_path", lambda name: str({"stdlib": library, "purelib": packages}[name])
    )
    demo_tree.make_tree(tmp_path / "tree")
    files = [item for item in demo_tree.items(tmp_path / "tree") if item.target is None]
    assert demo_tree.ENOUGH_FILES <= len(files) < demo_tree.ENOUGH_FILES + 1000


def test_changes_are_exactly_what_differs_afterwards(tree: Path) -> None:
    before = snapshot(tree)
    changes = demo_tree.change(tree)
    after = snapshot(tree)
    assert {item.path for item in changes.added} == after.keys() - before.keys()
    assert {item.path for item in changes.removed} == before.keys() - after.keys()
    assert {item.path for item in changes.changed} == {
        path for path in after.keys() & before.keys() if after[path] != before[path]
    }
    assert {item.path: item for item in (*changes.added, *changes.changed)}.items() <= {
        path: item for path, (item, _) in after.items()
    }.items()
    assert changes.removed
    assert changes.added
