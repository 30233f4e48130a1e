"""Metadata of other tools become modes, times, owners and links; whatever they hold, nothing crashes."""

import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fondaco.software import posix
from fondaco.software.posix import Kind


def test_nothing_told_nothing_assumed() -> None:
    assert posix.read({}, marker=False) == posix.Posix(kind=Kind.FILE)
    assert posix.read({}, marker=True) == posix.Posix(kind=Kind.DIRECTORY)
    assert posix.read({"owner": "me", "x": "33188"}, marker=False) == posix.Posix(kind=Kind.FILE)


def test_rclone() -> None:
    told = {"mtime": "1704067200.123456789", "mode": "100755", "uid": "1000", "gid": "100"}
    assert posix.read(told, marker=False) == posix.Posix(
        kind=Kind.FILE, mode=0o755, mtime_ns=1704067200_123456789, uid=1000, gid=100
    )
    assert posix.read({"mtime": "2024-01-01T00:00:00.5Z"}, marker=False).mtime_ns == 1704067200_500000000
    assert posix.read({"mtime": "2024-01-01T01:00:00+01:00"}, marker=False).mtime_ns == 1704067200_000000000


def test_s3fs() -> None:
    told = {"mtime": "1704067200", "mode": "33261", "uid": "0", "gid": "0", "ctime": "1", "atime": "1"}
    assert posix.read(told, marker=False) == posix.Posix(kind=Kind.FILE, mode=0o755, mtime_ns=1704067200_000000000)
    assert posix.read({"mode": "41471"}, marker=False).kind is Kind.SYMLINK
    assert posix.read({"mode": "16877"}, marker=True).mode == 0o755


def test_aws_datasync() -> None:
    told = {
        "file-mtime": "1704067200123456789ns",
        "file-permissions": "0100640",
        "file-owner": "501",
        "file-group": "20",
    }
    assert posix.read(told, marker=False) == posix.Posix(
        kind=Kind.FILE, mode=0o640, mtime_ns=1704067200_123456789, uid=501, gid=20
    )


@pytest.mark.parametrize("text", ["755", "0755", "0o755", "100755", "0100755", "0o100755", "33261"])
def test_every_spelling_of_a_mode_is_understood(text: str) -> None:
    assert posix.read({"mode": text}, marker=False).mode == 0o755


@given(st.integers(0, 0o7777), st.sampled_from([(stat.S_IFREG, False), (stat.S_IFLNK, False), (stat.S_IFDIR, True)]))
def test_octal_and_decimal_are_never_confused(bits: int, kind: tuple[int, bool]) -> None:
    types, marker = kind
    readings = [posix.read({"mode": text}, marker=marker) for text in (f"{types | bits:o}", f"{types | bits:d}")]
    assert readings[0] == readings[1]
    assert readings[0].mode == bits & posix.KEPT_MODE_BITS
    assert not readings[0].notes


@pytest.mark.parametrize("mode", ["104755", "102755", "6755", "35309"])
def test_set_user_id_and_set_group_id_are_taken_off(mode: str) -> None:
    told = posix.read({"mode": mode}, marker=False)
    assert told.mode == 0o755


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mode", "rwxr-xr-x"),
        ("mode", ""),
        ("mode", "-644"),
        ("mode", "99999999"),
        ("mode", "16877"),  # a directory's, on an ordinary key
        ("mode", "٦٤٤"),
        ("file-permissions", "33188"),
        ("mtime", "yesterday"),
        ("mtime", "1e300"),
        ("mtime", "NaN"),
        ("mtime", "99999999999"),
        ("file-mtime", "1704067200"),
        ("uid", "root"),
        ("uid", "-1"),
        ("gid", "4294967295"),
    ],
)
def test_a_value_that_cannot_be_read_is_noted_and_the_default_taken(name: str, value: str) -> None:
    told = posix.read({name: value}, marker=False)
    assert (told.kind, told.mode, told.mtime_ns, told.uid, told.gid) == (Kind.FILE, None, None, 0, 0)
    assert len(told.notes) == 1
    assert told.notes[0].startswith(name)


def test_a_second_convention_serves_where_the_first_is_unreadable() -> None:
    told = posix.read({"mode": "x", "file-permissions": "0600", "mtime": "x", "file-mtime": "1ns"}, marker=False)
    assert (told.mode, told.mtime_ns, len(told.notes)) == (0o600, 1, 2)


names = st.sampled_from(["mode", "mtime", "uid", "gid", "file-permissions", "file-mtime", "file-owner", "file-group"])


@given(
    st.dictionaries(names, st.text(max_size=30) | st.from_regex(r"-?[0-9]{1,20}(\.[0-9]{1,20})?(ns)?")), st.booleans()
)
def test_no_metadata_crash_or_leave_the_range(metadata: dict[str, str], marker: bool) -> None:
    told = posix.read(metadata, marker=marker)
    assert told.mode is None or told.mode & ~0o1777 == 0
    assert told.mtime_ns is None or abs(told.mtime_ns) < 1 << 63
    assert 0 <= told.uid < 1 << 32
    assert 0 <= told.gid < 1 << 32
    assert (told.kind is Kind.DIRECTORY) == marker


@given(st.dictionaries(names | st.text(max_size=5), st.text(max_size=10)))
def test_the_digest_names_what_matters_and_nothing_else(metadata: dict[str, str]) -> None:
    assert posix.digest(metadata) == posix.digest(dict(reversed(metadata.items())) | {"content-type": "x"})
    assert posix.digest(metadata) != posix.digest(metadata | {"mode": metadata.get("mode", "") + "1"})


@pytest.mark.parametrize(
    ("told", "first", "executable", "mode"),
    [
        (None, b"", False, 0o644),
        (None, b"#!/bin/sh\n", False, 0o755),
        (None, b"\x7fELF\x02", False, 0o755),
        (None, b"\x7fEL", False, 0o644),
        (None, b"text", True, 0o755),
        (0o640, b"#!/bin/sh", False, 0o640),
        (0o640, b"", True, 0o750),
        (0o000, b"", True, 0o000),
    ],
)
def test_modes_of_files(told: int | None, first: bytes, executable: bool, mode: int) -> None:
    assert posix.file_mode(told, first=first, executable=executable) == mode
