"""`fondaco cvmfs` as a person or a script runs it: in a process of its own."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fondaco.cvmfs.codec import CODECS
from fondaco.errors import ExitCode

FQRN = "sw.example.org"


class Here:
    """A folder with a repository, its keys and something to publish."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source = folder / "source"
        (self.source / "bin").mkdir(parents=True)
        (self.source / "bin/tool").write_bytes(b"#!/bin/sh\n")
        (self.source / "bin/tool").chmod(0o755)
        (self.source / "link").symlink_to("bin/tool")
        (self.source / os.fsdecode(b"raw\xff\n")).write_bytes(b"raw")
        for number in range(300):
            (self.source / f"f{number}").write_bytes(b"%d" % number * number)
        (self.source / "large").write_bytes(os.urandom(9 << 20))

    def run(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, "-m", "fondaco", "cvmfs", *words], cwd=self.folder, capture_output=True, check=False
        )

    def good(self, *words: str) -> bytes:
        done = self.run(*words)
        assert done.returncode == 0, done.stderr.decode()
        assert done.stderr == b""
        return done.stdout

    def told(self, *words: str) -> Any:
        return json.loads(self.good(*words, "--json"))

    def publish(self, *more: str) -> Any:
        return self.told("publish", "source", FQRN, "--store", "repository", "--keys", "keys", *more)

    def read(self, command: str, *words: str) -> bytes:
        return self.good(command, "repository", *words, "--pubkey", f"keys/{FQRN}.pub")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Here:
    place = Here(tmp_path_factory.mktemp("cli"))
    assert b"revision 1" in place.good("mkfs", FQRN, "--store", "repository", "--keys", "keys")
    published = place.publish("--tag", "v1")
    assert published["revision"] == 2
    assert published["changed"] == 306
    return place


def test_keys_are_named_as_cernvmfs_names_them_and_private(here: Here) -> None:
    modes = {path.name: path.stat().st_mode & 0o777 for path in (here.folder / "keys").iterdir()}
    assert modes == {f"{FQRN}.masterkey": 0o600, f"{FQRN}.key": 0o600, f"{FQRN}.crt": 0o644, f"{FQRN}.pub": 0o644}


def test_publishing_again_publishes_nothing(here: Here) -> None:
    assert here.publish() == {"fqrn": FQRN, "revision": 2, "changed": 0}
    assert b"nothing to publish" in here.good("publish", "source", FQRN, "--store", "repository", "--keys", "keys")


@pytest.mark.parametrize("name", ["deflate", "fast", "none"])
def test_a_repository_keeps_the_compression_that_it_was_made_with(here: Here, tmp_path: Path, name: str) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source/text").write_bytes(b"text " * 5_000)
    store = ("--store", str(tmp_path / "store"), "--keys", "keys")
    here.good("mkfs", FQRN, *store, "--compression", name)
    here.good("publish", str(tmp_path / "source"), FQRN, *store)
    told = here.told("stat", str(tmp_path / "store"), "/text", "--pubkey", f"keys/{FQRN}.pub")
    expected = hashlib.sha1(CODECS[name].compress(b"text " * 5_000)).hexdigest()
    assert told["digest"] == expected
    here.good("check", str(tmp_path / "store"), "--pubkey", f"keys/{FQRN}.pub", "--content")


def test_what_was_published_is_listed(here: Here) -> None:
    names = here.read("ls").splitlines()
    assert b"bin/" in names
    assert b"raw\xff" in names, "bytes that are not UTF-8 are printed as they are"
    assert here.read("ls", "/bin") == b"tool\n"
    assert here.read("ls", "/bin", "-l").startswith(b"-rwxr-xr-x ")
    (link,) = json.loads(here.read("ls", "/link", "--json"))
    assert (link["kind"], link["target"]) == ("symlink", "bin/tool")


def test_content_is_printed(here: Here) -> None:
    assert here.read("cat", "/bin/tool") == b"#!/bin/sh\n"
    assert here.read("cat", "large") == (here.source / "large").read_bytes()


def test_a_path_is_described(here: Here) -> None:
    fields = json.loads(here.read("stat", "/large", "--json"))
    assert fields["size"] == 9 << 20
    assert sum(chunk["size"] for chunk in fields.get("chunks", [])) in (0, 9 << 20)
    assert b"#" not in here.read("stat", "/bin/tool", "--tag", "v1")


def test_a_sound_repository_has_no_problem(here: Here) -> None:
    assert b"no problem found" in here.read("check", "--content")
    report = json.loads(here.read("check", "--json"))
    assert report["clean"]
    assert report["findings"] == []


def test_tags_keep_what_was(here: Here, tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"x")
    here.told("publish", str(tmp_path), FQRN, "--store", "repository", "--keys", "keys", "--at", "/later")
    assert here.read("ls", "/later") == b"other\n"
    gone = here.run("ls", "repository", "/later", "--pubkey", "keys", "--tag", "v1")
    assert gone.returncode == ExitCode.NOT_FOUND
    assert b"v1" not in gone.stdout


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["ls", "repository", "/none", "--pubkey", "keys"], ExitCode.NOT_FOUND, b"no '/none'"),
        (["ls", "repository", "--pubkey", "keys", "--tag", "none"], ExitCode.NOT_FOUND, b"its tags are"),
        (["ls", "nowhere", "--pubkey", "keys"], ExitCode.UNAVAILABLE, b"cannot be opened"),
        (["cat", "repository", "/bin", "--pubkey", "keys"], ExitCode.REFUSED, b"it is a directory"),
        (["mkfs", FQRN, "--store", "repository", "--keys", "keys"], ExitCode.CONFLICT, b"already"),
        (["mkfs", "nodomain", "--store", "new", "--keys", "new"], ExitCode.REFUSED, b"no domain"),
        (["publish", "none", FQRN, "--store", "repository", "--keys", "keys"], ExitCode.REFUSED, b"no folder"),
        (["publish", "source", FQRN, "--store", "repository", "--keys", "none"], ExitCode.UNTRUSTED, b"does not exist"),
        (
            ["publish", "source", FQRN, "--store", "repository", "--keys", "keys", "--tag", "v1"],
            ExitCode.CONFLICT,
            b"already",
        ),
        (["publish", "source"], ExitCode.USAGE, b"Missing argument"),
    ],
)
def test_what_goes_wrong_is_said_in_one_paragraph(here: Here, words: list[str], code: ExitCode, message: bytes) -> None:
    done = here.run(*words)
    assert done.returncode == code, done.stderr.decode()
    assert message in done.stderr
    assert b"Traceback" not in done.stderr
    assert not (here.folder / "new").exists()


def test_errors_are_json_for_machines(here: Here) -> None:
    done = here.run("ls", "repository", "/none", "--pubkey", "keys", "--json")
    error = json.loads(done.stderr)["error"]
    assert error["type"] == "NotInRepository"
    assert error["exit_code"] == done.returncode


def test_a_key_that_does_not_vouch_for_it_shows_nothing(here: Here, tmp_path: Path) -> None:
    here.good("mkfs", FQRN, "--store", str(tmp_path / "other"), "--keys", str(tmp_path / "keys"))
    done = here.run("ls", "repository", "--pubkey", str(tmp_path / "keys"))
    assert done.returncode == ExitCode.UNTRUSTED
    assert done.stdout == b""


def test_damage_is_found_and_named(here: Here, tmp_path: Path) -> None:
    subprocess.run(["cp", "-r", here.folder / "repository", tmp_path / "damaged"], check=True)
    digest = json.loads(here.read("stat", "/bin/tool", "--json"))["digest"]
    (tmp_path / "damaged/data" / digest[:2] / digest[2:]).write_bytes(b"not this")
    done = here.run("check", str(tmp_path / "damaged"), "--pubkey", "keys", "--content")
    assert done.returncode == ExitCode.FAILED
    assert b"/bin/tool" in done.stdout
    assert b"1 problem found" in done.stdout


def test_another_hash_and_uncompressed_files(here: Here) -> None:
    name = "other.example.org"
    place = ("--store", "other", "--keys", "other-keys")
    here.good("mkfs", name, *place, "--hash", "shake128", "--compression", "none")
    assert here.told("publish", "source", name, *place)["root"].endswith("-shake128")
    told = json.loads(here.good("stat", "other", "/bin/tool", "--pubkey", f"other-keys/{name}.pub", "--json"))
    assert told["digest"] == hashlib.shake_128(b"#!/bin/sh\n").hexdigest(20) + "-shake128"
    here.good("check", "other", "--pubkey", f"other-keys/{name}.pub", "--content")
    assert (here.folder / "source/large").read_bytes() == here.good(
        "cat", "other", "/large", "--pubkey", f"other-keys/{name}.pub"
    )


def test_external_files_are_read_from_where_they_are(here: Here) -> None:
    name = "outside.example.org"
    place = ("--store", "outside", "--keys", "outside-keys")
    read = ("outside", "/large", "--pubkey", f"outside-keys/{name}.pub")
    here.good("mkfs", name, *place)
    assert here.told("publish", "source", name, *place, "--external")["new_bytes"] < 1 << 20
    assert json.loads(here.good("stat", *read, "--json"))["external"] is True
    assert here.good("cat", *read, "--external", "source") == (here.folder / "source/large").read_bytes()
    refused = here.run("cat", *read)
    assert refused.returncode == ExitCode.NOT_FOUND
    assert b"external data" in refused.stderr
