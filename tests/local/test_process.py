"""Children that cannot outlive us."""

import os
import sys
import threading
import time
from pathlib import Path

import pytest

from fondaco.local.errors import ProgramMissingError, ServiceFailedError
from fondaco.local.process import LISTEN_PORTS, Child, find_program, free_ports, port_is_free

STUBBORN = "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); signal.pause()"


def start(folder: Path, program: str) -> Child:
    command = [sys.executable, "-c", program]
    return Child(command, folder=folder, log=folder / "log", environment={"PATH": os.defpath})


def test_a_child_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    child = start(tmp_path, STUBBORN)
    child.wait_until(lambda: "up" in child.log_tail(), seconds=30)
    assert child.running
    child.stop(politely_seconds=0.1)
    assert not child.running
    child.stop()  # again is harmless


def test_a_polite_child_gets_the_time_to_leave(tmp_path: Path) -> None:
    program = (
        "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(print('bye', flush=True)))\n"
        "print('up', flush=True)\nsignal.pause()"
    )
    with start(tmp_path, program) as child:
        child.wait_until(lambda: "up" in child.log_tail(), seconds=30)
        child.stop(politely_seconds=30)
        assert "bye" in child.log_tail()


def test_a_child_that_ends_early_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    with start(tmp_path, "raise SystemExit('no disk')") as child, pytest.raises(ServiceFailedError, match="no disk"):
        child.wait_until(lambda: False, seconds=30)


def test_a_child_that_is_never_ready_is_an_error(tmp_path: Path) -> None:
    with start(tmp_path, STUBBORN) as child, pytest.raises(ServiceFailedError, match="not ready"):
        child.wait_until(lambda: False, seconds=0.1)


def test_a_child_sees_only_the_environment_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not for you")
    with start(tmp_path, "import os; print('AWS', os.environ.get('AWS_SECRET_ACCESS_KEY'), flush=True)") as child:
        with pytest.raises(ServiceFailedError):
            child.wait_until(lambda: False, seconds=30)
        assert "AWS None" in child.log_tail()
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600


def test_its_own_children_end_with_it(tmp_path: Path) -> None:
    program = "import subprocess, sys; p = subprocess.Popen(['sleep', '600']); print(p.pid, flush=True); p.wait()"
    with start(tmp_path, program) as child:
        child.wait_until(lambda: child.log_tail().strip().isdigit(), seconds=30)
        grandchild = int(child.log_tail())
        os.kill(grandchild, 0)
    deadline = time.monotonic() + 30  # the kernel ends it a moment after the signal
    while runs(grandchild):
        assert time.monotonic() < deadline


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_child_must_not_hang_on_a_passing_thread(tmp_path: Path) -> None:
    caught: list[RuntimeError] = []

    def from_a_thread() -> None:
        try:
            start(tmp_path, STUBBORN)
        except RuntimeError as error:
            caught.append(error)

    thread = threading.Thread(target=from_a_thread)
    thread.start()
    thread.join()
    assert "main thread" in str(caught[0])


def test_free_ports_are_free_and_different() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert all(port in LISTEN_PORTS and port_is_free(port) for port in ports)


def test_a_missing_program_is_named_with_the_package_that_brings_it() -> None:
    with pytest.raises(ProgramMissingError, match="pip install some-wheel"):
        find_program("no-such-program-here", "some-wheel")
