"""`fondaco cvmfs rollback`, `tag`, `resign`, `diff`, `find`, `du` and `ls -R`, as a person or a script runs them."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import typer

from fondaco.cli import main
from fondaco.cli.cvmfs.searching import moment, size_range
from fondaco.cvmfs import keys
from fondaco.errors import ExitCode

FQRN = "sw.example.org"
Run = Callable[..., bytes]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with the tags v1 and v2, published from the folder source; its keys, and others of that name."""
    folder = tmp_path_factory.mktemp("made")
    source = folder / "source"
    (source / "bin").mkdir(parents=True)
    (source / "bin/tool").write_bytes(b"one")
    (source / "old").write_bytes(b"old")
    (source / "large").write_bytes(b"\0" * 5000)
    (source / "link").symlink_to("bin/tool")
    (source / os.fsdecode(b"raw\xff")).write_bytes(b"")
    os.utime(source / "old", (1_000_000_000, 1_000_000_000))
    keys.generate(folder / "others", FQRN)
    quietly("mkfs", FQRN, "--store", str(folder / "repository"), "--keys", str(folder / "keys"))
    publish(folder, "v1")
    (source / "bin/tool").write_bytes(b"two!")
    (source / "old").unlink()
    (source / "new").write_bytes(b"")
    publish(folder, "v2")
    return folder


@pytest.fixture
def here(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, as the current folder."""
    shutil.copytree(made, tmp_path / "here", symlinks=True)
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def quietly(*words: str) -> None:
    with pytest.raises(SystemExit) as left:
        main.run(["cvmfs", *words])
    assert not left.value.code


def publish(folder: Path, tag: str) -> None:
    places = ["--store", str(folder / "repository"), "--keys", str(folder / "keys")]
    quietly("publish", str(folder / "source"), FQRN, *places, "--tag", tag)


@pytest.fixture
def read(here: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> Run:
    """Runs a command that reads and gives its output."""
    return lambda command, *words: run(capfdbinary, *command.split(), "repository", *words, "--pubkey", "keys")


@pytest.fixture
def write(here: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> Run:
    """Runs a command that changes and gives its output."""
    return lambda command, *words: run(capfdbinary, *command.split(), *words, "--store", "repository", "--keys", "keys")


def run(capfdbinary: pytest.CaptureFixture[bytes], *words: str, code: int = 0) -> bytes:
    capfdbinary.readouterr()
    with pytest.raises(SystemExit) as left:
        main.run(["cvmfs", *words])
    sys.stdout.flush()
    out, err = capfdbinary.readouterr()
    assert (left.value.code or 0) == code, err
    return out if code == 0 else err


def tags(read: Run) -> dict[str, Any]:
    return {tag["name"]: tag for tag in json.loads(read("tag list", "--json"))}


def test_an_old_revision_comes_back(read: Run, write: Run) -> None:
    out = write("rollback", FQRN, "--to", "v1")
    assert b"removed tag v2 (revision 3)" in out
    assert b"is at revision 4, which shows what revision 2 showed" in out
    assert read("cat", "/bin/tool") == b"one"
    assert tags(read).keys() == {"trunk", "v1"}


def test_a_rollback_is_told_to_machines(read: Run, write: Run) -> None:
    before = tags(read)
    told = json.loads(write("rollback", FQRN, "--keep-tags", "--json"))
    assert (told["revision"], told["removed_tags"]) == (4, [])
    assert told["shows"] == {"revision": 2, "root": before["v1"]["root"]}
    assert tags(read)["trunk"]["root"] == told["root"]


def test_tags_are_given_listed_and_taken(read: Run, write: Run) -> None:
    assert write("tag add", "old", "older", FQRN, "--at", "v1", "-m", "for the \x1bpaper") == (
        b"old is revision 2 of sw.example.org.\nolder is revision 2 of sw.example.org.\n"
    )
    listed = read("tag list")
    assert b"for the \\x1bpaper" in listed
    assert tags(read)["old"]["root"] == tags(read)["v1"]["root"]
    assert write("tag remove", "old", "v1", FQRN) == b"removed old (revision 2)\nremoved v1 (revision 2)\n"
    assert tags(read).keys() == {"trunk", "trunk-previous", "v2", "older"}


def test_tags_are_thinned(read: Run, write: Run) -> None:
    automatic = [f"generic-2026-11-{day:02}T00:00:00Z" for day in range(1, 4)]
    write("tag add", *automatic, FQRN)
    shown = write("tag thin", FQRN, "--daily", "1", "--last", "1", "--dry-run")
    assert shown.count(b"would remove generic-") == 2
    assert tags(read).keys() > set(automatic)
    told = json.loads(write("tag thin", FQRN, "--last", "1", "--json"))
    assert told["left"] == len(tags(read)) == 5
    assert tags(read).keys() & set(automatic) == {automatic[-1]}


def test_the_whitelist_is_signed_again(here: Path, read: Run, write: Run) -> None:
    for name in (f"{FQRN}.key", f"{FQRN}.crt"):  # not needed for it
        (here / "keys" / name).rename(here / name)
    told = json.loads(write("resign", FQRN, "--days", "90", "--json"))
    until = datetime.fromisoformat(told["valid_until"])
    assert 89 <= (until - datetime.now(UTC)).days <= 90
    assert b"holds until" in write("resign", FQRN)
    assert read("ls", "/bin") == b"tool\n"


def test_another_key_may_take_over(here: Path, read: Run, write: Run) -> None:
    before = json.loads(write("resign", FQRN, "--json"))["certificates"]
    for suffix in (".key", ".crt"):
        (here / "others" / (FQRN + suffix)).replace(here / "keys" / (FQRN + suffix))
    after = json.loads(write("resign", FQRN, "--new-certificate", "--json"))["certificates"]
    assert len(after) == 1
    assert after != before
    assert read("cat", "/bin/tool") == b"two!"


def test_two_revisions_are_compared(read: Run) -> None:
    lines = read("diff", "v1", "v2").splitlines()
    assert lines == [b"~ /  (mtime)", b"+ /new", b"- /old", b"~ /bin/tool  (content, mtime)"]
    assert read("diff", "v1").splitlines() == lines
    told = json.loads(read("diff", "2", "trunk", "--json"))
    assert (told["from"]["revision"], told["to"]["tag"]) == (2, "trunk")
    assert told["changes"][1] == {"path": "/new", "change": "added", "kind": "file"}
    assert told["changes"][3]["what"] == ["content", "mtime"]
    assert json.loads(read("diff", "v1", "v1", "--json"))["changes"] == []


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--name", "*o*", "--type", "f"], [b"/bin/tool"]),
        (["--type", "dl"], [b"/", b"/bin", b"/link"]),
        (["--size", "+4k"], [b"/large"]),
        (["--size", "4"], [b"/bin/tool"]),
        (["/bin"], [b"/bin", b"/bin/tool"]),
        (["--name", "raw?"], [b"/raw\xff"]),
        (["--tag", "v1", "--older", "2001-10-01", "--type", "f"], [b"/old"]),
        (["--newer", "1h", "--name", "new"], [b"/new"]),
        (["--name", "none"], []),
    ],
)
def test_entries_are_found(read: Run, words: list[str], found: list[bytes]) -> None:
    assert read("find", *words).splitlines() == found


def test_what_is_found_is_told_to_programs(read: Run) -> None:
    assert read("find", "/bin", "-0") == b"/bin\0/bin/tool\0"
    (tool,) = json.loads(read("find", "--name", "tool", "--json"))
    assert (tool["path"], tool["kind"], tool["size"]) == ("/bin/tool", "file", 4)
    assert json.loads(read("find", "--name", "none", "--json")) == []


def test_sizes_are_added_up(read: Run) -> None:
    assert [line.split() for line in read("du", "--depth", "1").splitlines()] == [
        [b"4", b"B", b"2", b"/bin"],
        [b"4.9", b"KiB", b"7", b"/"],
    ]
    (usage,) = json.loads(read("du", "--tag", "v1", "--json"))
    assert usage["bytes"] == 5006
    assert (usage["entries"], usage["files"], usage["directories"], usage["symlinks"]) == (7, 4, 2, 1)


def test_everything_is_listed(read: Run) -> None:
    assert read("ls", "-R") == b"/:\nbin/\nlarge\nlink\nnew\nraw\xff\n\n/bin:\ntool\n"
    assert read("ls", "/bin", "-R", "-l").splitlines()[1].endswith(b" tool")
    assert b"link -> bin/tool" in read("ls", "-Rl")
    paths = [entry["path"] for entry in json.loads(read("ls", "-R", "--json"))]
    assert paths[:2] == ["/bin", "/large"]
    assert "/bin/tool" in paths
    assert read("ls", "/bin/tool", "-R") == b"tool\n"


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["rollback", FQRN, "--to", "none"], ExitCode.NOT_FOUND, b"no tag 'none'"),
        (["rollback", FQRN, "--to", "v2"], ExitCode.REFUSED, b"is current"),
        (["tag", "add", "v1", FQRN], ExitCode.CONFLICT, b"already"),
        (["tag", "remove", "trunk", FQRN], ExitCode.REFUSED, b"every publish moves"),
        (["tag", "remove", "none", FQRN], ExitCode.NOT_FOUND, b"no tag was removed"),
        (["tag", "thin", FQRN], ExitCode.REFUSED, b"keep none"),
        (["resign", FQRN, "--days", "0"], ExitCode.USAGE, b"--days"),
        (["resign", "other.example.org"], ExitCode.UNTRUSTED, b"where the master key is kept"),
    ],
)
def test_what_goes_wrong_is_said(
    here: Path, capfdbinary: pytest.CaptureFixture[bytes], words: list[str], code: ExitCode, message: bytes
) -> None:
    del here
    assert message in run(capfdbinary, *words, "--store", "repository", "--keys", "keys", code=code)


@pytest.mark.parametrize(
    "words", [["--type", "x"], ["--size", "big"], ["--size", "+1X"], ["--newer", "yesterday"], ["--older", "999999w"]]
)
def test_a_search_that_cannot_be_understood_is_a_wrong_command_line(
    here: Path, capfdbinary: pytest.CaptureFixture[bytes], words: list[str]
) -> None:
    del here
    assert words[0].encode() in run(capfdbinary, "find", "repository", "--pubkey", "keys", *words, code=ExitCode.USAGE)


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("0", (0, 0)),
        ("+1k", (1024, None)),
        ("-2M", (None, 2 << 20)),
        ("3G", (3 << 30, 3 << 30)),
        ("+1T", (1 << 40, None)),
    ],
)
def test_sizes_are_understood(text: str, limits: tuple[int | None, int | None]) -> None:
    assert size_range(text) == limits


def test_times_are_understood() -> None:
    now = datetime(2026, 11, 22, 11, tzinfo=UTC)
    second = 1_000_000_000
    for text, seconds in (
        ("2026-11-22T11:00", 0),
        ("2026-11-22", -11 * 3600),
        ("2026-11-22T11:00+01:00", -3600),
        ("30m", -1800),
        ("2d", -2 * 86_400),
        ("1w", -7 * 86_400),
    ):
        assert moment(text, now, "--newer") == (int(now.timestamp()) + seconds) * second
    assert moment("1969-12-31T23:59:59.5", now, "--newer") == -second // 2
    with pytest.raises(typer.BadParameter):
        moment("soon", now, "--newer")


def test_a_reader_that_has_seen_enough_ends_it_quietly(here: Path) -> None:
    command = [sys.executable, "-m", "fondaco", "cvmfs", "find", "repository", "--pubkey", "keys"]
    with subprocess.Popen(command, cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert b"Traceback" not in process.stderr.read()
