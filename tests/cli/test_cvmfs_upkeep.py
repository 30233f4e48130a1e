"""`fondaco cvmfs gc` and `replicate` as a person or a script runs them: in a process of their own."""

from pathlib import Path

import pytest

from fondaco.errors import ExitCode
from tests.cli.test_cvmfs import FQRN, Here

STORE = ("--store", "repository", "--keys", "keys")
REPLICA = ("repository", FQRN, "--store", "replica", "--pubkey", f"keys/{FQRN}.pub")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Here:
    place = Here(tmp_path_factory.mktemp("upkeep"))
    place.good("mkfs", FQRN, *STORE)
    for number in range(4):
        (place.source / "bin/tool").write_bytes(b"%d" % number)
        place.publish(*(("--tag", "v1") if number == 0 else ()))
    return place


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in (folder / "data").rglob("*") if path.is_file()}


def test_by_default_three_days_are_kept(here: Here) -> None:
    told = here.told("gc", FQRN, *STORE)
    assert (told["roots_dropped"], told["objects_removed"], told["dry_run"]) == (0, 0, False)


def test_a_dry_run_tells_what_a_run_then_removes(here: Here) -> None:
    before = files(here.folder / "repository")
    would = here.told("gc", FQRN, *STORE, "--keep-revisions", "0", "--dry-run")
    assert files(here.folder / "repository") == before
    assert would["objects_removed"] > 0
    text = here.good("gc", FQRN, *STORE, "--keep-revisions", "0", "--log", "log")
    assert b" removed." in text
    gone = before - files(here.folder / "repository")
    assert len(gone) == would["objects_removed"]
    lines = (here.folder / "log").read_text().splitlines()
    assert {line for line in lines if line and line[0] != "#"} == {name[5:].replace("/", "") for name in gone}
    here.read("check", "--content")
    assert here.read("cat", "/bin/tool", "--tag", "v1") == b"0"


def test_a_time_is_taken_as_utc(here: Here) -> None:
    told = here.told("gc", FQRN, *STORE, "--keep-since", "2001-01-01T00:00:00", "--dry-run")
    assert told["objects_removed"] == 0


def test_a_log_that_cannot_be_written_is_said_before_anything_is_removed(here: Here) -> None:
    done = here.run("gc", FQRN, *STORE, "--keep-revisions", "0", "--log", "none/log")
    assert done.returncode == ExitCode.UNAVAILABLE
    assert b"No such file" in done.stderr


def test_a_replica_is_made_and_follows(here: Here) -> None:
    assert b"copied" in here.good("replicate", *REPLICA)
    (here.source / "bin/tool").write_bytes(b"newest")
    revision = here.publish()["revision"]
    told = here.told("replicate", *REPLICA, "--threads", "2")
    assert (told["revision"], told["initial"], told["missing_tags"]) == (revision, False, [])
    key = ("--pubkey", f"keys/{FQRN}.pub")
    assert here.good("cat", "replica", "/bin/tool", *key) == b"newest"
    assert here.good("cat", "replica", "/bin/tool", "--tag", "v1", *key) == b"0"
    here.good("check", "replica", "--content", *key)
    refused = here.run("gc", FQRN, "--store", "replica", "--keys", "keys")
    assert refused.returncode == ExitCode.REFUSED
    assert b"replica" in refused.stderr
