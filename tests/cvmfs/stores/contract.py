"""What every store must do, whatever lies behind it; each adapter's tests inherit from this."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from fondaco.cvmfs.digest import Digest, Suffix, object_key
from fondaco.cvmfs.errors import LimitExceeded, ObjectMissing, RepositoryMoved, StoreFailed, VerificationFailed
from fondaco.cvmfs.stores.base import MANIFEST, Store

BAD_KEYS = ["", "/etc/passwd", "../x", "data/../../x", "data//x", "./x", "data/.", "a\0b", "data/"]


def key_of(data: bytes) -> str:
    return object_key(Digest.of(data), Suffix.FILE)


class ReadableStoreContract:
    """For a store that was filled through another one: *writer* puts, *store* reads the same place."""

    def test_an_object_is_read_back_whole_and_as_blocks(self, store: Store, writer: Store) -> None:
        data = bytes(range(256)) * 20_000  # 5 MB: more than one block
        writer.put_object(key_of(data), data)
        assert store.get(key_of(data)) == data
        blocks = list(store.stream(key_of(data)))
        assert b"".join(blocks) == data
        assert len(blocks) > 1
        assert {type(block) for block in blocks} == {bytes}

    @pytest.mark.parametrize("data", [b"", b"x"])
    def test_empty_and_tiny_objects_are_read_back(self, store: Store, writer: Store, data: bytes) -> None:
        writer.put_object(key_of(data), data)
        assert store.get(key_of(data)) == data
        assert b"".join(store.stream(key_of(data))) == data
        assert store.exists(key_of(data))
        assert store.size(key_of(data)) == len(data)

    def test_what_is_not_there_is_missing(self, store: Store, writer: Store) -> None:
        writer.put_object(key_of(b"present"), b"present")
        assert not store.exists(key_of(b"absent"))
        assert store.size(key_of(b"absent")) is None
        with pytest.raises(ObjectMissing, match=key_of(b"absent")):
            store.get(key_of(b"absent"))
        with pytest.raises(ObjectMissing):
            next(iter(store.stream(key_of(b"absent"))))
        assert not store.exists(key_of(b"present") + "/below")

    def test_a_read_stops_at_its_limit(self, store: Store, writer: Store) -> None:
        data = b"12345678"
        writer.put_object(key_of(data), data)
        assert store.get(key_of(data), limit=8) == data
        with pytest.raises(LimitExceeded, match="7"):
            store.get(key_of(data), limit=7)

    @pytest.mark.parametrize("key", BAD_KEYS)
    def test_keys_that_lead_elsewhere_are_refused_for_reading(self, store: Store, key: str) -> None:
        for read in (store.get, store.exists, store.size, lambda bad: next(iter(store.stream(bad)))):
            with pytest.raises(StoreFailed, match="no key"):
                read(key)


class StoreContract(ReadableStoreContract):
    """For a store that is written to. `reopen` opens the same place again, as another process would."""

    @pytest.fixture
    def writer(self, store: Store) -> Store:
        return store

    def test_a_folder_is_no_file(self, store: Store) -> None:
        store.put_object(key_of(b"present"), b"present")
        assert not store.exists("data")
        assert store.size("data") is None
        with pytest.raises(ObjectMissing):
            store.get("data")

    def test_an_object_is_written_once(self, store: Store, reopen: Callable[[], Store]) -> None:
        assert store.put_object(key_of(b"abc"), b"abc")
        assert not store.put_object(key_of(b"abc"), b"abc")
        assert not reopen().put_object(key_of(b"abc"), b"abc")

    def test_an_object_of_many_blocks_is_written_whole(self, store: Store, reopen: Callable[[], Store]) -> None:
        data = bytes(range(256)) * 80_000  # 20 MB: more than one part
        store.put_blocks(key_of(data), (data[start : start + 999_999] for start in range(0, len(data), 999_999)))
        store.put_blocks(key_of(b"small"), [b"", b"sma", b"ll"])
        store.put_blocks(key_of(b""), [])
        assert reopen().get(key_of(data)) == data
        assert store.get(key_of(b"small")) == b"small"
        assert store.get(key_of(b"")) == b""

    @pytest.mark.parametrize("size", [10, 40_000_000])
    def test_blocks_that_fail_write_nothing(self, store: Store, size: int) -> None:
        def broken() -> Iterator[bytes]:
            for _ in range(size // 10_000_000):
                yield bytes(10_000_000)
            yield b"x" * 10
            raise VerificationFailed("other bytes than expected")

        with pytest.raises(VerificationFailed):
            store.put_blocks(key_of(b"never"), broken())
        assert list(store.list("data")) == []

    def test_many_are_removed_at_once(self, store: Store, reopen: Callable[[], Store]) -> None:
        keys = [key_of(b"%d" % number) for number in range(12)]
        for number, key in enumerate(keys[:10]):
            store.put_object(key, b"%d" % number)
        store.delete_many(keys[3:])
        store.delete_many([])
        assert sorted(reopen().list("data")) == sorted(keys[:3])
        assert store.put_object(keys[3], b"3"), "what was known to be there is forgotten"

    def test_a_listing_tells_sizes(self, store: Store) -> None:
        for data in (b"", b"a", b"abc"):
            store.put_object(key_of(data), data)
        assert sorted(store.list_sizes("data")) == sorted((key_of(data), len(data)) for data in (b"", b"a", b"abc"))

    def test_many_threads_put_objects(self, store: Store) -> None:
        contents = [b"%d" % (number % 40) for number in range(80)]
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda data: store.put_object(key_of(data), data), contents))
        assert sorted(store.list("data")) == sorted({key_of(data) for data in contents})
        assert all(store.get(key_of(data)) == data for data in contents)

    def test_a_root_file_is_replaced(self, store: Store, reopen: Callable[[], Store]) -> None:
        store.replace(MANIFEST, b"one")
        store.replace(MANIFEST, b"two")
        assert store.get(MANIFEST) == b"two"
        assert reopen().get(MANIFEST) == b"two"

    def test_a_root_file_is_replaced_only_while_it_is_the_expected_one(self, store: Store) -> None:
        with pytest.raises(RepositoryMoved):
            store.replace(MANIFEST, b"new", previous=b"old")
        assert not store.exists(MANIFEST)
        store.replace(MANIFEST, b"one", previous=b"")
        store.replace(MANIFEST, b"two", previous=b"one")
        for expected in (b"", b"one"):
            with pytest.raises(RepositoryMoved):
                store.replace(MANIFEST, b"three", previous=expected)
        assert store.get(MANIFEST) == b"two"

    @pytest.mark.parametrize("start", [b"", b"revision 0"])
    def test_of_many_replacements_at_once_one_wins(self, store: Store, start: bytes) -> None:
        if start:
            store.replace(MANIFEST, start)

        def attempt(number: int) -> bytes | None:
            try:
                store.replace(MANIFEST, b"from %d" % number, previous=start)
            except RepositoryMoved:
                return None
            return b"from %d" % number

        with ThreadPoolExecutor(8) as threads:
            winners = [result for result in threads.map(attempt, range(8)) if result is not None]
        assert winners == [store.get(MANIFEST)]

    def test_keys_are_listed_by_folder(self, store: Store) -> None:
        objects = {key_of(b"%d" % number) for number in range(20)}
        for number in range(20):
            store.put_object(key_of(b"%d" % number), b"%d" % number)
        store.replace(MANIFEST, b"m")
        store.sync()
        assert set(store.list("data")) == objects
        assert set(store.list("data/")) == objects
        assert set(store.list("")) == objects | {MANIFEST}
        one = min(objects)
        assert one in set(store.list(one[:7]))
        assert not set(store.list("dat"))
        assert not set(store.list("nowhere"))

    def test_what_is_deleted_is_gone_and_can_be_put_again(self, store: Store) -> None:
        store.put_object(key_of(b"abc"), b"abc")
        store.delete(key_of(b"abc"))
        store.delete(key_of(b"abc"))
        assert not store.exists(key_of(b"abc"))
        assert store.put_object(key_of(b"abc"), b"abc")
        assert store.get(key_of(b"abc")) == b"abc"

    def test_the_lock_can_be_taken_again_after_its_release(self, store: Store, reopen: Callable[[], Store]) -> None:
        with store.lock():
            store.replace(MANIFEST, b"one")
        with reopen().lock():
            store.replace(MANIFEST, b"two")
        assert store.get(MANIFEST) == b"two"

    @pytest.mark.parametrize("key", BAD_KEYS)
    def test_keys_that_lead_elsewhere_are_refused_for_writing(self, store: Store, key: str) -> None:
        for write in (lambda bad: store.put_object(bad, b"x"), lambda bad: store.replace(bad, b"x"), store.delete):
            with pytest.raises(StoreFailed, match="no key"):
                write(key)
