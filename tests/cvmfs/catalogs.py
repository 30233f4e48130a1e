"""A second, plain implementation of the rules about catalogs, for tests to hold the real one against."""

import stat
from collections.abc import Callable, Iterator
from dataclasses import replace

from fondaco.cvmfs import paths
from fondaco.cvmfs.catalog.counters import Counters
from fondaco.cvmfs.catalog.database import CatalogDatabase
from fondaco.cvmfs.digest import Digest
from fondaco.cvmfs.entry import Entry
from fondaco.cvmfs.paths import path_key

Images = dict[Digest, bytes]


def walk(images: Images, root: Digest) -> Iterator[tuple[str, Entry]]:
    """Every path of a stored tree, each catalog's rules asserted; of a mountpoint the nested root row is given."""
    seen: dict[str, Entry] = {}
    _walk_catalog(images, root, "", None, seen)
    for path, entry in seen.items():
        if entry.is_dir:
            inside = [other for other in seen if other and paths.parent_of(other) == path]
            subdirectories = sum(seen[other].is_dir for other in inside)
            assert entry.linkcount == 2 + subdirectories, f"{path}: linkcount {entry.linkcount}"
    yield from seen.items()


def _walk_catalog(
    images: Images, digest: Digest, mountpoint: str, parent_row: Entry | None, seen: dict[str, Entry]
) -> Counters:
    catalog = CatalogDatabase.load(images[digest], expected_mountpoint=mountpoint)
    _assert_rows(catalog, mountpoint)
    root = catalog.lookup(mountpoint)
    assert root is not None
    if parent_row is not None:
        assert root.same_as(parent_row)
        assert root.linkcount == parent_row.linkcount
        assert root.flags & 33 == 33
        assert parent_row.flags & 3 == 3
    else:
        assert root.flags == 1
    own, nested = Counters(), []
    own.count(root)
    seen[mountpoint] = root
    waiting = [mountpoint]
    groups: set[int] = set()
    while waiting:
        directory = waiting.pop()
        found = _assert_links(catalog, directory)
        assert not groups & found, f"{directory}: a hard-link group of another directory"
        groups |= found
        for entry in catalog.children(directory, chunks=True):
            path = f"{directory}/{entry.name}"
            assert path not in seen
            own.count(entry)
            seen[path] = entry
            if entry.name == paths.CATALOG_MARKER:
                assert directory == mountpoint, f"marker {path} not at the top of its catalog"
            if entry.is_mountpoint:
                assert not list(catalog.children(path))
                nested.append((path, entry))
            elif entry.is_dir:
                waiting.append(path)
    (rows,) = catalog.connection.execute("SELECT count(*) FROM catalog").fetchone()
    assert rows == own.entries, "rows that cannot be reached"
    (chunk_rows,) = catalog.connection.execute("SELECT count(*) FROM chunks").fetchone()
    assert chunk_rows == own.chunks
    references = {reference.path: reference for reference in catalog.nested()}
    assert references.keys() == {path for path, _ in nested}
    below = Counters()
    for path, row in nested:
        assert references[path].size == len(images[references[path].digest])
        del seen[path]
        total = _walk_catalog(images, references[path].digest, path, row, seen)
        assert f"{path}/{paths.CATALOG_MARKER}" in seen, f"nested catalog {path} without marker"
        below.add(total)
    assert catalog.counters() == (own, below)
    return Counters.sum((own, below))


def _assert_links(catalog: CatalogDatabase, directory: str) -> set[int]:
    """The hard-link groups of a directory: their members are equal and as many as each one's link count says."""
    members: dict[int, list[Entry]] = {}
    for entry in catalog.children(directory, chunks=True):
        if entry.hardlink_group:
            assert not entry.is_dir
            members.setdefault(entry.hardlink_group, []).append(replace(entry, name=""))
        elif not entry.is_dir:
            assert entry.linkcount == 1, f"{directory}/{entry.name}: links without a group"
    for group in members.values():
        assert group[0].linkcount == len(group) > 1
        assert group.count(group[0]) == len(group)
    return set(members)


def _assert_rows(catalog: CatalogDatabase, mountpoint: str) -> None:
    """What crashes or blinds the stock client, row by row."""
    sql = (
        "SELECT rowid, md5path_1, md5path_2, name, symlink, mode, flags, hash, size, typeof(name), typeof(symlink)"
        " FROM catalog"
    )
    rows = catalog.connection.execute(sql).fetchall()
    assert max(row[0] for row in rows) <= max(1, len(rows) / 0.75)
    for rowid, key_1, key_2, name, _link, mode, flags, digest, size, name_type, link_type in rows:
        assert (name_type, link_type) == ("text", "text")
        if rowid == 1:
            assert (key_1, key_2) == path_key(mountpoint), "the root row comes first"
        if stat.S_ISDIR(mode):
            assert digest is None
            assert flags & 1
        elif stat.S_ISREG(mode):
            assert (digest is None) == bool(flags & 64)
            assert size >= 0
            assert name
        else:
            assert digest is None


def recording(images: Images) -> Callable[[bytes], Digest]:
    """A store for sealed catalogs."""

    def store(image: bytes) -> Digest:
        digest = Digest.of(image)
        images[digest] = image
        return digest

    return store
