"""The rooms of the house: what may import what, and how large a file grows."""

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "fondaco"
MAX_LINES = 400

MAY_IMPORT: dict[str, set[str]] = {
    "cvmfs": set(),
    "backends": set(),
    "audit": {"backends"},
    "software": {"cvmfs", "backends", "audit"},
    "transfer": {"backends", "audit"},
    "lake": {"backends", "audit", "transfer"},
    "web": {"cvmfs", "backends", "audit", "software", "transfer", "lake"},
    "local": {"cvmfs", "backends", "audit", "software", "transfer", "lake", "web"},
    "cli": {"cvmfs", "backends", "audit", "software", "transfer", "lake", "web", "local"},
}
ROOMS = sorted(path.name for path in SOURCE.iterdir() if path.is_dir() and any(path.rglob("*.py")))


def rooms_imported_by(room: str) -> set[str]:
    names = set()
    for file in (SOURCE / room).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{file}: imports are absolute"
                names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name.split(".")[1] for name in names if name.startswith("fondaco.")} & set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_what_it_may(room: str) -> None:
    assert rooms_imported_by(room) - {room} <= MAY_IMPORT[room]


def test_every_room_is_in_the_import_contract() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = " ".join(next(contract for contract in contracts if contract["id"] == "rooms")["layers"])
    assert set(ROOMS) <= set(layers.replace("(", " ").replace(")", " ").split())


@pytest.mark.parametrize("tree", ["src", "tests", "bench", "scripts"])
def test_no_file_is_too_long(tree: str) -> None:
    files = (file for suffix in ("*.py", "*.sh") for file in (ROOT / tree).rglob(suffix))
    lengths = {str(file.relative_to(ROOT)): len(file.read_text().splitlines()) for file in files}
    assert {name: lines for name, lines in lengths.items() if lines >= MAX_LINES} == {}
