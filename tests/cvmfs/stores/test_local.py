import errno
import multiprocessing
import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from fondaco.cvmfs.errors import RepositoryBusy, StoreFailed
from fondaco.cvmfs.stores.base import MANIFEST, Store
from fondaco.cvmfs.stores.local import LocalStore
from tests.cvmfs.stores.contract import StoreContract, key_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "repository"


@pytest.fixture
def store(folder: Path) -> LocalStore:
    return LocalStore.create(folder)


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


class TestLocalStore(StoreContract):
    @pytest.fixture
    def reopen(self, folder: Path) -> Callable[[], Store]:
        return lambda: LocalStore(folder)


def test_a_new_folder_has_what_the_reference_tools_expect(store: LocalStore, folder: Path) -> None:
    assert {path.name for path in (folder / "data").iterdir()} == {*(f"{byte:02x}" for byte in range(256)), "txn"}
    assert files_in(folder) == set()
    store.put_object(key_of(b"abc"), b"abc")
    LocalStore.create(folder)
    assert files_in(folder) == {key_of(b"abc")}


def test_files_are_readable_by_the_web_server_as_the_umask_says(store: LocalStore, folder: Path) -> None:
    before = os.umask(0o027)
    try:
        store.put_object(key_of(b"abc"), b"abc")
        store.replace(MANIFEST, b"m")
    finally:
        os.umask(before)
    assert (folder / key_of(b"abc")).stat().st_mode & 0o777 == 0o640
    assert (folder / MANIFEST).stat().st_mode & 0o777 == 0o640


def test_a_repository_whose_folders_are_missing_is_written_all_the_same(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    assert store.put_object(key_of(b"abc"), b"abc")
    assert store.get(key_of(b"abc")) == b"abc"


def test_an_object_emptied_by_a_crash_of_the_machine_is_written_again(store: LocalStore, folder: Path) -> None:
    path = folder / key_of(b"abc")
    path.write_bytes(b"")
    assert store.put_object(key_of(b"abc"), b"abc")
    assert path.read_bytes() == b"abc"


def test_an_existing_object_is_not_touched(store: LocalStore, folder: Path) -> None:
    store.put_object(key_of(b"abc"), b"abc")
    before = (folder / key_of(b"abc")).stat()
    store.put_object(key_of(b"abc"), b"abc")
    after = (folder / key_of(b"abc")).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_no_temporary_file_stays(store: LocalStore, folder: Path) -> None:
    store.put_object(key_of(b"abc"), b"abc")
    store.replace(MANIFEST, b"m")
    assert files_in(folder / "data/txn") == {"fondaco.swap"}


@pytest.mark.parametrize("write", ["put_object", "replace"])
def test_a_full_disk_is_reported_and_leaves_nothing(store: LocalStore, folder: Path, write: str) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(StoreFailed, match="File too large"):
            getattr(store, write)("data/ab/big", b"x" * 8192)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert files_in(folder) <= {"data/txn/fondaco.swap"}


def test_a_disk_without_space_says_what_to_do(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(StoreFailed, match=r"No space left on device\. free some space"):
        store.put_object(key_of(b"abc"), b"abc")


def test_a_folder_in_the_way_is_reported(store: LocalStore, folder: Path) -> None:
    (folder / MANIFEST).mkdir()
    with pytest.raises(StoreFailed, match="Is a directory"):
        store.replace(MANIFEST, b"m")
    with pytest.raises(StoreFailed, match="Is a directory"):
        store.delete(MANIFEST)
    assert not store.exists(MANIFEST)


def test_a_folder_that_is_not_there_is_reported(tmp_path: Path) -> None:
    with pytest.raises(StoreFailed, match=r"No such file or directory\. check the address"):
        LocalStore(tmp_path / "nowhere")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreFailed, match="cannot be made"):
        LocalStore.create(tmp_path / "file" / "below")


def test_two_publishers_exclude_each_other_at_once(store: LocalStore, folder: Path) -> None:
    other = LocalStore(folder)
    with store.lock():
        with pytest.raises(RepositoryBusy, match="another process"), other.lock():
            pytest.fail("two publishers at once")
        with pytest.raises(RepositoryBusy), store.lock():
            pytest.fail("two publishers at once")
    with other.lock():
        pass


def test_the_lock_of_a_failed_publisher_is_free_again(store: LocalStore) -> None:
    with pytest.raises(ZeroDivisionError), store.lock():
        raise ZeroDivisionError
    with store.lock():
        pass


def test_rubbish_of_a_crash_is_removed_with_the_next_lock(store: LocalStore, folder: Path) -> None:
    (folder / "data/txn/fondaco.tmp.123").write_bytes(b"half an obj")
    (folder / "data/txn/cvmfstxn").write_bytes(b"of another tool")
    assert list(store.list("")) == []
    with store.lock():
        assert files_in(folder / "data/txn") == {"cvmfstxn", "fondaco.swap"}
        assert list(store.list("")) == []


def _put_in_worker(store: LocalStore, numbers: range) -> None:
    for number in numbers:
        store.put_object(key_of(b"%d" % number), b"%d" % number)


@pytest.fixture(params=["fork", "spawn"])
def processes(request: pytest.FixtureRequest) -> multiprocessing.context.BaseContext:
    return multiprocessing.get_context(request.param)


def test_worker_processes_put_while_their_parent_holds_the_lock(
    store: LocalStore, processes: multiprocessing.context.BaseContext
) -> None:
    with store.lock():
        workers = [
            processes.Process(target=_put_in_worker, args=(store, range(start, 100, 2)))  # type: ignore[attr-defined]
            for start in (0, 1)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert [worker.exitcode for worker in workers] == [0, 0]
    assert set(store.list("data")) == {key_of(b"%d" % number) for number in range(100)}


def test_a_failing_sync_is_reported(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fondaco.cvmfs.stores.local._syncfs", lambda handle: -1)
    with pytest.raises(StoreFailed, match="could not be made durable"):
        store.sync()


def test_a_system_without_syncfs_syncs_everything(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[bool] = []
    monkeypatch.setattr("fondaco.cvmfs.stores.local._syncfs", None)
    monkeypatch.setattr(os, "sync", lambda: called.append(True))
    store.sync()
    assert called == [True]
