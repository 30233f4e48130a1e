"""The first steps of the README, run as they stand there by a shell; what reads is run again through a web server."""

import functools
import os
import re
import subprocess
import sys
import threading
from collections.abc import Generator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"
SET_UP = ("make setup", "export PATH=")  # done when this test runs
READING = ("fondaco cvmfs ls", "fondaco cvmfs cat", "fondaco cvmfs stat", "fondaco cvmfs check")


def first_steps() -> list[str]:
    section = README.read_text().split("## Your first repository\n")[1].split("\n## ")[0]
    block = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert block is not None
    return block[1].splitlines()


class Silent(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def served(tmp_path: Path) -> Generator[str, None, None]:
    """The folder of the test through a stock web server."""
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Silent, directory=str(tmp_path))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def run(lines: list[str], folder: Path) -> str:
    environment = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(folder)}
    script = "set -euo pipefail\n" + "\n".join(lines)
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout


def test_the_first_steps_work_as_written(tmp_path: Path, served: str) -> None:
    lines = [line for line in first_steps() if not line.startswith(SET_UP)]
    told = run(lines, tmp_path)
    assert "revision 2" in told
    assert "bin/" in told
    assert "echo hello" in told
    assert "no problem found" in told
    reading = [line.replace("file://$PWD", served) for line in lines if line.startswith(READING)]
    assert len(reading) == len(READING)
    assert all(served in line for line in reading)
    through_http = run(reading, tmp_path)
    at_home = run([line for line in lines if line.startswith(READING)], tmp_path)
    assert through_http == at_home.replace(f"file://{tmp_path}", served)


def test_what_is_not_trusted_is_not_shown(tmp_path: Path, served: str) -> None:
    lines = [line for line in first_steps() if not line.startswith(SET_UP)]
    run([line for line in lines if not line.startswith(READING)], tmp_path)
    manifest = tmp_path / "store" / ".cvmfspublished"
    signed = bytearray(manifest.read_bytes())
    signed[-1] ^= 1
    manifest.write_bytes(signed)
    cat = next(line for line in lines if line.startswith("fondaco cvmfs cat")).replace("file://$PWD", served)
    assert "left with 5" in run([f"{cat} 2>&1 || echo left with $?"], tmp_path)
