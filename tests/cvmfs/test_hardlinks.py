"""Hard-link groups under random changes, against a dictionary of inodes; the catalogs' rules hold on the way."""

import hashlib
import itertools
import sqlite3
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fondaco.cvmfs import paths
from fondaco.cvmfs.catalog.balance import Balance
from fondaco.cvmfs.catalog.hardlinks import MAX_GROUP, HardLinks, corrections
from fondaco.cvmfs.catalog.tree import CatalogTree
from fondaco.cvmfs.entry import Chunk, Content, Entry, directory, regular, special, symlink
from fondaco.cvmfs.errors import BadChange, BadPath, LimitExceeded, NotInRepository
from tests.cvmfs.catalogs import Images, recording, walk

EMPTY = Content(size=0, digest=hashlib.sha1(b"empty").digest())
SMALL = Balance(maximum=8, minimum=3, merge_below=2)
CHUNKS = (Chunk(0, 5, b"a" * 20), Chunk(5, 7, b"b" * 20))


def file(name: str, text: str = "x") -> Entry:
    return regular(name, Content(size=len(text), digest=hashlib.sha1(text.encode()).digest()))


def leaf(kind: str, name: str, salt: int) -> Entry:
    made = {
        "file": lambda: file(name, str(salt)),
        "chunked": lambda: regular(name, Content(size=12, digest=None, chunks=CHUNKS), mtime_ns=salt),
        "symlink": lambda: symlink(name, f"t{salt}"),
        "fifo": lambda: special(name, 0o010600 + salt),
    }
    return made[kind]()


@dataclass
class Case:
    """A tree that is stored and opened again between rounds."""

    def __post_init__(self) -> None:
        self.images: Images = {}
        self.tree = CatalogTree.empty(directory(""))
        self.revision = 0
        self.root = self._sealed(Balance())

    def stored(self, *, reload: bool = True, balance: Balance | None = None) -> dict[str, Entry]:
        """Store, and give what a reader then finds; the rules of all catalogs hold."""
        self.root = self._sealed(balance or Balance()) or self.root
        if reload:
            self.tree = CatalogTree.load(self.root, self.images.__getitem__)
        return dict(walk(self.images, self.root))

    def _sealed(self, balance: Balance) -> Any:
        self.revision += 1
        self.tree.arrange(balance, lambda: EMPTY, 0)
        sealed = self.tree.seal(recording(self.images), revision=self.revision, now=1_700_000_000, ttl=240)
        return sealed.root if sealed else None

    def groups(self) -> set[frozenset[str]]:
        return groups_of(self.stored())


def groups_of(found: dict[str, Entry]) -> set[frozenset[str]]:
    """The paths that share an inode."""
    members: dict[tuple[str, int], set[str]] = {}
    for path, entry in found.items():
        if entry.hardlink_group:
            members.setdefault((paths.parent_of(path), entry.hardlink_group), set()).add(path)
    return set(map(frozenset, members.values()))


def group(*places: str) -> frozenset[str]:
    return frozenset(places)


@pytest.fixture
def case() -> Case:
    """`/d/a`, `/d/b` and `/d/c` are links of each other, `/d/x` and `/d/y` are."""
    case = Case()
    case.tree.put_links(["/d/a", "/d/b", "/d/c"], file("any"))
    case.tree.put_links(["/d/x", "/d/y"], file("any", "y"))
    assert case.groups() == {group("/d/a", "/d/b", "/d/c"), group("/d/x", "/d/y")}
    return case


def test_a_group_that_is_there_changes_nothing(case: Case) -> None:
    assert not case.tree.put_links(["/d/b", "/d/a", "/d/c"], file("any"))
    assert not case.tree.link("/d/c", "/d/a")
    assert not case.tree.put("/d/a", file("a")), "what does not change stays in its group"
    before = case.root
    case.stored()
    assert case.root == before


def test_a_link_joins(case: Case) -> None:
    assert case.tree.link("/d/e", "/d/c")
    assert case.tree.link("/d/f", "/d/e")
    assert case.groups() == {group("/d/a", "/d/b", "/d/c", "/d/e", "/d/f"), group("/d/x", "/d/y")}
    assert case.tree.link("/d/x", "/d/a")
    assert case.groups() == {group("/d/a", "/d/b", "/d/c", "/d/e", "/d/f", "/d/x")}


def test_two_files_become_a_group(case: Case) -> None:
    case.tree.put("/e/one", file("one"))
    case.stored()
    case.tree.link("/e/two", "/e/one")
    assert group("/e/one", "/e/two") in case.groups()


def test_a_link_in_another_directory_is_a_file_of_its_own(case: Case) -> None:
    assert case.tree.link("/e/z", "/d/a")
    found = case.stored()
    assert found["/e/z"].digest == found["/d/a"].digest
    assert (found["/e/z"].linkcount, found["/e/z"].hardlink_group) == (1, 0)


def test_an_edited_member_leaves_and_the_rest_counts_on(case: Case) -> None:
    case.tree.put("/d/a", file("a", "edited"))
    assert case.groups() == {group("/d/b", "/d/c"), group("/d/x", "/d/y")}
    case.tree.put("/d/b", directory("b"))
    assert case.groups() == {group("/d/x", "/d/y")}


def test_removals_shrink_a_group_to_nothing(case: Case) -> None:
    case.tree.remove("/d/a")
    assert case.groups() == {group("/d/b", "/d/c"), group("/d/x", "/d/y")}
    case.tree.remove("/d/c")
    case.tree.remove("/d/y")
    assert case.groups() == set()


def test_a_group_is_exactly_what_was_asked_for(case: Case) -> None:
    assert case.tree.put_links(["/d/a", "/d/x"], file("any"))
    assert case.groups() == {group("/d/a", "/d/x"), group("/d/b", "/d/c")}
    assert case.tree.put_links(["/d/a"], file("any"))
    assert case.groups() == {group("/d/b", "/d/c")}


def test_groups_keep_apart_when_catalogs_split_and_merge(case: Case) -> None:
    case.tree.put_links(["/d/n/a", "/d/n/b"], file("any"))
    case.tree.put_links(["/d/n/m/a", "/d/n/m/b"], file("any"))
    expected = case.groups()
    case.tree.put("/d/n/.cvmfscatalog", file(".cvmfscatalog"))
    case.tree.link("/d/x2", "/d/x")
    expected = expected - {group("/d/x", "/d/y")} | {group("/d/x", "/d/y", "/d/x2")}
    assert case.groups() == expected
    for top in ("/d/n", "/d/n/m", "/d", "/e"):  # new ids on both sides of the mountpoint, to meet in one catalog
        case.tree.put_links([f"{top}/p", f"{top}/q"], file("any"))
        expected.add(group(f"{top}/p", f"{top}/q"))
    assert case.groups() == expected
    case.tree.remove("/d/n/.cvmfscatalog")
    case.tree.remove("/d/x2")
    assert case.groups() == expected - {group("/d/x", "/d/y", "/d/x2")} | {group("/d/x", "/d/y")}


def test_a_copy_of_a_member_is_no_member(case: Case) -> None:
    member = case.tree.lookup("/d/a")
    assert member is not None
    case.tree.put("/d/copy", replace(member, name="copy"))
    assert case.groups() == {group("/d/a", "/d/b", "/d/c"), group("/d/x", "/d/y")}


def test_what_cannot_be_linked_is_said(case: Case) -> None:
    for call, error in (
        (lambda: case.tree.put_links(["/d/a", "/e/a"], file("a")), BadChange),
        (lambda: case.tree.put_links([], file("a")), BadChange),
        (lambda: case.tree.put_links([""], file("a")), BadChange),
        (lambda: case.tree.put_links(["/d/p", "/d/q"], directory("p")), BadChange),
        (lambda: case.tree.put_links(["/d/.cvmfscatalog"], symlink("l", "t")), BadChange),
        (lambda: case.tree.put_links(["/d/a/b", "/d/a/c"], file("a")), BadChange),
        (lambda: case.tree.put_links(["/d/..", "/d/q"], file("a")), BadPath),
        (lambda: case.tree.link("/d/q", "/d/none"), NotInRepository),
        (lambda: case.tree.link("/d/q", ""), NotInRepository),
        (lambda: case.tree.link("/d/q", "/d"), BadChange),
        (lambda: case.tree.link("/d/a", "/d/a"), BadChange),
    ):
        with pytest.raises(error):
            call()


def test_ids_run_out_with_a_reason() -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE catalog (hardlinks INTEGER)")
    connection.execute("INSERT INTO catalog VALUES (?)", ((MAX_GROUP - 1) << 32 | 2,))
    links = HardLinks(connection)
    assert links.new_group() == MAX_GROUP
    with pytest.raises(LimitExceeded, match="hard link"):
        links.new_group()


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9))))
def test_corrections_make_counts_fit_and_then_find_nothing(wanted: list[tuple[int, int]]) -> None:
    rows = {rowid: group << 32 | links for rowid, (group, links) in enumerate(wanted) if group}
    rows |= {rowid: column for column, rowid in corrections(rows.items())}
    counts = [column >> 32 for column in rows.values()]
    for column in rows.values():
        assert column == 1 if column >> 32 == 0 else counts.count(column >> 32) == column & 0xFFFFFFFF > 1
    assert [*corrections((rowid, column) for rowid, column in rows.items() if column >> 32)] == []


# -- any changes -------------------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["a", "b", "c", "raw\udcff"])
FOLDERS = st.sampled_from(["", "/d", "/d/e", "/f"])
KINDS = st.sampled_from(["file", "file", "chunked", "symlink", "fifo"])
STEPS = st.one_of(
    st.tuples(st.just("group"), FOLDERS, st.sets(NAMES, min_size=1), KINDS, st.integers(0, 1)),
    st.tuples(st.just("put"), FOLDERS, NAMES, KINDS, st.integers(0, 1)),
    st.tuples(st.just("link"), FOLDERS, NAMES, FOLDERS, NAMES),
    st.tuples(st.just("remove"), FOLDERS, NAMES),
    st.tuples(st.just("drop"), FOLDERS),
    st.tuples(st.just("mark"), FOLDERS),
)
Model = dict[str, tuple[Entry, int]]  # path of a file → what it shows, its inode


class Inodes:
    """What a file system would do. Directories are not modelled: they are made where needed and may stay."""

    def __init__(self) -> None:
        self.files: Model = {}
        self._numbers = itertools.count(1)

    def group(self, places: list[str], entry: Entry) -> None:
        number = next(self._numbers)
        self.files |= dict.fromkeys(places, (entry, number))

    def put(self, place: str, entry: Entry) -> None:
        if place not in self.files or self.files[place][0] != entry:
            self.group([place], entry)

    def link(self, place: str, target: str) -> None:
        entry, number = self.files[target]
        if paths.parent_of(place) == paths.parent_of(target):
            self.files[place] = entry, number
        else:
            self.put(place, entry)

    def remove(self, top: str) -> None:
        gone = [path for path in self.files if path == top or paths.is_below(path, top)]
        for path in gone:
            del self.files[path]

    def groups(self) -> set[frozenset[str]]:
        members: dict[tuple[str, int], set[str]] = {}
        for path, (_, number) in self.files.items():
            members.setdefault((paths.parent_of(path), number), set()).add(path)
        return {frozenset(places) for places in members.values() if len(places) > 1}


def apply(tree: CatalogTree, model: Inodes, step: tuple) -> None:  # type: ignore[type-arg]  # drawn by hypothesis
    match step:
        case ("group", folder, names, kind, salt):
            places = [f"{folder}/{name}" for name in sorted(names)]
            tree.put_links(places, leaf(kind, "any", salt))
            model.group(places, leaf(kind, "", salt))
        case ("put", folder, name, kind, salt):
            tree.put(f"{folder}/{name}", leaf(kind, name, salt))
            model.put(f"{folder}/{name}", leaf(kind, "", salt))
        case ("link", folder, name, other, target) if f"{other}/{target}" in model.files:
            if f"{folder}/{name}" != f"{other}/{target}":
                tree.link(f"{folder}/{name}", f"{other}/{target}")
                model.link(f"{folder}/{name}", f"{other}/{target}")
        case ("remove", folder, name):
            tree.remove(f"{folder}/{name}")
            model.remove(f"{folder}/{name}")
        case ("drop", folder) if folder:
            tree.remove(folder)
            model.remove(folder)
        case ("mark", folder) if folder:
            marker = f"{folder}/.cvmfscatalog"
            if tree.lookup(marker) is None:
                tree.put(marker, file(".cvmfscatalog"))
            else:
                tree.remove(marker)


@settings(max_examples=150)
@given(
    st.lists(st.lists(STEPS, max_size=12), min_size=1, max_size=4),
    st.sampled_from([SMALL, Balance()]),
    st.booleans(),
)
def test_any_changes_end_where_a_file_system_ends(rounds: list[list[tuple]], balance: Balance, reload: bool) -> None:  # type: ignore[type-arg]  # drawn by hypothesis
    case, model = Case(), Inodes()
    for steps in rounds:
        for step in steps:
            apply(case.tree, model, step)
        found = case.stored(reload=reload, balance=balance)
        own = (paths.CATALOG_MARKER, paths.AUTO_MARKER)
        files = {path: entry for path, entry in found.items() if not entry.is_dir and entry.name not in own}
        shown = {path: replace(entry.alone(), name="") for path, entry in files.items()}
        assert shown == {path: replace(entry, name="") for path, (entry, _) in model.files.items()}
        assert groups_of(files) == model.groups()
