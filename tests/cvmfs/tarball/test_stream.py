"""Reading archives as streams: what tarfile takes for complete or reads into memory is refused."""

import io
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fondaco.cvmfs.errors import BadArchive
from fondaco.cvmfs.tarball.stream import BlockFile, TarReader, reporting_damage
from tests.cvmfs.tarball.archives import a_file, member, tar
from tests.cvmfs.tarball.sparse import ARCHIVES, FILES

END = bytes(1024)


def read(data: bytes, block: int = 700) -> dict[str, bytes]:
    parts = (data[start : start + block] for start in range(0, len(data), block))
    with reporting_damage(lambda why: BadArchive("the archive", why)):
        reader = TarReader(io.BufferedReader(BlockFile(parts)))
        found = {info.name: b"".join(reader.blocks(info)) if info.isreg() else b"" for info in reader}
        assert sum(map(len, reader.rest())) >= 0
        return found


@pytest.mark.parametrize("form", ARCHIVES)
@pytest.mark.parametrize("block", [511, 10_240])
def test_sparse_files_of_every_format(form: str, block: int) -> None:
    assert read(ARCHIVES[form], block) == FILES


def test_members_need_not_be_read() -> None:
    reader = TarReader(io.BufferedReader(io.BytesIO(ARCHIVES["gnu"])))  # type: ignore[arg-type]  # raw by use
    assert [info.name for info in reader] == [*FILES]


@pytest.mark.parametrize("form", ARCHIVES)
@given(st.data())
@settings(max_examples=60)
def test_damage_anywhere_is_refused_or_harmless(form: str, data: st.DataObject) -> None:
    raw = bytearray(ARCHIVES[form])
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        found = read(bytes(raw))
    except BadArchive:
        return
    assert len(found) <= len(FILES)


def extended(kind: bytes, size: int) -> bytes:
    info = member("././@LongLink", kind)
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT)


LONG = extended(tarfile.GNUTYPE_LONGNAME, 10) + b"long/name\0".ljust(512, b"\0")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (extended(tarfile.GNUTYPE_LONGNAME, 1 << 40), "too large"),
        (extended(tarfile.XHDTYPE, 1 << 30), "too large"),
        (LONG * 200, "too many headers"),
        (member("d").tobuf() + LONG + END, "cut off or damaged"),
        (extended(tarfile.XHDTYPE, 1 << 19) + b"1" * (1 << 19), "number"),
        (member("d").tobuf() + b"not a header".ljust(512, b"x"), "damaged"),
        (member("d").tobuf(), "cut off"),
        (b"", "no tar"),
        (b"not a tar" * 100, "no tar"),
        (b"\x28\xb5\x2f\xfd" + bytes(100), "zstd"),
    ],
    ids=["long name", "extended", "many headers", "no member", "digits", "rubbish", "no end", "empty", "text", "zstd"],
)
def test_s7_what_is_no_sound_archive_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(BadArchive, match=why):
        read(data)


def test_s7_a_map_without_end_is_refused() -> None:
    info = member("sparse", tarfile.GNUTYPE_SPARSE)
    head = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    head[482] = 1  # the map goes on in the next block
    head[483:495] = b"00000001000\0"
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    more = b"00000000001\0" * 42 + b"\1" * 8
    with pytest.raises(BadArchive, match="too large"):
        read(bytes(head) + more * 20_000, 1 << 20)


def test_global_headers_do_not_add_up_without_end() -> None:
    parts = []
    for number in range(30):
        record = f"{100_000} key{number}=".encode().ljust(99_999, b"v") + b"\n"
        parts.append(extended(tarfile.XGLTYPE, len(record)) + record.ljust(100_352, b"\0") + member("f").tobuf())
    with pytest.raises(BadArchive, match="global"):
        read(b"".join(parts) + END)


@pytest.mark.parametrize("compression", ["gz", "bz2", "xz"])
def test_a_compressed_archive_is_checked_to_its_end(compression: str) -> None:
    data = tar([a_file("a", bytes(range(256)) * 40)], mode=f"w:{compression}")
    assert read(data) == {"a": bytes(range(256)) * 40}
    with pytest.raises(BadArchive):
        read(data[:-6])
    damaged = bytearray(data)
    damaged[-6] ^= 1
    with pytest.raises(BadArchive):
        read(bytes(damaged))
