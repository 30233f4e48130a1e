"""Shared by the tests of the repository format: the reference repository, and keys that are slow to make."""

import json
import tarfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from fondaco.cvmfs import keys

GOLDEN = Path(__file__).parent.parent / "data" / "golden"


@dataclass(frozen=True, kw_only=True)
class GoldenRepository:
    """A repository that the reference tools wrote; see tests/data/golden/README.md."""

    root: Path  # unpacked; read only, it is shared by all tests
    fqrn: str
    public_key: bytes  # PEM
    valid_at: datetime  # while its whitelist holds
    expected: dict[str, object]  # expected.json


@pytest.fixture(scope="session")
def golden(tmp_path_factory: pytest.TempPathFactory) -> GoldenRepository:
    expected = json.loads((GOLDEN / "expected.json").read_text())
    fqrn = expected["repository"]
    folder = tmp_path_factory.mktemp("golden")
    with tarfile.open(GOLDEN / f"{fqrn}.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return GoldenRepository(
        root=folder / fqrn,
        fqrn=fqrn,
        public_key=(GOLDEN / f"{fqrn}.pub").read_bytes(),
        valid_at=datetime.fromisoformat(expected["valid_at"]),
        expected=expected,
    )


@dataclass(frozen=True, kw_only=True)
class KeyFolder:
    """Keys of a repository, made once for all tests; read only."""

    path: Path
    fqrn: str
    signer: keys.KeyFileSigner


def _key_folder(path: Path, fqrn: str) -> KeyFolder:
    keys.generate(path, fqrn)
    return KeyFolder(path=path, fqrn=fqrn, signer=keys.KeyFileSigner(path, fqrn))


@pytest.fixture(scope="session")
def key_folder(tmp_path_factory: pytest.TempPathFactory) -> KeyFolder:
    return _key_folder(tmp_path_factory.mktemp("keys"), "test.example.org")


@pytest.fixture(scope="session")
def other_keys(tmp_path_factory: pytest.TempPathFactory) -> KeyFolder:
    """Keys of the same repository name that clients were not configured with."""
    return _key_folder(tmp_path_factory.mktemp("other"), "test.example.org")
