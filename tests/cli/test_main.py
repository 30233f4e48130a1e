"""The frame of the command line: what is imported when, how errors look, and which exit code they leave."""

import json
import subprocess
import sys
from types import SimpleNamespace
from typing import Annotated, ClassVar

import pytest
import typer

from fondaco import __version__
from fondaco.cli import main
from fondaco.errors import ExitCode, FondacoError

HEAVY = {"obstore", "numpy", "cryptography", "fastapi", "uvicorn", "pydantic", "rich", "sqlite3", "asyncio"}


class UnsignedError(FondacoError):
    exit_code: ClassVar[ExitCode] = ExitCode.UNTRUSTED


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command `broken` that fails as its argument says."""
    app = typer.Typer()

    @app.command("broken")
    def broken(how: str, json: Annotated[bool, typer.Option("--json")] = False) -> None:
        if how == "foreseen":
            raise UnsignedError("cannot read sw.example.org", "the signature does not fit", "Get the key again.")
        raise RuntimeError("a defect")

    monkeypatch.setitem(sys.modules, "broken_commands", SimpleNamespace(app=app))  # type: ignore[arg-type]
    monkeypatch.setitem(main.COMMANDS, "broken", ("broken_commands", "Fails."))


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as left:
        main.run(words)
    return int(left.value.code or 0)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == ExitCode.OK
    assert capsys.readouterr().out == f"fondaco {__version__}\n"


def test_help_lists_all_commands_and_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == ExitCode.OK
    shown = capsys.readouterr().out
    for name in main.COMMANDS:
        assert f"  {name} " in shown
    for code in ExitCode:
        assert str(code.value) in shown


def test_help_loads_no_heavy_library() -> None:
    program = (
        "import sys\nfrom fondaco.cli.main import run\n"
        "try:\n    run(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert HEAVY & set(done.stderr.split()) == set()


@pytest.mark.parametrize("name", main.COMMANDS)
def test_every_command_of_the_table_exists(name: str) -> None:
    assert run(name, "--help") == ExitCode.OK


@pytest.mark.usefixtures("broken")
def test_a_foreseen_error_is_one_paragraph_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("broken", "foreseen") == ExitCode.UNTRUSTED
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "fondaco: cannot read sw.example.org: the signature does not fit. Get the key again.\n"


@pytest.mark.usefixtures("broken")
def test_a_foreseen_error_is_json_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("broken", "foreseen", "--json") == ExitCode.UNTRUSTED
    assert json.loads(capsys.readouterr().err)["error"] == {
        "type": "UnsignedError",
        "what": "cannot read sw.example.org",
        "why": "the signature does not fit",
        "hint": "Get the key again.",
        "message": "cannot read sw.example.org: the signature does not fit. Get the key again.",
        "exit_code": 5,
    }


@pytest.mark.usefixtures("broken")
def test_a_defect_keeps_its_traceback() -> None:
    with pytest.raises(RuntimeError, match="a defect"):
        main.run(["broken", "unforeseen"])


def test_a_wrong_command_line_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("no-such-command") == ExitCode.USAGE
    assert "no-such-command" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (("it failed",), "it failed"),
        (("it failed", "no space"), "it failed: no space"),
        (("it failed", "no space.", "Make room."), "it failed: no space. Make room."),
        (("it failed", "", "Try again."), "it failed. Try again."),
    ],
)
def test_the_message_says_what_why_and_what_to_do(parts: tuple[str, ...], message: str) -> None:
    assert str(FondacoError(*parts)) == message
