"""`fondaco`: finds the command, runs it, and turns a foreseen error into one clear paragraph and an exit code."""

import importlib
import json
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from fondaco import __version__
from fondaco.errors import ExitCode, FondacoError

COMMANDS: dict[str, tuple[str, str]] = {
    "cvmfs": ("fondaco.cli.cvmfs", "Make, publish, read and check CernVM-FS repositories."),
    "sync": ("fondaco.cli.sync", "Publish what a bucket holds, once or as it changes."),
    "demo": ("fondaco.cli.demo", "Watch a bucket become a CernVM-FS repository, on this machine."),
}
"""Command → (module with its typer `app`, the line in `fondaco --help`).

The module is imported only when its command is called. Its `app` is `typer.Typer(name="<command>")` with commands below
it, or `typer.Typer()` with one `@app.command("<command>")`.
"""


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fondaco {__version__}")
        raise typer.Exit


def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    """Science software from your S3 bucket to every machine that mounts CernVM-FS."""


def build_app(words: Sequence[str]) -> typer.Typer:
    """The command tree for a command line of these words; only commands that are named in it are imported."""
    app = typer.Typer(
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # loading rich for the help page doubles the time it takes (0.33 s, 0.16 s without)
        epilog="Exit codes: "
        + ", ".join(f"{code.value} {code.name.lower().replace('_', ' ')}" for code in ExitCode)
        + ".",
    )
    app.callback()(_main)
    completing = "_FONDACO_COMPLETE" in os.environ
    for name, (module, summary) in COMMANDS.items():
        if completing or name in words:
            app.add_typer(importlib.import_module(module).app)
        else:
            app.command(name, help=summary)(_not_called)
    return app


def _not_called() -> None:
    """Stands for a command that this command line does not name, so that the help can list it."""


def report(error: FondacoError, *, as_json: bool) -> None:
    """Print a foreseen error on stderr: one paragraph, or one JSON object for machines."""
    if not as_json:
        typer.echo(f"fondaco: {error.paragraph}", err=True)
        return
    fields = {
        "type": type(error).__name__,
        "what": error.what,
        "why": error.why,
        "hint": error.hint,
        "message": str(error),
        "exit_code": int(error.exit_code),
    }
    typer.echo(json.dumps({"error": fields}, ensure_ascii=False), err=True)


def run(arguments: Sequence[str] | None = None) -> None:
    """Run one command and leave with its exit code (`fondaco.errors.ExitCode`)."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        build_app(words)(args=words, prog_name="fondaco")
    except FondacoError as error:
        report(error, as_json="--json" in words)
        sys.exit(error.exit_code)
