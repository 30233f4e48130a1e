"""A skipped test fails the run in CI, also when xdist runs it, and pytest's own summary stays the last line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"
ONE_TEST = "import pytest\n@pytest.mark.skip(reason='no server')\ndef test_it(): pass\ndef test_other(): pass\n"
WHOLE_MODULE = "import pytest\npytest.importorskip('no_such_module_here')\n"
EXPECTED_FAILURE = "import pytest\n@pytest.mark.xfail(reason='known')\ndef test_it(): assert False\n"


@pytest.mark.parametrize(
    ("program", "ci", "workers", "code"),
    [
        (ONE_TEST, "true", "1", 1),
        (WHOLE_MODULE, "true", "1", 1),
        (ONE_TEST, "true", "0", 1),
        (ONE_TEST, "", "0", 0),
        (EXPECTED_FAILURE, "true", "0", 0),
    ],
)
def test_a_skip_fails_the_run_in_ci_only(tmp_path: Path, program: str, ci: str, workers: str, code: int) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST.read_text())
    (tmp_path / "test_sample.py").write_text(program)
    (tmp_path / "test_passing.py").write_text("def test_passing(): pass\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "xdist", "-n", workers, "-p", "no:cacheprovider"]
    command += ["--basetemp", str(tmp_path / "inner")]  # else it removes the folders of earlier runs: up to 30 s
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "CI"))}
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**environment, "CI": ci, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "passed" in done.stdout.splitlines()[-1]
    assert ("skipped in CI" in done.stdout) is (code == 1)
