"""A mount whose repository goes on: new revisions, outages, servers that go back in time."""

import errno
import os
import shutil
from collections.abc import Generator
from pathlib import Path

import pytest

from fondaco.cvmfs.stores.base import MANIFEST
from tests.cvmfs.repositories import Place
from tests.integration.mounting import Web, mounted, new_place, wait_until


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return new_place(tmp_path)


@pytest.fixture
def source(tmp_path: Path, place: Place) -> Path:
    """A folder that is published, with tag "first"."""
    folder = tmp_path / "source"
    (folder / "dir").mkdir(parents=True)
    (folder / "same").write_text("same")
    (folder / "changing").write_text("old content")
    (folder / "leaving").write_text("leaving")
    (folder / "dir" / "one").write_text("1")
    place.publish(folder, tag="first")
    return folder


def change(source: Path) -> None:
    (source / "changing").write_text("new content, longer")
    (source / "leaving").unlink()
    (source / "arriving").write_text("arriving")
    (source / "same").chmod(0o600)
    (source / "dir" / "two").write_text("2")


def test_a_new_revision_is_taken_over_under_open_files(tmp_path: Path, place: Place, source: Path) -> None:
    with mounted(place, tmp_path / "m") as mount:
        top = mount.top
        assert not (top / "arriving").exists()  # the kernel remembers that
        same = (top / "same").stat().st_ino
        before = (top / "changing").stat().st_ino
        with (top / "changing").open("rb", buffering=0) as held, (top / "leaving").open("rb", buffering=0) as gone:
            change(source)
            place.publish(source)
            mount.look_now()
            wait_until((top / "arriving").exists, "the new revision")
            assert (top / "changing").read_text() == "new content, longer"
            assert held.read() == b"old content"
            assert gone.read() == b"leaving"
            assert os.pread(held.fileno(), 100, 4) == b"content"
            assert (top / "changing").read_text() == "new content, longer"
        assert sorted(os.listdir(top)) == ["arriving", "changing", "dir", "same"]
        assert sorted(os.listdir(top / "dir")) == ["one", "two"]
        wait_until(lambda: not (top / "leaving").exists(), "the kernel forgot a removed name")
        assert ((top / "same").stat().st_mode & 0o777, (top / "same").stat().st_ino) == (0o600, same)
        assert (top / "changing").stat().st_ino != before
        assert mount.attribute("revision") == "3"


def test_a_mount_of_a_tag_stays(tmp_path: Path, place: Place, source: Path) -> None:
    with mounted(place, tmp_path / "m", "--tag", "first") as mount, mounted(place, tmp_path / "n") as other:
        change(source)
        place.publish(source)
        mount.look_now()
        other.look_now()
        wait_until(lambda: other.attribute("revision") == "3", "the new revision in the other mount")
        assert (mount.top / "changing").read_text() == "old content"
        assert mount.attribute("revision") == "2"


@pytest.fixture
def web(place: Place) -> Generator[Web, None, None]:
    served = Web(place.folder)
    yield served
    served.stop()


def test_an_outage_is_survived(tmp_path: Path, place: Place, source: Path, web: Web) -> None:
    address = web.start()
    with mounted(place, tmp_path / "m", url=address) as mount:
        assert (mount.top / "changing").read_text() == "old content"
        change(source)
        place.publish(source)
        web.stop()
        mount.look_now()
        wait_until(lambda: "staying at revision 2" in mount.log.read_text(), "the failed look")
        assert sorted(os.listdir(mount.top)) == ["changing", "dir", "leaving", "same"]
        assert (mount.top / "changing").read_text() == "old content"
        with pytest.raises(OSError, match=os.strerror(errno.EIO)):
            (mount.top / "dir" / "one").read_text()
        web.start()
        assert (mount.top / "dir" / "one").read_text() == "1"
        mount.look_now()
        wait_until(lambda: mount.attribute("revision") == "3", "the new revision")


def test_a_mount_begins_with_what_it_knows_while_its_server_is_away(
    tmp_path: Path, place: Place, source: Path, web: Web
) -> None:
    address = web.start()
    cache = tmp_path / "cache"
    with mounted(place, tmp_path / "m", url=address, cache=cache) as mount:
        assert (mount.top / "changing").read_text() == "old content"
    web.stop()
    with mounted(place, tmp_path / "again", url=address, cache=cache) as mount:
        assert "as it was seen last" in mount.log.read_text()
        assert (mount.top / "changing").read_text() == "old content"


def test_a_server_that_goes_back_is_refused(tmp_path: Path, place: Place, source: Path) -> None:
    older = place.store.get(MANIFEST)
    change(source)
    place.publish(source)
    with mounted(place, tmp_path / "m") as mount:
        place.store.replace(MANIFEST, older)
        mount.look_now()
        wait_until(lambda: "older than the mounted 3: refused" in mount.log.read_text(), "the refusal")
        assert (mount.top / "changing").read_text() == "new content, longer"
        cache = shutil.copytree(mount.cache, tmp_path / "kept")
    with mounted(place, tmp_path / "again", cache=cache) as mount:
        assert mount.attribute("revision") == "3"
