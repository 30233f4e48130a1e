from pathlib import Path

import pytest

from tests.cvmfs.check.workbench import Workbench
from tests.cvmfs.conftest import GoldenRepository, KeyFolder, _key_folder


@pytest.fixture(scope="session")
def golden_keys(golden: GoldenRepository, tmp_path_factory: pytest.TempPathFactory) -> KeyFolder:
    """Keys of our own for the reference repository's name."""
    return _key_folder(tmp_path_factory.mktemp("golden-keys"), golden.fqrn)


@pytest.fixture
def bench(golden: GoldenRepository, golden_keys: KeyFolder, tmp_path: Path) -> Workbench:
    return Workbench(golden, tmp_path / "repository", golden_keys)
