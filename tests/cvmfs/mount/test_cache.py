"""The cache on the disk."""

import contextlib
import os
import threading
from pathlib import Path
from typing import IO

import pytest

from fondaco.cvmfs.errors import StoreFailed, VerificationFailed
from fondaco.cvmfs.mount.cache import STALE_SECONDS, DiskCache

KEY = "aa" * 20


def content(cache: DiskCache, key: str = KEY, size: int | None = None) -> bytes | None:
    descriptor = cache.open(key, size)
    if descriptor is None:
        return None
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


def test_what_was_inserted_is_found_also_by_another_mount(tmp_path: Path) -> None:
    DiskCache(tmp_path).write(KEY, b"abc")
    assert content(DiskCache(tmp_path)) == b"abc"
    assert content(DiskCache(tmp_path), "bb" * 20) is None


def test_nothing_is_kept_when_verification_fails(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path)

    def fill(target: IO[bytes]) -> None:
        target.write(b"half")
        raise VerificationFailed("wrong hash")

    with pytest.raises(VerificationFailed):
        cache.insert(KEY, fill)
    assert content(cache) is None
    assert [file for file in tmp_path.rglob("*") if file.is_file() and file.name != "lock"] == []


def test_a_file_that_a_crash_cut_off_is_thrown_away(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path)
    cache.write(KEY, b"abc")
    os.truncate(tmp_path / "objects" / KEY[:2] / KEY[2:], 1)
    assert content(cache, size=3) is None
    assert content(cache) is None


def test_the_least_recently_used_leave_and_open_ones_stay_readable(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, limit=100_000)
    for number in range(20):
        key = f"{number:040x}"
        cache.write(key, bytes(8192))
        if number == 0:
            held = cache.open(key)
        moment = 1_000_000 + number
        with contextlib.suppress(FileNotFoundError):  # it left already
            os.utime(tmp_path / "objects" / key[:2] / key[2:], (moment, moment))
    assert 0 < cache.used() <= 100_000
    assert content(cache, f"{19:040x}") == bytes(8192)
    assert content(cache, f"{0:040x}") is None
    assert held is not None
    assert os.pread(held, 10_000, 0) == bytes(8192)
    os.close(held)


def test_it_stays_bounded_while_it_is_written(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, limit=200_000)
    for number in range(100):
        cache.write(f"{number:040x}", bytes(8192))
        assert cache.used() <= 200_000 * 1.05 + 8192


def test_what_is_larger_than_the_cache_is_given_out_and_not_kept(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, limit=1000)
    descriptor = cache.insert(KEY, lambda target: target.write(bytes(2000)) and None)
    assert os.pread(descriptor, 5000, 0) == bytes(2000)
    os.close(descriptor)
    assert content(cache) is None


def test_unfinished_files_are_removed_when_they_are_old(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path)
    old, fresh = tmp_path / "tmp" / "old", tmp_path / "tmp" / "fresh"
    old.write_bytes(b"x")
    fresh.write_bytes(b"x")
    moment = fresh.stat().st_mtime - STALE_SECONDS - 1
    os.utime(old, (moment, moment))
    cache.shrink()
    assert (old.exists(), fresh.exists()) == (False, True)


def test_threads_that_insert_the_same_agree(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path)
    threads = [threading.Thread(target=cache.write, args=(KEY, bytes(100_000))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert content(cache, size=100_000) == bytes(100_000)


def test_a_folder_that_cannot_be_made_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreFailed, match="cannot be used"):
        DiskCache(tmp_path / "file" / "cache")
