"""That verification sees every kind of difference."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fondaco.cvmfs import keys
from fondaco.cvmfs.repository import Repository
from fondaco.local import demo_tree
from fondaco.local.demo_verify import Verified, differences, entries, verify
from fondaco.local.errors import DemoFailedError
from tests.cvmfs.repositories import FQRN, Place


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "run").write_text("#!/bin/sh\n")
    (folder / "bin" / "run").chmod(0o755)
    (folder / "bin" / "link").symlink_to("run")
    (folder / "data").write_bytes(b"data" * 1000)
    (folder / "data").chmod(0o640)
    return folder


@pytest.fixture(scope="module")
def key_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    keys.generate(folder, FQRN)
    return folder


@pytest.fixture
def repository(tmp_path: Path, key_folder: Path, tree: Path) -> Repository:
    place = Place(tmp_path / "repository", key_folder).create()
    place.publish(tree)
    return Repository.open(
        place.store, public_keys=[place.signer.public_key], now=datetime.fromtimestamp(place.clock.now, UTC)
    )


def progress(*_: int) -> None: ...


def test_an_equal_tree_is_verified(repository: Repository, tree: Path) -> None:
    assert verify(repository.head, tree, progress) == Verified(files=2, links=1, executables=1, bytes=4010)


def edit(file: Path, change: Callable[[Path], object]) -> None:
    """Change a file and leave its time as it was."""
    status = file.stat()
    change(file)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "content": (lambda tree: edit(tree / "data", lambda file: file.write_bytes(b"DATA" * 1000)), "other content"),
    "size": (lambda tree: edit(tree / "data", lambda file: file.write_bytes(b"")), "size 4000 instead of 0"),
    "mode": (lambda tree: (tree / "bin" / "run").chmod(0o700), "mode 755 instead of 700"),
    "time": (lambda tree: os.utime(tree / "data", ns=(0, 1)), "instead of 1"),
    "new": (lambda tree: (tree / "new").write_text(""), "/new is missing"),
    "gone": (lambda tree: (tree / "data").unlink(), "/data should not be there"),
    "target": (
        lambda tree: ((tree / "bin" / "link").unlink(), (tree / "bin" / "link").symlink_to("walk")),
        "/bin/link is no link to 'walk'",
    ),
    "kind": (
        lambda tree: ((tree / "bin" / "link").unlink(), (tree / "bin" / "link").write_text("run")),
        "/bin/link is no file",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_difference_is_found(repository: Repository, tree: Path, name: str) -> None:
    change, text = CHANGES[name]
    change(tree)
    with pytest.raises(DemoFailedError) as caught:
        verify(repository.head, tree, progress)
    assert "1 differences: " in caught.value.why
    assert text in caught.value.why
    wrong = differences(entries(repository.head), demo_tree.items(tree))
    assert len(wrong) == (0 if name == "content" else 1)
