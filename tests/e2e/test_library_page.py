"""The code of docs/library.md, block after block as it stands there, in an empty folder."""

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "library.md"
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def program() -> str:
    """All blocks as one program whose lines have the numbers of the page's, so that a traceback leads there."""
    text = PAGE.read_text()
    lines = [""] * text.count("\n")
    for block in BLOCK.finditer(text):
        start = text.count("\n", 0, block.start(1))
        code = block[1].splitlines()
        lines[start : start + len(code)] = code
    return "\n".join(lines)


def run(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )


def test_the_page_works_as_written(tmp_path: Path) -> None:
    done = run(program(), tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_wrong_statement_on_the_page_would_be_noticed(tmp_path: Path) -> None:
    wrong = program().replace("assert repository.revision == 3", "assert repository.revision == 4")
    assert wrong != program()
    done = run(wrong, tmp_path)
    line = PAGE.read_text().splitlines().index("assert repository.revision == 3") + 1
    assert done.returncode != 0
    assert f'"<string>", line {line}' in done.stderr
