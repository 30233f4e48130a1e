import io
import itertools
import tempfile
import zlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fondaco.cvmfs import reading
from fondaco.cvmfs.codec import Compression
from fondaco.cvmfs.digest import Digest, Suffix, object_key
from fondaco.cvmfs.entry import EXTERNAL, Chunk, Content, Entry, regular
from fondaco.cvmfs.errors import MalformedData, ObjectMissing, StoreFailed, VerificationFailed
from fondaco.cvmfs.reading import chunk_fault, open_content
from tests.cvmfs.stores.memory import MemoryStore

DATA = bytes(range(256)) * 20


def chunked(store: MemoryStore, *parts: bytes) -> Entry:
    chunks, offset = [], 0
    for part in parts:
        digest = store.add(zlib.compress(part), suffix=Suffix.CHUNK)
        chunks.append(Chunk(offset, len(part), digest.raw))
        offset += len(part)
    return regular("file", Content(size=offset, digest=None, chunks=tuple(chunks)))


def whole(store: MemoryStore, data: bytes) -> Entry:
    return regular("file", Content(size=len(data), digest=store.add(zlib.compress(data)).raw))


Step = tuple[str, int, int]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("seek"), st.integers(0, 6000), st.just(io.SEEK_SET)),
        st.tuples(st.just("seek"), st.integers(-5000, 100), st.just(io.SEEK_END)),
        st.tuples(st.just("read"), st.integers(-1, 3000), st.just(0)),
    ),
    max_size=12,
)


@given(st.lists(st.integers(1, len(DATA) - 1), max_size=6, unique=True), STEPS, st.booleans())
def test_a_file_behaves_as_any_seekable_file(cuts: list[int], steps: list[Step], in_chunks: bool) -> None:
    store = MemoryStore()
    edges = [0, *sorted(cuts), len(DATA)]
    parts = [DATA[start:end] for start, end in itertools.pairwise(edges)]
    entry = chunked(store, *parts) if in_chunks else whole(store, DATA)
    expected = io.BytesIO(DATA)
    with open_content("/file", entry, store, None) as content:
        for what, value, whence in steps:
            if what == "seek":
                assert content.seek(value, whence) == expected.seek(value, whence)
            else:
                assert content.read(value) == expected.read(value)
            assert content.tell() == expected.tell()


def test_only_touched_chunks_are_fetched_each_once() -> None:
    store = MemoryStore()
    entry = chunked(store, b"a" * 300_000, b"b" * 300_000, b"c" * 300_000)
    with open_content("/file", entry, store, None) as content:
        assert store.asked == []
        content.seek(300_000)
        assert content.read(10) == b"b" * 10
        content.seek(400_000)
        assert content.read(10) == b"b" * 10
    second = Digest(entry.chunks[1].digest)
    assert store.asked == [object_key(second, Suffix.CHUNK)]


def test_seeking_before_the_start_is_refused() -> None:
    store = MemoryStore()
    with open_content("/file", whole(store, DATA), store, None) as content, pytest.raises(ValueError, match="negative"):
        content.seek(-1)


def test_a_large_unchunked_file_does_not_stay_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "SPOOL_BYTES", 1000)
    store = MemoryStore()
    rolled: list[bool] = []
    rollover = tempfile.SpooledTemporaryFile.rollover
    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", lambda spool: (rolled.append(True), rollover(spool)))
    with open_content("/file", whole(store, DATA), store, None) as content:
        assert content.read() == DATA
    assert rolled == [True]


def test_a_full_temporary_folder_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(reading, "fetch_into", full)
    content = open_content("/file", whole(store, DATA), store, None)
    with pytest.raises(StoreFailed, match="TMPDIR"):
        content.read()


def chunks_of(*places: tuple[int, int]) -> tuple[Chunk, ...]:
    return tuple(Chunk(offset, size, bytes(20)) for offset, size in places)


@pytest.mark.parametrize(
    ("chunks", "fault"),
    [
        (chunks_of((0, 5), (5, 5)), None),
        (chunks_of((0, 10)), None),
        (chunks_of((0, 5), (6, 4)), "from 5 to 6 are missing"),
        (chunks_of((1, 9)), "from 0 to 1 are missing"),
        (chunks_of((0, 6), (5, 5)), "from 5 to 6 are stored twice"),
        (chunks_of((0, 5)), "its chunks have 5 bytes, the file 10"),
        (chunks_of((0, 15)), "its chunks have 15 bytes, the file 10"),
        (chunks_of((0, 10), (10, 0)), "at 10 has 0 bytes"),
        ((Chunk(0, 10, b""),), "at 0 has no hash"),
        ((), "its chunks have 0 bytes, the file 10"),
    ],
)
def test_chunks_that_do_not_make_up_the_file_are_refused(chunks: tuple[Chunk, ...], fault: str | None) -> None:
    entry = replace(chunked(MemoryStore(), b"12345", b"67890"), chunks=chunks)
    assert chunk_fault(entry) is None if fault is None else fault in str(chunk_fault(entry))
    if fault:
        with pytest.raises(MalformedData, match=fault):
            open_content("/file", entry, MemoryStore(), None)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"digest": None}, "no hash"),
        ({"digest": b"short"}, "no hash"),
        ({"flags": 4 | 7 << 8}, "unknown hash algorithm"),
        ({"flags": 4 | 7 << 11}, "unknown compression"),
    ],
)
def test_a_row_that_describes_no_object_is_refused(change: dict[str, object], fault: str) -> None:
    store = MemoryStore()
    content = open_content("/file", replace(whole(store, DATA), **change), store, None)  # type: ignore[arg-type]
    with pytest.raises(MalformedData, match=fault):
        content.read()


def external(*parts: bytes) -> Entry:
    """As the reference publishes external data: uncompressed, hashed as it is served."""
    size = sum(map(len, parts))
    if len(parts) == 1:
        content = Content(size=size, digest=Digest.of(parts[0]).raw, compression=Compression.NONE)
    else:
        chunks, offset = [], 0
        for part in parts:
            chunks.append(Chunk(offset, len(part), Digest.of(part).raw))
            offset += len(part)
        content = Content(size=size, digest=None, chunks=tuple(chunks), compression=Compression.NONE)
    entry = regular("file", content)
    return replace(entry, flags=entry.flags | EXTERNAL)


@pytest.mark.parametrize("parts", [(DATA,), (DATA[:999], DATA[999:1000], DATA[1000:])])
def test_external_files_are_read_from_where_they_are_and_verified(parts: tuple[bytes, ...]) -> None:
    elsewhere = MemoryStore()
    elsewhere.files["a/file"] = DATA
    entry = external(*parts)
    with open_content("/a/file", entry, MemoryStore(), elsewhere) as content:
        content.seek(990)
        assert content.read(100) == DATA[990:1090]
    elsewhere.files["a/file"] = DATA[:-1] + b"?"
    with pytest.raises(VerificationFailed):
        open_content("/a/file", entry, MemoryStore(), elsewhere).read()
    elsewhere.files["a/file"] = DATA[:-1]
    with pytest.raises((VerificationFailed, MalformedData)):
        open_content("/a/file", entry, MemoryStore(), elsewhere).read()


def test_external_files_need_their_address() -> None:
    with pytest.raises(ObjectMissing, match="external data"):
        open_content("/a/file", external(DATA), MemoryStore(), None).read()
