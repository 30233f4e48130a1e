"""`fondaco sync` says what is wrong with its command line; what it does is in tests/integration/test_sync.py."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fondaco.cli.output import printable
from fondaco.cli.sync import TOKEN_VARIABLE, app
from fondaco.errors import ExitCode

TOKEN = "shared with the store"
GOOD = {"--bucket": "s3://repo", "--store": "file:///tmp", "--keys": "keys", "--ledger": "ledger"}


def run(*more: str, token: str = TOKEN, **other: str) -> tuple[int, str]:
    options = GOOD | {f"--{name}": value for name, value in other.items()}
    words = ["sync.example.org", *(word for pair in options.items() for word in pair), *more]
    done = CliRunner(env={TOKEN_VARIABLE: token, "TERM": "dumb", "COLUMNS": "200"}).invoke(app, words)
    return done.exit_code, re.sub(r"\s+", " ", done.output)


@pytest.mark.parametrize(
    ("more", "option"),
    [
        ({"bucket": "repo"}, "--bucket"),
        ({"bucket": "s3://repo/sub"}, "--bucket"),
        ({"bucket": "http://repo"}, "--bucket"),
        ({"prefix": "cvmfs"}, "--prefix"),
        ({"prefix": "/cvmfs/"}, "--prefix"),
        ({"listen": "8080"}, "--listen"),
        ({"listen": "127.0.0.1:http"}, "--listen"),
        ({"listen": "127.0.0.1:99999"}, "--listen"),
        ({"listen": "127.0.0.1:0", "token": ""}, TOKEN_VARIABLE),
    ],
)
def test_a_wrong_command_line_is_named(more: dict[str, str], option: str) -> None:
    code, said = run(**more)
    assert (code, option in said) == (ExitCode.USAGE, True)


def test_once_and_listening_exclude_each_other() -> None:
    code, said = run("--once", listen="127.0.0.1:0")
    assert (code, "--once" in said) == (ExitCode.USAGE, True)


def test_nothing_is_made_for_a_wrong_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run(bucket="repo")
    assert list(tmp_path.iterdir()) == []


def test_the_command_is_reached_by_its_name() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fondaco", "sync", "--help"], capture_output=True, text=True, check=True
    )
    assert "--bucket" in done.stdout


@pytest.mark.parametrize(
    ("key", "shown"),
    [("a b/é", "a b/é"), ("new\nline", "new\\nline"), ("\x1b[2J", "\\x1b[2J"), ("raw\udcff", "raw\\udcff")],
)
def test_keys_cannot_drive_a_terminal_or_forge_a_line(key: str, shown: str) -> None:
    assert printable(key) == shown
