"""Tar archives published as GNU tar would extract them, in one pass."""

import io
import os
import random
import stat
import tarfile
from pathlib import Path

import pytest

from fondaco.cvmfs import xattrs
from fondaco.cvmfs.errors import BadArchive, BadChange
from fondaco.cvmfs.ingest import IngestOptions
from fondaco.cvmfs.mirror import MirrorOptions
from fondaco.cvmfs.stores.base import MANIFEST
from fondaco.cvmfs.tarball.members import TarOptions
from fondaco.cvmfs.tarball.publish import ingest_tar
from tests.cvmfs.conftest import KeyFolder
from tests.cvmfs.repositories import Place
from tests.cvmfs.tarball.archives import HERE, a_file, a_link, hard, other, publish_tar, tar
from tests.cvmfs.tarball.sparse import ARCHIVES, FILES
from tests.cvmfs.test_hardlinks import groups_of
from tests.cvmfs.test_mirror_links import change

FORMATS = [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]


@pytest.fixture
def place(tmp_path: Path, key_folder: KeyFolder) -> Place:
    return Place(tmp_path / "repository", key_folder.path).create()


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory, key_folder: KeyFolder) -> Place:
    """One repository for all that must leave it as it is."""
    return Place(tmp_path_factory.mktemp("untouched"), key_folder.path).create()


def contents(place: Place) -> dict[str, bytes]:
    return {path: place.content(entry) for path, entry in place.tree().items() if entry.is_regular}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("mode", ["w:", "w:gz", "w:bz2", "w:xz"])
def test_everything_is_published_as_the_archive_has_it(place: Place, form: int, mode: str) -> None:
    large = random.Random(1).randbytes(20_000)
    made = [
        other("./", tarfile.DIRTYPE, mode=0o2750, uid=3, gid=4),
        other("./d", tarfile.DIRTYPE, mode=0o1777, mtime=77),
        a_file("./d/tool", b"#!", mode=0o6755, uid=(1 << 32) - 2, gid=5),
        a_file("d/large", large),
        a_file("implied/parent/x", mtime=5),
        a_link("d/link", "/any/where/../$(X)"),
        other("fifo", tarfile.FIFOTYPE, mode=0o600),
        other("null", tarfile.CHRTYPE, mode=0o666, devmajor=1, devminor=3),
        other("disk", tarfile.BLKTYPE, devmajor=259, devminor=70_000),
        a_file("n" * 255, b"long name"),
        a_file("p/" * 150 + "deep"),
        a_file(os.fsdecode(b"raw\xff\n"), b"raw"),
        a_link("longlink", "t" * 4000),
        a_file("empty", b""),
    ]
    publish_tar(place, tar(made, form=form, mode=mode))
    tree = place.tree()
    assert (tree[""].mode, tree[""].uid, tree[""].gid) == (0o042750, 3, 4)
    assert (tree["/d"].mode, tree["/d"].mtime_ns) == (0o041777, 77 * 10**9)
    assert (tree["/d/tool"].mode, tree["/d/tool"].uid, tree["/d/tool"].gid) == (0o106755, (1 << 32) - 2, 5)
    assert place.content(tree["/d/large"]) == large
    assert len(tree["/d/large"].chunks) > 4
    assert (tree["/implied"].mode, tree["/implied/parent"].mtime_ns) == (0o040755, 5 * 10**9)
    assert tree["/d/link"].symlink == "/any/where/../$(X)"
    assert (stat.S_ISFIFO(tree["/fifo"].mode), tree["/fifo"].size) == (True, 0)
    assert (tree["/null"].mode, tree["/null"].size) == (0o020666, os.makedev(1, 3))
    assert (stat.S_ISBLK(tree["/disk"].mode), tree["/disk"].size) == (True, os.makedev(259, 70_000))
    assert place.content(tree["/" + "n" * 255]) == b"long name"
    assert ("/p" * 150 + "/deep") in tree
    assert place.content(tree["/raw\udcff\n"]) == b"raw"
    assert tree["/longlink"].symlink == "t" * 4000
    assert publish_tar(place, tar(made, form=form, mode=mode)) is None, "the same archive again changes nothing"


@pytest.mark.parametrize("form", ARCHIVES)
def test_sparse_members_are_filled_with_zeros(place: Place, form: str) -> None:
    publish_tar(place, ARCHIVES[form], "/s")
    assert contents(place) == {f"/s/{name}": data for name, data in FILES.items()}


def test_pax_times_and_attributes_are_exact(place: Place) -> None:
    made = a_file("f")
    made[0].pax_headers = {
        "mtime": "-1.000000001",
        "SCHILY.xattr.user.mark": "a\udcff\n=",
        "SCHILY.xattr.user.a%3Db": "",
        "SCHILY.xattr.security.selinux": "no",
    }
    link, folder = a_link("l", "t"), other("d", tarfile.DIRTYPE)
    for info, _ in (link, folder):
        info.pax_headers = {"SCHILY.xattr.user.mark": "here", "mtime": "4000000000.123456789"}
    publish_tar(place, tar([made, link, folder]), options=TarOptions(processes=0, xattrs=True))
    tree = place.tree()
    assert tree["/f"].mtime_ns == -1_000_000_001
    assert xattrs.unpack(tree["/f"].xattrs) == {b"user.mark": b"a\xff\n=", b"user.a=b": b""}
    assert xattrs.unpack(tree["/l"].xattrs) == xattrs.unpack(tree["/d"].xattrs) == {b"user.mark": b"here"}
    assert tree["/d"].mtime_ns == 4_000_000_000_123_456_789
    publish_tar(place, tar([made, link, folder]))
    assert place.tree()["/f"].xattrs is None, "left out unless asked for"


def test_hard_links_become_groups_or_share_content(place: Place) -> None:
    made = [
        a_file("a/one", b"shared"),
        hard("a/two", "a/one"),
        hard("./b/three", "a//two"),
        hard("a/four", "./b/three"),
        hard("b/five", "a/one"),
        hard("c/six", "b/five"),
        a_file("a/large", bytes(range(256)) * 80),
        hard("a/large2", "a/large"),
        a_link("a/s", "one"),
        hard("a/s2", "a/s"),
    ]
    publish_tar(place, tar(made), "/at")
    tree = place.tree()
    assert groups_of(tree) == {
        frozenset({"/at/a/one", "/at/a/two", "/at/a/four"}),
        frozenset({"/at/b/three", "/at/b/five"}),
        frozenset({"/at/a/large", "/at/a/large2"}),
        frozenset({"/at/a/s", "/at/a/s2"}),
    }
    assert tree["/at/b/three"].digest == tree["/at/c/six"].digest == tree["/at/a/one"].digest
    assert place.content(tree["/at/a/large2"]) == bytes(range(256)) * 80
    assert publish_tar(place, tar(made), "/at") is None
    publish_tar(place, tar([a_file("a/two", b"new")]), "/at")
    assert frozenset({"/at/a/one", "/at/a/four"}) in groups_of(place.tree())


def test_a_link_to_a_name_that_was_replaced_links_to_what_is_there_now(place: Place) -> None:
    made = [a_file("a", b"1"), hard("d/b", "a"), a_file("a", b"2"), hard("d/c", "a"), hard("e", "a"), hard("f", "d/b")]
    publish_tar(place, tar(made))
    assert contents(place) == {"/a": b"2", "/d/b": b"1", "/d/c": b"2", "/e": b"2", "/f": b"1"}
    assert groups_of(place.tree()) == {frozenset({"/a", "/e"})}


def test_members_are_added_over_what_is_there_and_the_last_of_a_name_wins(place: Place) -> None:
    publish_tar(place, tar([a_file("keep", b"kept"), a_file("d/f", b"old"), a_file("d/g"), a_link("l", "keep")]))
    publish_tar(place, tar([a_file("d/f", b"1"), a_link("d/f", "x"), a_file("d/f", b"2"), a_file("l", b"file")]))
    assert contents(place) == {"/keep": b"kept", "/d/f": b"2", "/d/g": b"x", "/l": b"file"}
    publish_tar(place, tar([a_file("f", b"new")]), "/d", delete=["/d", "/none"])
    assert contents(place) == {"/keep": b"kept", "/d/f": b"new", "/l": b"file"}


def test_owner_and_modes_are_as_told(place: Place) -> None:
    made = [a_file("new/f", mode=0o6777, uid=7, gid=8), other("d", tarfile.DIRTYPE, mode=0o1777)]
    publish_tar(place, tar(made), "/at", options=TarOptions(processes=0, uid=1000, gid=100, mode_mask=0o755))
    tree = place.tree()
    del tree[""]
    assert {(entry.uid, entry.gid) for entry in tree.values()} == {(1000, 100)}
    assert (tree["/at/new/f"].mode, tree["/at/d"].mode) == (0o100755, 0o040755)


@pytest.mark.parametrize("seed", range(3))
def test_an_archive_of_a_folder_shows_what_the_folder_shows(
    place: Place, tmp_path: Path, key_folder: KeyFolder, seed: int
) -> None:
    top = tmp_path / "source"
    for name in ("a/n", "b"):
        (top / name).mkdir(parents=True)
    random_ = random.Random(seed)
    for _ in range(60):
        change(top, random_)
    for path in [*top.rglob("*"), top]:
        os.utime(path, (1000, 1000), follow_symlinks=False)  # whole seconds, which any format keeps
    with tarfile.open(tmp_path / "x.tar", "w", format=tarfile.GNU_FORMAT) as archive:
        archive.add(top, ".")
    publish_tar(place, (tmp_path / "x.tar").read_bytes())
    other_place = Place(tmp_path / "other", key_folder.path).create()
    other_place.publish(top, options=MirrorOptions(ingest=IngestOptions(processes=0)))
    trees = [one.tree() for one in (place, other_place)]
    plain, expected = ({path: entry.alone() for path, entry in tree.items()} for tree in trees)
    assert plain == expected
    # Archives have hard links of regular files alone.
    linked, groups = (groups_of({path: entry for path, entry in tree.items() if entry.is_regular}) for tree in trees)
    assert linked == groups


def test_worker_processes_and_large_members_keep_the_order(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fondaco.cvmfs.tarball.publish.LARGE_BYTES", 10_000)
    made = [a_file("last", b"a" * 20_000)]
    for number in range(300):
        made += [a_file(f"d{number % 7}/{number}", b"%d" % number), a_file("last", b"%d" % number * 3_000)]
    made.append(hard("link", "last"))
    publish_tar(place, tar(made), options=TarOptions())
    found = contents(place)
    assert found["/last"] == found["/link"] == b"299" * 3_000
    assert all(found[f"/d{number % 7}/{number}"] == b"%d" % number for number in range(300))


def test_memory_is_bounded_whatever_the_archive(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """No read asks for more than a block, and what is held at once is a few batches."""
    monkeypatch.setattr("fondaco.cvmfs.tarball.publish.LARGE_BYTES", 64 << 10)
    data = tar([a_file("large", bytes(8 << 20)), *(a_file(f"f{number}", bytes(50_000)) for number in range(100))])
    asked = []

    class Metered(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            asked.append(size)
            return super().read(size)

    with place.publisher.transaction() as transaction:
        metered: io.BufferedReader = Metered(data)  # type: ignore[assignment]  # what is used of it
        metered.peek = lambda size=0: data[:size]  # type: ignore[method-assign]
        ingest_tar(transaction, metered, options=HERE)
        transaction.commit()
    assert max(size or 0 for size in asked) <= 1 << 20
    assert min(size if size is not None else -1 for size in asked) >= 0


HOSTILE = {
    "absolute": ([a_file("/etc/passwd")], "absolute"),
    "dot dot": ([a_file("a/../../x")], "'..'"),
    "long name": ([a_file("n" * 256)], "longer"),
    "file as the root": ([a_file("./")], "no name"),
    "link as the root": ([a_link(".", "x")], "no name"),
    "link to nothing": ([hard("h", "none")], "no file before it"),
    "link before its file": ([hard("h", "f"), a_file("f")], "no file before it"),
    "link out": ([a_file("f"), hard("h", "../f")], "'..'"),
    "link absolute": ([a_file("f"), hard("h", "/f")], "absolute"),
    "link to a directory": ([other("d", tarfile.DIRTYPE), hard("h", "d")], "no file before it"),
    "link to itself": ([a_file("f"), hard("f", "f")], "itself"),
    "link through a link": ([a_file("d/f"), a_link("l", "d"), hard("h", "l/f")], "no file before it"),
    "empty target": ([a_link("l", "")], "target"),
    "long target": ([a_link("l", "t" * 4096)], "target"),
    "unknown type": ([other("x", b"Z")], "unknown"),
    "owner": ([a_file("f", uid=1 << 32)], "owner"),
    "time": ([(a_file("f")[0], b"")], "time"),
}
HOSTILE["time"][0][0][0].pax_headers = {"mtime": "nan"}
IN_THE_WAY = {
    "through a link": ([a_link("l", "a"), a_file("l/x")], "no directory"),
    "through a file": ([a_file("f"), a_file("f/x")], "no directory"),
    "file over a directory": ([a_file("d/x"), a_file("d")], "it is a directory"),
    "link over a directory": ([a_file("d/x"), a_file("f"), hard("d", "f")], "it is a directory"),
    "marker": ([a_link(".cvmfscatalog", "x")], "marker"),
}


@pytest.mark.parametrize("name", [*HOSTILE, *IN_THE_WAY])
def test_s7_a_hostile_member_publishes_nothing(untouched: Place, name: str) -> None:
    before = untouched.store.get(MANIFEST)
    made, why = (HOSTILE | IN_THE_WAY)[name]
    error = BadArchive if name in HOSTILE else BadChange
    if name in ("empty target", "long target"):
        error = BadChange
    with pytest.raises(error, match=why):
        publish_tar(untouched, tar([a_file("good"), *made]))
    assert untouched.store.get(MANIFEST) == before


def test_an_archive_cut_off_anywhere_publishes_nothing(place: Place) -> None:
    made = [a_file("a", b"a" * 700), other("d", tarfile.DIRTYPE), a_file("d/x", b""), a_file("n" * 150, b"n" * 512)]
    data = tar(made, form=tarfile.GNU_FORMAT)
    end = (len(data.rstrip(b"\0")) + 511) // 512 * 512
    before = place.store.get(MANIFEST)
    for size in [*range(0, end + 1, 512), 1, 511, 513, 1300]:
        with pytest.raises(BadArchive):
            publish_tar(place, data[:size])
    assert place.store.get(MANIFEST) == before
    publish_tar(place, data[: end + 512])
    assert contents(place) == {"/a": b"a" * 700, "/d/x": b"", "/" + "n" * 150: b"n" * 512}


def test_an_empty_archive_is_none_to_complain_about(place: Place) -> None:
    assert publish_tar(place, tar([])) is None
