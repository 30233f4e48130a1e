"""Publishing folders and change sets into a repository in a folder."""

import os
import random
import stat
from pathlib import Path
from typing import Any

import pytest

from fondaco.cvmfs import commit as commits
from fondaco.cvmfs import paths
from fondaco.cvmfs.catalog.balance import Balance
from fondaco.cvmfs.catalog.database import CatalogDatabase
from fondaco.cvmfs.digest import Digest, Suffix
from fondaco.cvmfs.entry import directory, regular
from fondaco.cvmfs.errors import (
    AlreadyExists,
    BadChange,
    BadName,
    BadPath,
    NotThatKind,
    RepositoryBusy,
    RepositoryMoved,
    StoreFailed,
    VerificationFailed,
)
from fondaco.cvmfs.history import History
from fondaco.cvmfs.ingest import IngestOptions
from fondaco.cvmfs.mirror import MirrorOptions
from fondaco.cvmfs.reflog import RefKind, Reflog
from fondaco.cvmfs.stores.base import JOURNAL, MANIFEST, REFLOG
from tests.cvmfs.conftest import KeyFolder
from tests.cvmfs.repositories import FQRN, Place

HERE = MirrorOptions(ingest=IngestOptions(processes=0))  # in this process, where a test can interfere


@pytest.fixture
def place(tmp_path: Path, key_folder: KeyFolder) -> Place:
    return Place(tmp_path / "repository", key_folder.path).create()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder with one of everything."""
    top = tmp_path / "source"
    (top / "bin").mkdir(parents=True)
    (top / "empty").mkdir()
    (top / "bin/tool").write_bytes(b"#!/bin/sh\n")
    (top / "bin/tool").chmod(0o755)
    (top / "bin/link").symlink_to("tool")
    (top / "bin/variable").symlink_to("$(ARCH:-x86)/tool")
    (top / "zero").write_bytes(b"")
    (top / "large").write_bytes(random.Random(1).randbytes(20_000))
    os.mkfifo(top / "fifo")
    os.utime(top / "zero", ns=(1, -1_500_000_000))
    (top / os.fsdecode(b"raw\xff")).write_bytes(b"raw")
    return top


def same_as_folder(place: Place, folder: Path, at: str = "") -> None:
    """The repository shows exactly what *folder* holds."""
    tree = {path[len(at) :]: entry for path, entry in place.tree().items() if path == at or paths.is_below(path, at)}
    expected = {""}
    for base, folders, files in os.walk(folder):
        for name in folders + files:
            expected.add("/" + os.path.relpath(os.path.join(base, name), folder))
    assert tree.keys() == expected
    for path, entry in tree.items():
        status = os.lstat(str(folder) + path)
        assert entry.mode == status.st_mode, path
        assert entry.mtime_ns == status.st_mtime_ns, path
        assert (entry.uid, entry.gid) == (status.st_uid, status.st_gid), path
        if stat.S_ISREG(status.st_mode):
            assert place.content(entry) == Path(str(folder) + path).read_bytes(), path
            assert entry.size == status.st_size
        elif stat.S_ISLNK(status.st_mode):
            assert entry.symlink == os.readlink(str(folder) + path)


def test_a_new_repository_is_empty_and_signed(place: Place) -> None:
    manifest = place.manifest()
    assert manifest.revision == 1
    assert place.tree().keys() == {""}
    assert manifest.history is not None
    assert manifest.metainfo is not None
    history = History.load(place.image(manifest.history, Suffix.HISTORY))
    assert [tag.name for tag in history.tags()] == ["trunk"]
    with pytest.raises(AlreadyExists):
        place.create()


def test_a_folder_is_shown_exactly(place: Place, source: Path) -> None:
    published = place.publish(source)
    assert published is not None
    assert published.revision == 2
    assert published.new_objects > 5
    same_as_folder(place, source)
    assert len(place.tree()["/large"].chunks) > 4
    assert place.tree()["/fifo"].is_special


def test_a_run_without_changes_publishes_nothing(place: Place, source: Path) -> None:
    place.publish(source)
    before = place.store.get(MANIFEST), place.objects()
    assert place.publish(source) is None
    assert place.publish(source, options=MirrorOptions(compare_content=True)) is None
    assert (place.store.get(MANIFEST), place.objects()) == before


def test_changes_are_followed(place: Place, source: Path) -> None:
    place.publish(source)
    (source / "bin/tool").write_bytes(b"#!/bin/bash\n")
    (source / "zero").unlink()
    (source / "zero").mkdir()
    (source / "zero/inside").write_bytes(b"new")
    for name in ("link", "variable"):
        (source / "bin" / name).unlink()
    (source / "empty").rmdir()
    (source / "empty").symlink_to("bin")
    published = place.publish(source)
    assert published is not None
    assert published.revision == 3
    same_as_folder(place, source)


def test_a_folder_goes_to_any_path_and_leaves_the_rest(place: Place, source: Path) -> None:
    place.publish(source)
    place.publish(source / "bin", "/deep/er/bin")
    same_as_folder(place, source / "bin", "/deep/er/bin")
    assert "/large" in place.tree()
    (source / "bin/tool").unlink()
    place.publish(source / "bin", "/deep/er/bin")
    same_as_folder(place, source / "bin", "/deep/er/bin")
    assert "/bin/tool" in place.tree()


def test_user_attributes_are_kept_when_asked(place: Place, source: Path) -> None:
    os.setxattr(source / "bin/tool", "user.origin", b"here\x00\xff")
    place.publish(source)
    assert place.tree()["/bin/tool"].xattrs is None
    place.publish(source, options=MirrorOptions(ingest=IngestOptions(xattrs=True)))
    assert place.tree()["/bin/tool"].xattrs == b"\x01\x01\x0b\x06user.originhere\x00\xff"


def test_tags_name_revisions(place: Place, source: Path) -> None:
    place.publish(source, tag="v1")
    (source / "more").write_bytes(b"more")
    place.publish(source)
    again = place.publish(source, tag="v2")
    assert again is not None
    assert again.revision == 3, "a tag alone makes no revision"
    digest = place.manifest().history
    assert digest is not None
    tags = {tag.name: tag.revision for tag in History.load(place.image(digest, Suffix.HISTORY)).tags()}
    assert tags == {"trunk": 3, "trunk-previous": 2, "v1": 2, "v2": 3}
    with pytest.raises(AlreadyExists):
        place.publish(source, tag="v1")
    with pytest.raises(BadName):
        place.publish(source, tag="no such/name")


def test_the_reflog_knows_every_root_and_the_manifest_its_hash(place: Place, source: Path) -> None:
    roots = {place.manifest().root_catalog}
    place.publish(source)
    roots.add(place.manifest().root_catalog)
    image = place.store.get(REFLOG)
    assert place.manifest().reflog == Digest.of(image)
    assert {ref.digest for ref in Reflog.load(image).refs() if ref.kind is RefKind.CATALOG} == roots


def test_automatic_nested_catalogs_stay_out_of_the_users_way(tmp_path: Path, key_folder: KeyFolder) -> None:
    place = Place(tmp_path / "r", key_folder.path, balance=Balance(maximum=12, minimum=4, merge_below=2)).create()
    folder = tmp_path / "s"
    for top in "ab":
        (folder / top).mkdir(parents=True)
        for number in range(10):
            (folder / top / str(number)).write_bytes(b"x")
    place.publish(folder)
    assert f"/a/{paths.AUTO_MARKER}" in place.tree()
    assert place.publish(folder) is None
    (folder / "a" / paths.CATALOG_MARKER).write_bytes(b"")
    place.publish(folder)
    assert f"/a/{paths.CATALOG_MARKER}" in place.tree()
    assert f"/a/{paths.AUTO_MARKER}" not in place.tree(), "the user's wish from now on"
    assert place.publish(folder) is None


def test_what_cannot_be_published_is_said(place: Place, source: Path) -> None:
    with pytest.raises(NotThatKind, match="no folder"):
        place.publish(source / "zero")
    with pytest.raises(NotThatKind, match="no folder"):
        place.publish(source / "missing")
    with pytest.raises(BadPath):
        place.publish(source, "/a/../b")
    place.publish(source)
    with pytest.raises(BadChange, match="no directory"):
        place.publish(source / "bin", "/large/bin")
    same_as_folder(place, source)


def test_a_file_that_cannot_be_read_stops_the_publish_and_loses_nothing(
    place: Place, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.publish(source)
    before = place.store.get(MANIFEST)
    (source / "bad").write_bytes(b"x")
    real = os.open

    def refuse(path: bytes, *arguments: Any, **named: Any) -> int:
        if isinstance(path, bytes) and path.endswith(b"/bad"):
            raise PermissionError(13, os.strerror(13), path)
        return real(path, *arguments, **named)

    monkeypatch.setattr("fondaco.cvmfs.ingest.os.open", refuse)
    with pytest.raises(BadChange, match="Permission denied"):
        place.publish(source, options=HERE)
    assert place.store.get(MANIFEST) == before


def test_a_file_that_grows_while_it_is_read_is_read_again(
    place: Place, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fstat
    reads = []

    def growing(descriptor: int) -> os.stat_result:
        status = real(descriptor)
        if os.readlink(f"/proc/self/fd/{descriptor}").endswith("/bin/tool"):
            reads.append(status)
            if len(reads) == 1:
                with (source / "bin/tool").open("ab") as file:
                    file.write(b"more\n")
        return status

    monkeypatch.setattr("fondaco.cvmfs.ingest.os.fstat", growing)
    place.publish(source, options=HERE)
    assert len(reads) == 4
    same_as_folder(place, source)


def test_one_publisher_at_a_time(place: Place) -> None:
    with place.publisher.transaction(), pytest.raises(RepositoryBusy), place.publisher.transaction():
        pass


def test_an_abandoned_change_leaves_nothing_visible(place: Place) -> None:
    before = place.store.get(MANIFEST)
    with place.publisher.transaction() as transaction:
        content = transaction.store_content([b"some", b"thing"])
        transaction.put("/file", regular("file", content))
    assert place.store.get(MANIFEST) == before
    assert place.tree().keys() == {""}


def test_an_object_is_never_stored_twice(place: Place) -> None:
    with place.publisher.transaction() as transaction:
        first = transaction.store_whole(b"same")
        before = {key: os.stat(place.folder / key).st_ino for key in place.objects()}
        assert transaction.store_content([b"sa", b"me"]) == first
        assert {key: os.stat(place.folder / key).st_ino for key in place.objects()} == before


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("step", ["sync", JOURNAL, REFLOG, MANIFEST, "delete"])
@pytest.mark.parametrize("after", [False, True])
def test_a_commit_cut_off_anywhere_is_old_or_new_and_the_next_finishes_it(
    place: Place, source: Path, monkeypatch: pytest.MonkeyPatch, step: str, after: bool
) -> None:
    """Every step of the commit, killed before and after: readers see a whole revision, the next publisher recovers."""
    place.publish(source)
    old = place.store.get(MANIFEST)
    (source / "new").write_bytes(b"new")
    store = place.store
    name = step if step in ("sync", "delete") else "replace"
    real = getattr(store, name)

    def killed(*arguments: object, **named: object) -> object:
        hit = name != "replace" or arguments[0] == step
        if hit and not after:
            raise Killed
        result = real(*arguments, **named)
        if hit:
            raise Killed
        return result

    monkeypatch.setattr(store, name, killed)
    with pytest.raises(Killed):
        place.publish(source)
    monkeypatch.undo()
    seen = store.get(MANIFEST)
    decided = store.exists(JOURNAL) or seen != old
    tree = place.tree()
    assert ("/new" in tree) == (seen != old)
    finished = place.publish(source)
    assert (finished is None) == decided, "what was decided is finished, not published again"
    same_as_folder(place, source)
    assert place.manifest().revision == 3
    assert place.manifest().reflog == Digest.of(store.get(REFLOG))
    assert not store.exists(JOURNAL)


def test_a_commit_on_an_old_base_changes_nothing(place: Place, source: Path) -> None:
    base = place.store.get(MANIFEST)
    place.publish(source)
    now, log = place.store.get(MANIFEST), place.store.get(REFLOG)
    with pytest.raises(RepositoryMoved):
        commits.commit(place.store, commits.Commit(base=base, reflog=b"x", manifest=b"y"))
    assert (place.store.get(MANIFEST), place.store.get(REFLOG)) == (now, log)
    assert not place.store.exists(JOURNAL)


def test_a_journal_overtaken_by_others_is_dropped(place: Place, source: Path) -> None:
    stale = commits.Commit(base=b"long ago", reflog=b"x", manifest=b"y").pack()
    place.store.replace(JOURNAL, stale)
    place.publish(source)
    same_as_folder(place, source)


def test_a_reflog_that_does_not_fit_is_not_built_upon(place: Place, source: Path) -> None:
    place.store.replace(REFLOG, place.store.get(REFLOG) + b"\0")
    with pytest.raises(VerificationFailed, match="reflog"):
        place.publish(source)


def test_a_full_disk_is_said_and_the_old_revision_stays(
    place: Place, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = place.store.get(MANIFEST)

    def full(*_: object) -> int:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("fondaco.cvmfs.stores.local.os.write", full)
    with pytest.raises(StoreFailed, match="No space left"):
        place.publish(source, options=HERE)
    monkeypatch.undo()
    assert place.store.get(MANIFEST) == before
    place.publish(source)
    same_as_folder(place, source)


def test_time_never_goes_back(place: Place, source: Path) -> None:
    place.publish(source)
    first = place.manifest().published_at
    place.clock.now -= 10_000
    (source / "later").write_bytes(b"x")
    place.publish(source)
    assert place.manifest().published_at >= first, "clients refuse an older time"


def test_the_catalogs_say_what_the_manifest_says(place: Place, source: Path) -> None:
    place.publish(source)
    manifest = place.manifest()
    image = place.image(manifest.root_catalog, Suffix.CATALOG)
    assert manifest.root_catalog_size == len(image)
    assert image[18:20] == b"\1\1", "not in WAL mode"
    properties = CatalogDatabase.load(image).properties()
    assert properties["revision"] == str(manifest.revision)
    assert properties["schema"] == "2.5"
    assert properties["schema_revision"] == "7"
    assert properties["TTL"] == "240"
    assert len(properties["previous_revision"]) == 40
    assert "root_prefix" not in properties


def test_the_root_takes_the_folders_attributes(place: Place, tmp_path: Path) -> None:
    folder = tmp_path / "s"
    folder.mkdir(mode=0o750)
    place.publish(folder)
    assert place.tree()[""].mode == 0o040750
    assert directory("").mode == 0o040755
    assert place.manifest().fqrn == FQRN
