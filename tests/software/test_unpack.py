"""Archives are published as what is in them, or refused as a whole."""

import io
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fondaco.backends.errors import Unavailable
from fondaco.software.errors import BadArchive
from fondaco.software.unpack import Member, UnpackLimits, tar_members, zip_members
from tests.software.conftest import Service, put, run, seeded

LIMITS = UnpackLimits(members=50, bytes=1 << 20, ratio=100, free_bytes=1 << 16)
SETTINGS = b'[[unpack]]\narchive = "dist/*"\ninto = "sw/{name}"\n'


def tar(*members: tuple[tarfile.TarInfo, bytes], mode: str = "w:gz") -> bytes:
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode=mode) as archive:  # type: ignore[call-overload]
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return memory.getvalue()


def info(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.mode, made.mtime = kind, link, mode, 1000
    return made


def a_file(name: str, content: bytes = b"x", mode: int = 0o644) -> tuple[tarfile.TarInfo, bytes]:
    return info(name, mode=mode), content


def a_link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    return info(name, kind, target), b""


def blocks(data: bytes, size: int = 700) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def untar(data: bytes, limits: UnpackLimits = LIMITS) -> dict[str, tuple[Member, bytes]]:
    return {one.path: (one, b"".join(one.blocks)) for one in tar_members(blocks(data), len(data), "/sw/x", limits)}


def zipped(*members: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return memory.getvalue()


def unzip(data: bytes, limits: UnpackLimits = LIMITS) -> dict[str, tuple[Member, bytes]]:
    found = zip_members(io.BytesIO(data), len(data), "/sw/x", limits)
    return {one.path: (one, b"".join(one.blocks)) for one in found}


@pytest.mark.parametrize("mode", ["w:", "w:gz", "w:bz2", "w:xz"])
def test_tar_archives_of_every_compression(mode: str) -> None:
    members = [(info("./", tarfile.DIRTYPE, mode=0o700), b""), a_file("./bin/x", b"run", 0o4755), a_link("l", "bin/x")]
    found = untar(tar(*members, a_link("hard", "./bin/x", tarfile.LNKTYPE), mode=mode))
    assert list(found) == ["", "bin/x", "l", "hard"]
    assert found["bin/x"][1] == b"run"
    assert (found["bin/x"][0].mode, found["bin/x"][0].mtime_ns) == (0o755, 1000_000_000_000)
    assert (found["l"][0].target, found["hard"][0].same_as) == ("bin/x", "bin/x")


def test_zip_archives_with_modes_and_links() -> None:
    link = zipfile.ZipInfo("l", (2026, 1, 1, 0, 0, 0))
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    tool = zipfile.ZipInfo("bin/x", (2026, 1, 1, 0, 0, 0))
    tool.external_attr = (stat.S_IFREG | 0o755) << 16
    found = unzip(zipped((link, b"bin/x"), (tool, b"run"), ("d/", b""), ("plain", b"p" * 5000)))
    assert found["l"][0].target == "bin/x"
    assert (found["bin/x"][0].mode, found["bin/x"][1]) == (0o755, b"run")
    assert found["bin/x"][0].mtime_ns == 1767225600_000000000
    assert found["plain"][1] == b"p" * 5000
    assert found["d"][0].kind.value == "directory"


HOSTILE_TARS = {
    "absolute": [a_file("/etc/passwd")],
    "dot dot": [a_file("a/../../x")],
    "dots alone": [a_file("..")],
    "empty part": [a_file("a//b")],
    "control": [a_file("a\nb")],
    "long name": [a_file("n" * 256)],
    "reserved": [a_file("a/.cvmfsautocatalog")],
    "link out": [a_link("l", "../../x")],
    "link out deep": [a_link("a/l", "../../x")],
    "link absolute": [a_link("l", "/etc")],
    "link of nothing": [a_link("l", "")],
    "through a link": [a_link("l", "a"), a_file("l/x")],
    "through a file": [a_file("f"), a_file("f/x")],
    "file and directory": [a_file("d/x"), a_file("d")],
    "device": [(info("dev", tarfile.CHRTYPE), b"")],
    "fifo": [(info("fifo", tarfile.FIFOTYPE), b"")],
    "hard link to nothing": [a_link("h", "none", tarfile.LNKTYPE)],
    "hard link out": [a_link("h", "../x", tarfile.LNKTYPE)],
    "hard link to link": [a_link("l", "a"), a_link("h", "l", tarfile.LNKTYPE)],
    "file as the directory": [a_file(".")],
    "many": [a_file(f"f{number}") for number in range(51)],
    "bomb": [a_file("zeros", bytes(2 << 20))],
    "bomb in parts": [a_file(f"z{number}", bytes(1 << 16)) for number in range(17)],
}


@pytest.mark.parametrize("name", HOSTILE_TARS)
def test_s7_hostile_tar_archives_are_refused(name: str) -> None:
    with pytest.raises(BadArchive) as caught:
        untar(tar(*HOSTILE_TARS[name]))
    assert caught.value.why


@pytest.mark.parametrize("members", [[("/abs", b"")], [("../x", b"")], [("zeros", bytes(2 << 20))], [("a/../b", b"")]])
def test_s7_hostile_zip_archives_are_refused(members: list[tuple[str | zipfile.ZipInfo, bytes]]) -> None:
    with pytest.raises(BadArchive):
        unzip(zipped(*members))


def test_s7_a_zip_link_out_is_refused() -> None:
    link = zipfile.ZipInfo("l")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(BadArchive, match="points out"):
        unzip(zipped((link, b"../../etc")))


def test_s7_a_zip_that_lies_about_its_sizes_is_refused() -> None:
    data = bytearray(zipped(("zeros", bytes(50_000))))
    where = data.rindex(b"PK\x01\x02") + 24
    data[where : where + 4] = (10).to_bytes(4, "little")
    with pytest.raises(BadArchive):
        unzip(bytes(data))


def test_an_encrypted_zip_is_refused() -> None:
    data = bytearray(zipped(("f", b"x")))
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + offset] |= 1
    with pytest.raises(BadArchive, match="encrypted"):
        unzip(bytes(data))


def test_s7_a_huge_extended_header_is_not_read_into_memory() -> None:
    long_name = info("././@LongLink", tarfile.GNUTYPE_LONGNAME)
    long_name.size = 1 << 40
    with pytest.raises(BadArchive, match="header"):
        untar(long_name.tobuf(tarfile.GNU_FORMAT) + bytes(10240))


def test_small_archives_may_be_well_compressed_and_the_ratio_holds_beyond() -> None:
    assert untar(tar(a_file("z", bytes(50_000))))["z"][1] == bytes(50_000)
    with pytest.raises(BadArchive, match="more bytes"):
        untar(tar(a_file("z", bytes(70_000))))


@pytest.mark.parametrize("unpacked", [untar, unzip])
@pytest.mark.parametrize("data", [b"", b"not an archive at all", b"\x1f\x8b\x08", b"PK\x03\x04", b"BZh91AY"])
def test_what_is_no_archive_is_refused(unpacked: Callable[[bytes], object], data: bytes) -> None:
    with pytest.raises(BadArchive):
        unpacked(data)


WHOLE = {
    untar: tar(a_file("a", bytes(range(256)) * 40), a_file("b/c", b"text" * 500), a_link("l", "a"), mode="w:gz"),
    unzip: zipped(("a", bytes(range(256)) * 40), ("b/c", b"text" * 500)),
}


@pytest.mark.parametrize("unpacked", [untar, unzip])
@given(st.data())
@settings(max_examples=60)
def test_damage_anywhere_is_found_or_harmless(unpacked: Callable[[bytes], object], data: st.DataObject) -> None:
    """Cut or changed bytes give BadArchive or some content, never another error."""
    raw = bytearray(WHOLE[unpacked])  # type: ignore[index]
    end = data.draw(st.integers(0, len(raw)))
    del raw[end:]
    if raw:
        raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        unpacked(bytes(raw))
    except BadArchive as error:
        fault = error
    else:
        fault = None
    assert fault is None or fault.why


@pytest.mark.parametrize("compression", ["gz", "bz2", "xz"])
def test_a_compressed_tar_whose_checksum_is_wrong_is_refused(compression: str) -> None:
    data = bytearray(tar(a_file("a", bytes(range(256)) * 40), mode=f"w:{compression}"))
    data[-6] ^= 1
    with pytest.raises(BadArchive):
        untar(bytes(data))


def test_a_plain_tar_cut_between_members_is_refused() -> None:
    data = tar(a_file("a", b"a" * 700), a_file("b"), mode="w:")
    for size in (0, 1536, 2560):
        with pytest.raises(BadArchive):
            untar(data[:size])
    assert list(untar(data[: 2560 + 512])) == ["a", "b"]


def test_errors_of_reading_the_bucket_pass_through() -> None:
    def broken() -> Iterator[bytes]:
        yield tar(a_file("a", bytes(100_000)), mode="w:")[:2000]
        raise Unavailable("cut off")

    members = tar_members(broken(), 100_000, "/x", LIMITS)
    with pytest.raises(Unavailable):
        _ = [b"".join(member.blocks) for member in members]


# -- through the service -----------------------------------------------------------------------------------------------


def test_archives_are_published_updated_and_removed(service: Service) -> None:
    put(service, ".fondaco.toml", SETTINGS)
    seeded(service)
    put(service, "dist/x.tar.gz", tar(a_file("bin/run", b"#!/bin/sh"), a_file("old"), a_link("l", "bin/run")))
    put(service, "dist/y.zip", zipped(("f", b"zip"), ("e/", b"")))
    run(service, "dist/x.tar.gz", "dist/y.zip")
    assert service.files() == {
        "/first": b"first",
        "/sw/x/bin/run": b"#!/bin/sh",
        "/sw/x/old": b"x",
        "/sw/x/l": b"-> bin/run",
        "/sw/y/f": b"zip",
    }
    assert "/sw/y/e" in service.tree()
    put(service, "dist/x.tar.gz", tar(a_file("bin/run", b"#!/bin/sh"), a_file("new")))
    run(service, "dist/x.tar.gz")
    assert set(service.files()) == {"/first", "/sw/x/bin/run", "/sw/x/new", "/sw/y/f"}
    service.bucket.delete("cvmfs/dist/x.tar.gz")
    run(service, "dist/x.tar.gz")
    assert {path for path in service.tree() if path.startswith("/sw")} == {"/sw", "/sw/y", "/sw/y/e", "/sw/y/f"}
    assert service.sync.sweep().plan.is_empty


def test_s7_a_hostile_archive_is_refused_with_its_reason_and_the_rest_goes_on(service: Service) -> None:
    put(service, ".fondaco.toml", SETTINGS)
    seeded(service)
    put(service, "dist/evil.tar", tar(a_file("good"), a_file("../../evil"), mode="w:"))
    put(service, "dist/good.tar", tar(a_file("good"), mode="w:"))
    run(service, "dist/evil.tar", "dist/good.tar")
    assert set(service.files()) == {"/first", "/sw/good/good"}
    (row,) = service.ledger.refusals()
    assert (row.key, "'..'" in row.detail) == ("cvmfs/dist/evil.tar", True)
    service.bucket.opened.clear()
    assert service.sync.sweep().plan.is_empty
    assert "cvmfs/dist/evil.tar" not in service.bucket.opened


def test_an_archive_gives_way_to_keys_and_comes_back(service: Service) -> None:
    put(service, ".fondaco.toml", SETTINGS)
    seeded(service)
    put(service, "dist/x.tar", tar(a_file("f"), mode="w:"))
    run(service, "dist/x.tar")
    put(service, "sw/x/mine", b"mine")
    run(service, "sw/x/mine")
    assert set(service.files()) == {"/first", "/sw/x/mine"}
    assert service.refusals() == {"dist/x.tar": "archive-directory-in-use"}
    service.bucket.delete("cvmfs/sw/x/mine")
    run(service, "sw/x/mine")
    assert set(service.files()) == {"/first", "/sw/x/f"}
    assert service.refusals() == {}


def test_settings_turn_a_published_file_into_its_content_and_back(service: Service) -> None:
    seeded(service)
    archive = tar(a_file("f"), mode="w:")
    put(service, "dist/x.tar", archive)
    service.sync.sweep()
    put(service, ".fondaco.toml", b'[[unpack]]\narchive = "*.tar"\ninto = "dist/x.tar"\n')
    run(service, ".fondaco.toml")
    assert set(service.files()) == {"/first", "/dist/x.tar/f"}
    service.bucket.delete("cvmfs/.fondaco.toml")
    run(service, ".fondaco.toml")
    assert service.files() == {"/first": b"first", "/dist/x.tar": archive}
