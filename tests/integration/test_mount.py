"""A repository mounted over FUSE: what programs see of it."""

import errno
import os
import random
import signal
import socket
import stat
import subprocess
import threading
from pathlib import Path

import pytest

from fondaco.cvmfs import entry
from fondaco.cvmfs.content import ContentWriter
from fondaco.cvmfs.ingest import IngestOptions
from fondaco.cvmfs.mirror import MirrorOptions
from tests.cvmfs.repositories import Place
from tests.integration.mounting import command, is_mounted, mounted, new_place, unmount, wait_until

XATTRS = MirrorOptions(ingest=IngestOptions(xattrs=True))
CHUNKED = random.Random(7).randbytes(200_000)  # about 60 chunks as these tests cut


def sample_tree(folder: Path) -> Path:
    """Of everything something."""
    (folder / "dir" / "below").mkdir(parents=True)
    (folder / "dir" / "hello").write_text("hello")
    (folder / "chunked").write_bytes(CHUNKED)
    (folder / "empty").touch()
    os.symlink("hello", folder / "dir" / "link")
    os.symlink("nowhere", folder / "dangling")
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff\xfe")).write_text("name of no encoding")
    os.mkfifo(folder / "fifo")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(folder / "sock"))
    os.mknod(folder / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    (folder / "nested").mkdir()
    (folder / "nested" / ".cvmfscatalog").touch()
    for number in range(300):
        (folder / "nested" / f"file{number}").write_text(f"{number}")
    os.setxattr(folder / "dir" / "hello", "user.color", b"blue")
    os.chown(folder / "dir" / "below", 1234, 4321)
    (folder / "dir" / "below").chmod(0o750)
    for place, names, files in os.walk(folder):
        for name in [*names, *files]:  # not of this very second: rsync takes times within one for equal
            os.utime(Path(place, name), ns=(0, 1_700_000_000_123_456_789), follow_symlinks=False)
    os.utime(folder / "empty", ns=(0, -5_000_000_000))
    return folder


def described(top: Path) -> dict[str, tuple[object, ...]]:
    found: dict[str, tuple[object, ...]] = {}
    for folder, names, files in os.walk(top):
        for name in [*names, *files]:
            path = Path(folder, name)
            seen = path.lstat()
            content = path.read_bytes() if stat.S_ISREG(seen.st_mode) else b""
            target = os.readlink(path) if path.is_symlink() else ""
            size = seen.st_size if stat.S_ISREG(seen.st_mode) else 0
            row = (seen.st_mode, seen.st_uid, seen.st_gid, seen.st_mtime_ns, seen.st_rdev, size, content, target)
            found[str(path.relative_to(top))] = row
    return found


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return new_place(tmp_path)


def test_the_mount_shows_what_was_published_and_rsync_copies_it(tmp_path: Path, place: Place) -> None:
    source = sample_tree(tmp_path / "source")
    place.publish(source, options=XATTRS)
    with mounted(place, tmp_path / "m", "--magic-xattrs", "never") as mount:
        assert described(mount.top) == described(source)
        subprocess.run(["rsync", "-aHX", f"{mount.top}/", tmp_path / "copy"], check=True)
        seen = (mount.top / "dir").stat()
        assert (seen.st_nlink, mount.top.stat().st_nlink) == (3, 4)
    assert described(tmp_path / "copy") == described(source)
    difference = ["rsync", "-aHXn", "--delete", "--itemize-changes", "--checksum", f"{source}/", tmp_path / "copy"]
    assert subprocess.run(difference, check=True, capture_output=True, text=True).stdout == ""


def test_hard_links_share_an_inode_and_stay_links_in_a_copy(tmp_path: Path, place: Place) -> None:
    content = ContentWriter(store=place.store).write_whole(b"shared")
    with place.publisher.transaction() as transaction:
        transaction.put_links(["/one", "/two"], entry.regular("one", content))
        transaction.commit()
    with mounted(place, tmp_path / "m") as mount:
        one, two = (mount.top / "one").stat(), (mount.top / "two").stat()
        assert (one.st_ino, one.st_nlink) == (two.st_ino, two.st_nlink) == (one.st_ino, 2)
        subprocess.run(["rsync", "-aH", f"{mount.top}/", tmp_path / "copy"], check=True)
    assert (tmp_path / "copy" / "one").samefile(tmp_path / "copy" / "two")


def test_attributes_stored_and_magic(tmp_path: Path, place: Place) -> None:
    source = sample_tree(tmp_path / "source")
    os.symlink("$(SITE:-no)/$(ABSENT:-x)", source / "variable")
    published = place.publish(source, tag="v1", options=XATTRS)
    assert published is not None
    with mounted(place, tmp_path / "m", "--tag", "v1") as mount:
        assert os.listxattr(mount.top / "dir" / "hello") == ["user.color"]
        assert mount.attribute("color", "dir/hello") == "blue"
        assert "user.fqrn" in os.listxattr(mount.top)
        expected = {"fqrn": "test.example.org", "tag": "v1", "root_hash": str(published.root), "revision": "2"}
        assert {name: mount.attribute(name) for name in expected} == expected
        assert mount.attribute("expires") == "never (fixed root catalog)"
        (mount.top / "dir" / "hello").read_bytes()
        assert mount.attribute("hash", "dir/hello") == mount.attribute("lhash", "dir/hello")
        assert int(mount.attribute("chunks", "chunked")) == len(mount.attribute("chunk_list", "chunked").split()) - 1
        assert "catalog_mountpoint: /nested\n" in mount.attribute("catalog_counters", "nested")
        assert os.readlink(mount.top / "variable") == "here/x"
        assert os.lstat(mount.top / "variable").st_size == len("here/x")
        raw = os.getxattr(mount.top / "variable", "xfsroot.rawlink", follow_symlinks=False)
        assert raw == b"$(SITE:-no)/$(ABSENT:-x)"
        with pytest.raises(OSError, match=os.strerror(errno.ENODATA)):
            mount.attribute("nosuch")


def test_nothing_can_be_written(tmp_path: Path, place: Place) -> None:
    place.publish(sample_tree(tmp_path / "source"))
    with mounted(place, tmp_path / "m") as mount:
        for attempt in (
            lambda: (mount.top / "new").write_text("x"),
            lambda: (mount.top / "dir" / "hello").write_text("x"),
            (mount.top / "dir" / "hello").unlink,
        ):
            with pytest.raises(OSError, match=os.strerror(errno.EROFS)):
                attempt()


def test_a_changed_object_is_an_error_and_its_neighbours_are_not(tmp_path: Path, place: Place) -> None:
    place.publish(sample_tree(tmp_path / "source"))
    digest = place.tree()["/dir/hello"].object_digest()
    stored = place.folder / "data" / str(digest)[:2] / str(digest)[2:]
    stored.chmod(0o600)
    stored.write_bytes(b"something else")
    with mounted(place, tmp_path / "m") as mount:
        with pytest.raises(OSError, match=os.strerror(errno.EIO)):
            (mount.top / "dir" / "hello").read_bytes()
        assert mount.attribute("nioerr") == "1"
        assert (mount.top / "chunked").read_bytes() == CHUNKED
        assert f"{digest}"[2:] in mount.log.read_text()


def test_the_cache_stays_below_its_limit(tmp_path: Path, place: Place) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for number in range(40):
        (source / f"{number}").write_bytes(random.Random(number).randbytes(100_000))
    place.publish(source)
    with mounted(place, tmp_path / "m", "--cache-size", "1M") as mount:
        for number in range(40):
            assert (mount.top / f"{number}").read_bytes() == (source / f"{number}").read_bytes()
        kept = sum(file.stat().st_size for file in mount.cache.rglob("*") if file.is_file())
        assert 0 < kept < 1.3 * (1 << 20)


def test_parts_are_read_at_any_place_by_many_at_once(tmp_path: Path, place: Place) -> None:
    place.publish(sample_tree(tmp_path / "source"))
    wrong = []
    with mounted(place, tmp_path / "m") as mount:

        def read(seed: int) -> None:
            chosen = random.Random(seed)
            with (mount.top / "chunked").open("rb", buffering=0) as file:
                for _ in range(30):
                    start, size = chosen.randrange(len(CHUNKED)), chosen.randrange(1, 9000)
                    if os.pread(file.fileno(), size, start) != CHUNKED[start : start + size]:
                        wrong.append((start, size))

        threads = [threading.Thread(target=read, args=(seed,)) for seed in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


@pytest.mark.parametrize("how", ["term", "int", "unmount"])
def test_it_ends_cleanly(tmp_path: Path, place: Place, how: str) -> None:
    with mounted(place, tmp_path / "m") as mount:
        if how == "unmount":
            subprocess.run(["fusermount3", "-u", mount.top], check=True)
        else:
            mount.process.send_signal(signal.SIGTERM if how == "term" else signal.SIGINT)
        assert mount.process.wait(30) == 0
        assert not is_mounted(mount.top)


def test_in_the_background_it_returns_once_mounted(tmp_path: Path, place: Place) -> None:
    place.publish(sample_tree(tmp_path / "source"))
    top = tmp_path / "mnt"
    top.mkdir()
    try:
        started = subprocess.run(command(place, top, tmp_path / "cache", "--background"), check=True, timeout=60)
        assert started.returncode == 0
        assert (top / "dir" / "hello").read_text() == "hello"
        subprocess.run(["fusermount3", "-u", top], check=True)
        wait_until(lambda: not is_mounted(top), "unmounted")
    finally:
        unmount(top)


def test_a_bad_place_and_a_bad_repository_are_told_of_in_one_sentence(tmp_path: Path, place: Place) -> None:
    for top, url, code, words in (
        (tmp_path / "nowhere", None, 3, "no such folder"),
        (tmp_path, "file:///no/such/repository", 6, "cannot be opened"),
    ):
        for mode in ("--foreground", "--background"):
            run = command(place, top, tmp_path / "cache", mode, url=url)
            ended = subprocess.run(run, check=False, capture_output=True, text=True, timeout=60)
            assert (ended.returncode, words in ended.stderr, ended.stderr.count("\n")) == (code, True, 1), ended.stderr
