"""What the pages say exists: commands, make targets and the files they link to."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^```(?:sh|console|bash)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def command_lines() -> list[str]:
    lines = []
    for page in PAGES:
        for block in FENCE.findall(page.read_text()):
            joined = block.replace("\\\n", " ")
            lines += [line.removeprefix("$ ").strip() for line in joined.splitlines()]
    return sorted({line for line in lines if line and not line.startswith("#")})


FONDACO_LINES = [line for line in command_lines() if re.match(r"(\.venv/bin/)?fondaco ", line)]
MAKE_LINES = [line for line in command_lines() if line.startswith("make ")]


def test_there_is_something_to_check() -> None:
    assert FONDACO_LINES
    assert MAKE_LINES


@pytest.mark.parametrize("line", FONDACO_LINES)
def test_a_command_of_the_pages_exists_with_its_options(line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    names = []
    for word in words:
        if not re.fullmatch(r"[a-z][a-z-]*", word) or len(names) == 2:
            break
        names.append(word)
    help_of = [sys.executable, "-m", "fondaco", *names, "--help"]
    shown = subprocess.run(help_of, capture_output=True, text=True, check=False, env={"COLUMNS": "200", "TERM": "dumb"})
    assert shown.returncode == 0, shown.stderr
    known = set(re.findall(r"--[a-z][a-z-]*", shown.stdout))
    assert {word.partition("=")[0] for word in words if word.startswith("--")} <= known


@pytest.mark.parametrize("line", MAKE_LINES)
def test_a_make_target_of_the_pages_exists(line: str) -> None:
    names = [word for word in shlex.split(line, comments=True)[1:] if "=" not in word]
    makefile = (ROOT / "Makefile").read_text()
    assert [name for name in names if not re.search(rf"^{re.escape(name)}:", makefile, re.MULTILINE)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_to_files_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []
