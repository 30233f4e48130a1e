"""The bench runs, says what it measured on, and its page lists what it can measure. No figure is judged."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.rows import shown
from bench.run import ROWS

ROOT = Path(__file__).parents[2]


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_the_page_lists_every_row() -> None:
    listed = re.findall(r"^\| `([a-z0-9-]+)` \|", (ROOT / "bench" / "README.md").read_text(), re.MULTILINE)
    assert listed == [row.name for row in ROWS]


def test_a_row_is_measured_and_leaves_nothing(tmp_path: Path) -> None:
    done = bench("change-one", "--runs", "1", "--json", "--folder", str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert {"cpu", "cores", "memory_gib", "python", "zlib", "filesystem"} <= report["machine"].keys()
    (row,) = report["rows"]
    assert row["name"] == "change-one"
    assert all(figure["value"] > 0 for figure in row["figures"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0123, "s", "12.3 ms"),
        (1.234, "s", "1.23 s"),
        (154.4, "s", "154 s"),
        (41_000_000, "B", "41 MB"),
        (336812, "", "336,812"),
    ],
)
def test_values_have_three_digits(value: float, unit: str, text: str) -> None:
    assert shown(value, unit) == text


def test_an_unknown_row_is_an_error() -> None:
    done = bench("no-such-row")
    assert done.returncode != 0
    assert "publish-small" in done.stderr
