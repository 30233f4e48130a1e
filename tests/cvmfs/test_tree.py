"""The tree of catalogs under random changes, against a dictionary and a plain re-count of every rule."""

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fondaco.cvmfs import paths
from fondaco.cvmfs.catalog.balance import Balance, cuts
from fondaco.cvmfs.catalog.tree import CatalogTree
from fondaco.cvmfs.digest import Digest
from fondaco.cvmfs.entry import Chunk, Content, Entry, directory, regular, special, symlink
from fondaco.cvmfs.errors import BadChange
from tests.cvmfs.catalogs import Images, recording, walk

EMPTY = Content(size=0, digest=hashlib.sha1(b"empty").digest())
SMALL = Balance(maximum=12, minimum=4, merge_below=2)
WIDE = Balance()


def file(name: str, text: str = "x", **attributes: int) -> Entry:
    digest = hashlib.sha1(text.encode()).digest()
    return regular(name, Content(size=len(text), digest=digest), **attributes)  # type: ignore[arg-type]


def chunked(name: str) -> Entry:
    parts = (Chunk(0, 5, b"a" * 20), Chunk(5, 7, b"b" * 20))
    return regular(name, Content(size=12, digest=None, chunks=parts))


def seal(tree: CatalogTree, images: Images, revision: int, balance: Balance = WIDE) -> Digest | None:
    tree.arrange(balance, lambda: EMPTY, 0)
    stored = tree.seal(recording(images), revision=revision, now=1_700_000_000, ttl=240)
    return stored.root if stored else None


def new_tree() -> CatalogTree:
    return CatalogTree.empty(directory(""))


def reload(images: Images, root: Digest) -> CatalogTree:
    return CatalogTree.load(root, images.__getitem__)


def shown(images: Images, root: Digest) -> dict[str, Entry]:
    """The tree as a user sees it, without what the catalogs keep for themselves."""
    automatic = (paths.AUTO_MARKER, paths.CATALOG_MARKER)
    return {
        path: replace(
            entry,
            linkcount=0,
            flags=entry.flags & ~34 if entry.is_dir else entry.flags,
            size=entry.size * (not entry.is_dir),
        )
        for path, entry in walk(images, root)
        if entry.name not in automatic
    }


def test_a_new_tree_has_its_root_row_first_and_nothing_else() -> None:
    images: Images = {}
    root = seal(new_tree(), images, 1)
    assert root is not None
    assert dict(walk(images, root)).keys() == {""}


def test_unchanged_puts_store_nothing() -> None:
    images: Images = {}
    tree = new_tree()
    tree.put("/a/b", file("b"))
    tree.put("/a/c", chunked("c"))
    root = seal(tree, images, 1)
    assert root is not None
    again = reload(images, root)
    assert not again.put("/a/b", file("b"))
    assert not again.put("/a/c", chunked("c"))
    assert not again.put("/a", directory("a"))
    assert not again.remove("/a/nothing")
    assert seal(again, images, 2) is None


def test_a_tree_goes_on_after_sealing() -> None:
    images: Images = {}
    tree = new_tree()
    tree.put("/a/b", file("b"))
    tree.put("/n/.cvmfscatalog", file(".cvmfscatalog"))
    tree.put("/n/x", file("x"))
    seal(tree, images, 1)
    tree.put("/n/y/z", file("z"))
    tree.remove("/a/b")
    root = seal(tree, images, 2)
    assert root is not None
    assert dict(walk(images, root)).keys() == {"", "/a", "/n", "/n/.cvmfscatalog", "/n/x", "/n/y", "/n/y/z"}


def test_only_catalogs_on_the_changed_path_are_written() -> None:
    images: Images = {}
    tree = new_tree()
    for name in "abc":
        tree.put(f"/{name}/.cvmfscatalog", file(".cvmfscatalog"))
        tree.put(f"/{name}/deep/.cvmfscatalog", file(".cvmfscatalog"))
        tree.put(f"/{name}/deep/x", file("x"))
    root = seal(tree, images, 1)
    assert root is not None
    assert len(images) == 7
    again = reload(images, root)
    again.put("/b/deep/x", file("x", "other"))
    seal(again, images, 2)
    assert len(images) == 7 + 3


def test_markers_make_and_unmake_nested_catalogs() -> None:
    images: Images = {}
    tree = new_tree()
    tree.put("/a/.cvmfscatalog", file(".cvmfscatalog"))
    tree.put("/a/b/c/.cvmfscatalog", file(".cvmfscatalog"))
    tree.put("/a/b/c/f", chunked("f"))
    root = seal(tree, images, 1)
    assert root is not None
    assert len(images) == 3
    again = reload(images, root)
    again.remove("/a/.cvmfscatalog")
    again.put("/a/b/.cvmfscatalog", file(".cvmfscatalog"))
    root = seal(again, images, 2)
    assert root is not None
    assert dict(walk(images, root)).keys() == {
        "",
        "/a",
        "/a/b",
        "/a/b/.cvmfscatalog",
        "/a/b/c",
        "/a/b/c/.cvmfscatalog",
        "/a/b/c/f",
    }
    third = reload(images, root)
    third.remove("/a/b")
    root = seal(third, images, 3)
    assert root is not None
    assert dict(walk(images, root)).keys() == {"", "/a"}


def test_kinds_replace_each_other() -> None:
    images: Images = {}
    tree = new_tree()
    tree.put("/x/y/z", file("z"))
    root = seal(tree, images, 1)
    assert root is not None
    tree = reload(images, root)
    tree.put("/x", symlink("x", "elsewhere"))
    with pytest.raises(BadChange, match="no directory"):
        tree.put("/x/y", file("y"))
    root = seal(tree, images, 2)
    assert root is not None
    tree = reload(images, root)
    tree.put("/x", directory("x", mode=0o700))
    tree.put("/x/y", special("y", 0o010644))
    root = seal(tree, images, 3)
    assert root is not None
    found = dict(walk(images, root))
    assert found["/x"].mode == 0o040700
    assert found["/x/y"].is_special


def test_a_marker_that_is_no_file_is_refused() -> None:
    with pytest.raises(BadChange, match="regular file"):
        new_tree().put("/a/.cvmfscatalog", directory(".cvmfscatalog"))


def test_names_of_any_bytes_are_kept() -> None:
    images: Images = {}
    tree = new_tree()
    names = ["é", "e\u0301", paths.decode(b"raw\xff\xfe"), "new\nline", " ", "\U0001f600", "a" * 255]
    for name in names:
        tree.put(f"/{name}", file(name))
        tree.put(f"/links/{name}", symlink(name, f"/{name}"))
    root = seal(tree, images, 1)
    assert root is not None
    found = dict(walk(images, root))
    assert set(names) <= {path[1:] for path in found}
    assert all(found[f"/links/{name}"].symlink == f"/{name}" for name in names)


def test_large_catalogs_are_cut_and_small_ones_merged_back() -> None:
    images: Images = {}
    tree = new_tree()
    for top in range(3):
        for number in range(8):
            tree.put(f"/d{top}/f{number}", file(f"f{number}"))
    root = seal(tree, images, 1, SMALL)
    assert root is not None
    assert len(images) > 1
    assert f"/d0/{paths.AUTO_MARKER}" in dict(walk(images, root))
    tree = reload(images, root)
    for top in range(3):
        for number in range(8):
            tree.remove(f"/d{top}/f{number}")
    images.clear()
    root = seal(tree, images, 2, replace(SMALL, merge_below=4))
    assert root is not None
    assert dict(walk(images, root)).keys() == {"", "/d0", "/d1", "/d2"}
    assert len(images) == 1


@pytest.mark.parametrize("name", ["\u00e8", "raw\udcff", "a' b%"])
def test_a_nested_catalog_may_have_any_name(name: str) -> None:
    images: Images = {}
    tree = new_tree()
    tree.put(f"/{name}/{paths.CATALOG_MARKER}", file(paths.CATALOG_MARKER))
    tree.put(f"/{name}/below/{paths.CATALOG_MARKER}", file(paths.CATALOG_MARKER))
    tree.put(f"/{name}/below/f", file("f"))
    root = seal(tree, images, 1)
    assert root is not None
    assert len(images) == 3
    tree = reload(images, root)
    tree.remove(f"/{name}/below/{paths.CATALOG_MARKER}")
    root = seal(tree, images, 2)
    assert root is not None
    assert f"/{name}/below/f" in dict(walk(images, root))


def test_two_thousand_levels_are_no_trouble() -> None:
    images: Images = {}
    tree = new_tree()
    path = "/d" * 2000
    tree.put(path + "/f", file("f"))
    root = seal(tree, images, 1)
    assert root is not None
    assert sum(1 for _ in CatalogTree.load(root, images.__getitem__).children(path)) == 1


NAMES = st.sampled_from(["a", "b", "\u00e8", "raw\udcff", ".cvmfscatalog"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))
CHANGES = st.lists(
    st.tuples(st.sampled_from(["file", "chunked", "dir", "link", "remove"]), PATHS, st.integers(0, 2)), max_size=25
)


@settings(max_examples=150)
@given(st.lists(CHANGES, min_size=1, max_size=4), st.sampled_from([SMALL, WIDE]), st.booleans())
def test_any_changes_end_where_a_dictionary_ends(
    rounds: list[list[tuple[str, str, int]]], balance: Balance, keep: bool
) -> None:
    images: Images = {}
    model: dict[str, Entry] = {"": directory("")}
    tree = new_tree()
    seal(tree, images, 1, balance)
    for revision, changes in enumerate(rounds, 2):
        for kind, path, salt in changes:
            _apply(tree, model, kind, path, salt)
        digest = seal(tree, images, revision, balance)
        if digest is not None:
            root = digest
            expected = {
                path: replace(e, linkcount=0, size=e.size * (not e.is_dir))
                for path, e in model.items()
                if e.name != ".cvmfscatalog"
            }
            assert shown(images, root) == expected
            if not keep:
                tree = reload(images, root)


def _apply(tree: CatalogTree, model: dict[str, Entry], kind: str, path: str, salt: int) -> None:
    if kind == "remove":
        tree.remove(path)
        for gone in [known for known in model if known == path or paths.is_below(known, path)]:
            del model[gone]
        return
    name = paths.name_of(path)
    make = {
        "file": lambda: file(name, str(salt)),
        "chunked": lambda: chunked(name),
        "dir": lambda: directory(name, mtime_ns=salt),
        "link": lambda: symlink(name, f"t{salt}"),
    }
    entry = make[kind]()
    blocked = any(above in model and not model[above].is_dir for above in paths.ancestors(path))
    bad_marker = ".cvmfscatalog" in paths.parent_of(path).split("/") or (
        name == ".cvmfscatalog" and not entry.is_regular
    )
    if blocked or bad_marker:
        with pytest.raises(BadChange):
            tree.put(path, entry)
        return
    tree.put(path, entry)
    for above in paths.ancestors(path):
        model.setdefault(above, directory(paths.name_of(above)))
    if not entry.is_dir:
        for gone in [known for known in model if paths.is_below(known, path)]:
            del model[gone]
    model[path] = entry


@given(st.dictionaries(PATHS, st.integers(0, 30), max_size=30))
def test_cuts_leave_no_catalog_above_the_limit_that_could_be_cut(leaves: dict[str, int]) -> None:
    tree = {"": 0}
    for path, count in leaves.items():
        for above in paths.ancestors(path):
            tree.setdefault(above, 0)
        tree[path] = count
    chosen = cuts("", tree.items(), SMALL)
    assert len(set(chosen)) == len(chosen)
    weights = {path: count + 1 for path, count in tree.items()}
    for path in sorted(tree, key=lambda path: -path.count("/")):
        if path:
            weights[paths.parent_of(path)] += 1 if path in chosen else weights[path]
        if path in chosen:
            assert weights[path] >= SMALL.minimum
    for path in [*chosen, ""]:
        parts = [child for child in tree if child and child not in chosen and paths.parent_of(child) == path]
        if weights[path] > SMALL.maximum:
            assert all(weights[child] < SMALL.minimum or weights[child] > SMALL.maximum for child in parts)
