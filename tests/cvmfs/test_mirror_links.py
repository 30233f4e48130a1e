"""Folders with hard links and with every kind of file, published as they are and followed as they change."""

import os
import random
import socket
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fondaco.cvmfs import check, paths, xattrs
from fondaco.cvmfs import ingest as ingesting
from fondaco.cvmfs.entry import regular
from fondaco.cvmfs.ingest import IngestOptions
from fondaco.cvmfs.mirror import MirrorOptions
from tests.cvmfs.conftest import KeyFolder
from tests.cvmfs.repositories import FQRN, Place
from tests.cvmfs.test_hardlinks import groups_of

HERE = MirrorOptions(ingest=IngestOptions(processes=0))
WITH_XATTRS = MirrorOptions(ingest=IngestOptions(processes=0, xattrs=True))


@pytest.fixture
def place(tmp_path: Path, key_folder: KeyFolder) -> Place:
    return Place(tmp_path / "repository", key_folder.path).create()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """`a/one`, `a/two` and `b/three` are one file, `a/large` and `a/large2` one of several chunks."""
    top = tmp_path / "source"
    for name in "ab":
        (top / name).mkdir(parents=True)
    (top / "a/one").write_bytes(b"shared")
    (top / "a/two").hardlink_to(top / "a/one")
    (top / "b/three").hardlink_to(top / "a/one")
    (top / "a/large").write_bytes(random.Random(2).randbytes(20_000))
    (top / "a/large2").hardlink_to(top / "a/large")
    (top / "a/alone").write_bytes(b"alone")
    return top


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of files as they are read."""
    names: list[str] = []
    real = ingesting.store_file

    def noted(writer: object, file: ingesting.SourceFile, **named: bool) -> ingesting.StoredFile:
        names.append(os.fsdecode(os.path.basename(file.source)))
        return real(writer, file, **named)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr("fondaco.cvmfs.ingest.store_file", noted)
    return names


def shown_groups(place: Place) -> set[frozenset[str]]:
    return groups_of(place.tree())


def folder_groups(top: Path) -> set[frozenset[str]]:
    """What of the links in a folder a repository can show: those within a directory."""
    inodes: dict[tuple[str, int], set[str]] = {}
    for base, _, names in os.walk(top):
        for name in names:
            path = f"{base.removeprefix(str(top))}/{name}"
            inodes.setdefault((base, os.lstat(f"{base}/{name}").st_ino), set()).add(path)
    return {frozenset(places) for places in inodes.values() if len(places) > 1}


def assert_sound(place: Place) -> None:
    now = datetime.fromtimestamp(place.clock.now, UTC)
    report = check.check(place.store, public_keys=(place.signer.public_key,), fqrn=FQRN, content=True, now=now)
    assert report.findings == []


def test_links_in_a_directory_are_kept_and_read_once(place: Place, source: Path, reads: list[str]) -> None:
    place.publish(source, options=HERE)
    assert shown_groups(place) == {frozenset({"/a/one", "/a/two"}), frozenset({"/a/large", "/a/large2"})}
    tree = place.tree()
    assert tree["/b/three"].digest == tree["/a/one"].digest
    assert tree["/b/three"].linkcount == 1
    assert place.content(tree["/a/large2"]) == (source / "a/large").read_bytes()
    assert len(reads) == 3, "each file once, whatever the number of its names"
    assert place.publish(source, options=HERE) is None
    assert place.publish(source, options=MirrorOptions(compare_content=True, ingest=HERE.ingest)) is None
    assert_sound(place)


def test_a_new_link_costs_no_reading(place: Place, source: Path, reads: list[str]) -> None:
    place.publish(source, options=HERE)
    reads.clear()
    (source / "a/new").hardlink_to(source / "a/large")
    (source / "a/later").hardlink_to(source / "a/alone")
    (source / "b/three").unlink()
    place.publish(source, options=HERE)
    assert shown_groups(place) == folder_groups(source)
    assert frozenset({"/a/large", "/a/large2", "/a/new"}) in shown_groups(place)
    assert place.content(place.tree()["/a/new"]) == (source / "a/large").read_bytes()
    assert reads == []


@pytest.mark.parametrize("options", [HERE, MirrorOptions(compare_content=True, ingest=HERE.ingest)])
@pytest.mark.parametrize("same", [True, False])
def test_a_file_that_an_editor_replaced_is_no_link_any_more(
    place: Place, source: Path, options: MirrorOptions, same: bool
) -> None:
    place.publish(source, options=HERE)
    (source / "a/edited").write_bytes(b"shared" if same else b"edited")
    if same:  # even a copy that nothing but its inode tells from the file
        os.utime(source / "a/edited", ns=(1, os.stat(source / "a/two").st_mtime_ns))
    (source / "a/edited").replace(source / "a/two")
    place.publish(source, options=options)
    assert shown_groups(place) == {frozenset({"/a/large", "/a/large2"})}
    assert_sound(place)


def test_a_linked_marker_is_the_users_wish(place: Place, source: Path) -> None:
    with place.publisher.transaction() as transaction:
        marker = regular(paths.AUTO_MARKER, transaction.store_whole(b""))
        transaction.put(f"/a/{paths.AUTO_MARKER}", marker)
        transaction.commit()
    (source / "a/empty").touch()
    (source / "a" / paths.CATALOG_MARKER).hardlink_to(source / "a/empty")
    published = place.publish(source, options=HERE)
    assert published is not None
    assert published.catalogs == 2
    assert f"/a/{paths.AUTO_MARKER}" not in place.tree()
    assert_sound(place)


def test_a_name_that_goes_shrinks_its_group(place: Place, source: Path) -> None:
    place.publish(source, options=HERE)
    (source / "a/large").unlink()
    place.publish(source, options=HERE)
    assert shown_groups(place) == {frozenset({"/a/one", "/a/two"})}
    assert place.content(place.tree()["/a/large2"]) == (source / "a/large2").read_bytes()


def change(top: Path, random_: random.Random) -> None:
    """Something that people do to files."""
    folders = [top, top / "a", top / "b", top / "a/n"]
    folder, name = random_.choice(folders), random_.choice("pqrstu")
    target = folder / name
    there = [path for path in top.rglob("[p-u]") if path != target and not path.is_dir()]
    kinds: list[Callable[[], object]] = [
        lambda: target.write_bytes(random_.choice([b"x", b"y" * 5000])),
        lambda: target.symlink_to("elsewhere"),
        lambda: os.mkfifo(target),
        lambda: None,
        *[lambda: os.link(random_.choice(there), target, follow_symlinks=False) for _ in range(4 if there else 0)],
    ]
    target.unlink(missing_ok=True)
    random_.choice(kinds)()
    marker = top / "a/n/.cvmfscatalog"
    if random_.random() < 0.1:
        marker.unlink() if marker.exists() else marker.write_bytes(b"")


@pytest.mark.parametrize("seed", range(3))
def test_any_changes_of_a_folder_are_followed(place: Place, tmp_path: Path, seed: int) -> None:
    top = tmp_path / "source"
    for name in ("a/n", "b"):
        (top / name).mkdir(parents=True)
    random_ = random.Random(seed)
    for _ in range(6):
        for _ in range(12):
            change(top, random_)
        place.publish(top, options=HERE)
        assert shown_groups(place) == folder_groups(top)
        for path, entry in place.tree().items():
            status = os.lstat(f"{top}{path}")
            assert (entry.mode, entry.mtime_ns) == (status.st_mode, status.st_mtime_ns), path
            if entry.is_regular:
                assert place.content(entry) == Path(f"{top}{path}").read_bytes()
        assert place.publish(top, options=HERE) is None
    assert_sound(place)


def test_every_kind_of_file_is_published_as_it_is(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    top = tmp_path / "s"  # a short name: the path of a socket has 107 bytes at most
    (top / "dir").mkdir(parents=True)
    os.mkfifo(top / "fifo", 0o640)
    os.mknod(top / "null", stat.S_IFCHR | 0o666, os.makedev(0, 0))  # the one device that anybody may make
    with socket.socket(socket.AF_UNIX) as listening:
        monkeypatch.chdir(top)
        listening.bind("socket")
    (top / "link").symlink_to("nowhere")
    for name, mode in (("setuid", 0o4755), ("setgid", 0o2711), ("sticky", 0o1644), ("none", 0)):
        (top / name).write_bytes(name.encode())
        (top / name).chmod(mode)
    (top / "dir").chmod(0o3777)
    for name, moment in (("before", -(10**18) - 1), ("far", 8 * 10**18 + 7), ("fifo", -1), ("none", 0)):
        (top / name).touch()
        os.utime(top / name, ns=(0, moment))
    os.utime(top / "link", ns=(0, -5), follow_symlinks=False)
    for name in ("setuid", "dir"):
        os.setxattr(top / name, "user.mark", name.encode())
    place.publish(top, options=WITH_XATTRS)
    tree = place.tree()
    for path, entry in tree.items():
        status = os.lstat(f"{top}{path}")
        assert entry.mode == status.st_mode, path
        assert entry.mtime_ns == status.st_mtime_ns, path
        assert (entry.uid, entry.gid) == (status.st_uid, status.st_gid), path
    assert {paths.name_of(path) for path, entry in tree.items() if entry.is_special} == {"fifo", "null", "socket"}
    assert (tree["/null"].size, tree["/fifo"].size) == (0, 0)
    assert {path for path, entry in tree.items() if entry.xattrs} == {"/setuid", "/dir"}
    assert xattrs.unpack(tree["/dir"].xattrs) == {b"user.mark": b"dir"}
    assert place.publish(top, options=WITH_XATTRS) is None
    assert_sound(place)
