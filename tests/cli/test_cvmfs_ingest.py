"""`fondaco cvmfs ingest` as a person or a script runs it: from a file, and at the end of a pipe."""

import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from fondaco.errors import ExitCode

FQRN = "sw.example.org"


class Here:
    """A folder with a repository, its keys and an archive."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with tarfile.open(folder / "x.tar.gz", "w:gz") as archive:
            for name, kind, link in (
                ("d/one", tarfile.REGTYPE, ""),
                ("d/two", tarfile.LNKTYPE, "d/one"),
                ("l", tarfile.SYMTYPE, "d"),
            ):
                info = tarfile.TarInfo(name)
                info.type, info.linkname, info.mode, info.size = kind, link, 0o4755, 3 if kind == tarfile.REGTYPE else 0
                archive.addfile(info, io.BytesIO(b"one"))
        self.archive = (folder / "x.tar.gz").read_bytes()
        self.good("mkfs", FQRN, "--store", "repository", "--keys", "keys")

    def run(self, *words: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "fondaco", "cvmfs", *words]
        return subprocess.run(command, cwd=self.folder, input=given, capture_output=True, check=False)

    def good(self, *words: str, given: bytes = b"") -> bytes:
        done = self.run(*words, given=given)
        assert (done.returncode, done.stderr) == (0, b"")
        return done.stdout

    def ingest(self, archive: str, *more: str, given: bytes = b"") -> Any:
        words = ("ingest", archive, FQRN, "--store", "repository", "--keys", "keys", "--json", *more)
        return json.loads(self.good(*words, given=given))

    def stat(self, path: str) -> Any:
        return json.loads(self.good("stat", "repository", path, "--pubkey", f"keys/{FQRN}.pub", "--json"))


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Here:
    return Here(tmp_path_factory.mktemp("ingest"))


def test_an_archive_is_published_from_a_file_and_from_a_pipe(here: Here) -> None:
    assert here.ingest("x.tar.gz", "--tag", "v1")["revision"] == 2
    assert (here.stat("/d/two")["links"], here.stat("/d/two")["mode"]) == (2, "104755")
    again = here.ingest("-", given=here.archive)
    assert again == {"fqrn": FQRN, "revision": 2, "changed": 0}
    words = ("--at", "piped", "--delete", "/l", "--delete", "/none", "--uid", "7", "--gid", "8", "--mode-mask", "0755")
    here.ingest("-", *words, given=here.archive)
    moved = here.stat("/piped/d/one")
    assert (moved["uid"], moved["gid"], moved["mode"]) == (7, 8, "100755")
    assert here.run("stat", "repository", "/l", "--pubkey", "keys").returncode == ExitCode.NOT_FOUND


@pytest.mark.parametrize(
    ("words", "given", "code", "message"),
    [
        (["-"], b"no archive", ExitCode.REFUSED, b"no tar archive"),
        (["none.tar"], b"", ExitCode.REFUSED, b"No such file"),
        (["."], b"", ExitCode.REFUSED, b"directory"),
        (["-"], b"\x28\xb5\x2f\xfd....", ExitCode.REFUSED, b"zstd"),
        (["x.tar.gz", "--at", "/../x"], b"", ExitCode.REFUSED, b"'..'"),
        (["x.tar.gz", "--mode-mask", "9"], b"", ExitCode.USAGE, b"octal"),
        (["x.tar.gz", "--delete", "/"], b"", ExitCode.REFUSED, b"root"),
    ],
)
def test_what_goes_wrong_is_said_in_one_paragraph(
    here: Here, words: list[str], given: bytes, code: ExitCode, message: bytes
) -> None:
    done = here.run("ingest", words[0], FQRN, "--store", "repository", "--keys", "keys", *words[1:], given=given)
    assert done.returncode == code, done.stderr.decode()
    assert message in done.stderr
    assert b"Traceback" not in done.stderr
