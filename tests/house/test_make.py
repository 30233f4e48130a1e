"""`make help` tells of every target, and the locks serve behind any index."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))


def targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_help_lists_every_target() -> None:
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r"^ *make ([a-z-]+)", shown, re.MULTILINE)) == targets()


def test_every_target_is_phony() -> None:
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony is not None
    assert set(phony[1].split()) == targets()


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_a_lock_pins_everything_and_names_no_index(lock: Path) -> None:
    lines = lock.read_text().splitlines()
    assert [line for line in lines if "://" in line or re.match(r"\s*-(-index|-extra|-find|i |f )", line)] == []
    pins = [line for line in lines if re.match(r"[a-z0-9]", line)]
    assert pins
    assert [line for line in pins if not re.match(r"[a-z0-9._-]+==\S+( ;.*)? \\$", line)] == []


def test_the_development_lock_agrees_with_the_main_one() -> None:
    main, dev = (
        {line.rstrip(" \\") for line in (ROOT / "requirements" / name).read_text().splitlines() if "==" in line}
        for name in ("main.txt", "dev.txt")
    )
    assert main <= dev
