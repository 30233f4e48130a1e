"""`fondaco demo` as people run it: what it says, what it leaves behind, and how it fails."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import sysconfig
import time
import urllib.request
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from fondaco.local.demo_tree import ENOUGH_FILES

PATIENCE_SECONDS = 120.0  # for what takes a second or two on an idle machine
MOMENTS = ("uploaded", "seen", "published", "visible")


class Demo:
    """The command in a process of its own; everything it makes lies in `folder`."""

    def __init__(self, folder: Path, *options: str, python: str = sys.executable, **environment: str) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [python, "-m", "fondaco", "demo", "--folder", str(folder), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "HOME": str(folder), **environment},
            text=True,
            start_new_session=True,
        )

    def end(self) -> tuple[int, str, str]:
        """Exit code, stdout and stderr; no process may be left."""
        out, err = self.process.communicate(timeout=PATIENCE_SECONDS)
        assert self.others() == []
        return self.process.returncode, out, err

    def others(self) -> list[int]:
        """Processes that the command started: those of its session, and services, which work in the folder."""
        found = []
        for pid in (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()):
            with contextlib.suppress(OSError):  # ended meanwhile
                if pid != self.process.pid and (os.getsid(pid) == self.process.pid or self.serves(pid)):
                    found.append(pid)
        return found

    def serves(self, pid: int) -> bool:
        return Path(os.readlink(f"/proc/{pid}/cwd")).is_relative_to(self.folder)

    def until(self, happened: Callable[[], object]) -> None:
        """Wait for a condition, or fail when the command ends first."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not happened():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def until_services_run(self) -> None:
        self.until(lambda: any(self.folder.glob("*/tree/lib")))


@pytest.fixture
def started(tmp_path: Path) -> Generator[Callable[..., Demo], None, None]:
    demos = []

    def start(*options: str, **more: str) -> Demo:
        demos.append(Demo(tmp_path, *options, **more))
        return demos[-1]

    yield start
    for demo in demos:
        if demo.process.poll() is None:
            demo.process.kill()
            demo.process.communicate()


def test_people_see_the_way_of_their_files(started: Callable[..., Demo]) -> None:
    demo = started()
    code, out, err = demo.end()
    assert (code, err) == (0, "")
    assert list(demo.folder.iterdir()) == []
    assert "\x1b" not in out
    assert [line for line in out.splitlines() if len(line) > 80 and str(demo.folder) not in line] == []
    for word in (*MOMENTS, "first upload", "changes", "byte for byte", "no problem found", "CVMFS_SERVER_URL="):
        assert word in out


def test_machines_get_a_report_and_keep_serves_on(started: Callable[..., Demo]) -> None:
    demo = started("--json", "--keep")
    assert demo.process.stdout is not None
    report = read_object(demo.process.stdout)
    check_report(report)
    assert (
        json.loads(fetch(report["repository_url"] + "/.cvmfspublished").split(b"\nS")[1].split(b"\n")[0])
        == (report["rounds"][-1]["revision"])
    )
    check = [sys.executable, "-m", "fondaco", "cvmfs", "check", report["repository_url"], "--content"]
    checked = subprocess.run(
        [*check, "--pubkey", report["public_key_file"]], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    demo.process.send_signal(signal.SIGINT)
    code, out, err = demo.end()
    assert (code, out, err) == (0, "", "")
    assert Path(report["folder"]).parent == demo.folder
    assert Path(report["public_key_file"]).is_file()


def check_report(report: dict[str, Any]) -> None:
    first, second = report["rounds"]
    assert second["revision"] > first["revision"] > 1
    assert first["objects"] >= ENOUGH_FILES
    for one in (first, second):
        assert 0 < one["uploaded"] <= one["visible"]
        assert one["seen"] <= one["published"] <= one["visible"]
    assert report["verified"]["files"] >= ENOUGH_FILES
    assert report["verified"]["links"] >= 3
    assert report["verified"]["executables"] >= 1
    assert report["total_seconds"] > report["verify_seconds"] > 0


def read_object(stream: Any) -> dict[str, Any]:
    """The one JSON object that the stream begins with; the command runs on."""
    text = ""
    for line in stream:
        text += line
        if line == "}\n":
            found: dict[str, Any] = json.loads(text)
            return found
    raise AssertionError(text)


def fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=PATIENCE_SECONDS) as answer:  # noqa: S310 - our own loopback address
        content: bytes = answer.read()
        return content


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 128 + signal.SIGTERM), (signal.SIGHUP, 128 + 1)]
)
def test_an_interrupted_demo_leaves_nothing(started: Callable[..., Demo], number: signal.Signals, code: int) -> None:
    demo = started()
    demo.until_services_run()
    assert demo.others() != []
    demo.process.send_signal(number)
    assert demo.end()[0] == code
    assert list(demo.folder.iterdir()) == []


def test_without_its_object_store_it_says_what_to_install(started: Callable[..., Demo], tmp_path: Path) -> None:
    """A Python beside which no `weed` lies, and none on PATH."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "python").symlink_to(Path(sys.executable).resolve())
    packages = os.pathsep.join((sysconfig.get_path("purelib"), str(Path(__file__).parents[2] / "src")))
    demo = started("--json", python=str(programs / "python"), PYTHONPATH=packages, PATH=str(programs))
    code, out, err = demo.end()
    assert (code, out) == (6, "")
    error = json.loads(err)["error"]
    assert error["type"] == "ProgramMissingError"
    assert "pip install" in error["hint"]
    assert [entry.name for entry in demo.folder.iterdir()] == ["bin"]


def test_an_object_store_that_dies_is_an_error(started: Callable[..., Demo]) -> None:
    demo = started()
    demo.until_services_run()
    services = [pid for pid in demo.others() if demo.serves(pid)]
    assert len(services) == 1
    os.kill(services[0], signal.SIGKILL)
    code, _, err = demo.end()
    assert code == 6
    assert err.startswith("fondaco: weed ended")
    assert list(demo.folder.iterdir()) == []
