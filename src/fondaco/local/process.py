"""Child processes that cannot outlive us, and free ports for them."""

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from fondaco.local import bound_exec
from fondaco.local.errors import ProgramMissingError, ServiceFailedError

LOOPBACK = "127.0.0.1"
LISTEN_PORTS = range(
    20_000, 32_000
)  # below Linux's ephemeral range (32768), so that no outgoing connection takes one meanwhile
POLL_SECONDS = 0.03
LOG_TAIL_LINES = 15


def find_program(name: str, package: str) -> Path:
    """The program that wheel `package` put beside our Python, else the one on PATH."""
    beside = Path(sys.executable).parent / name
    if beside.exists():
        return beside
    found = shutil.which(name)
    if found is None:
        raise ProgramMissingError(f"the program {name} is not installed", hint=f"Install it: pip install {package}")
    return Path(found)


def port_is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_ports(count: int) -> list[int]:
    """Different loopback ports that nobody listens on; random ones, so that two callers hardly ever get the same."""
    chosen: list[int] = []
    for port in random.sample(LISTEN_PORTS, len(LISTEN_PORTS)):
        if len(chosen) == count:
            return chosen
        if port_is_free(port):
            chosen.append(port)
    raise ServiceFailedError("no free port", f"fewer than {count} ports of {LISTEN_PORTS} are free on {LOOPBACK}")


class Child:
    """A program that runs until `stop`, until it ends by itself, or until this process ends in whatever way.

    The kernel ties the child to the *thread* that started it, so that only the main thread may: another one could end
    first and take the child with it.
    """

    def __init__(
        self, command: Sequence[str | Path], *, folder: Path, log: Path, environment: Mapping[str, str]
    ) -> None:
        """Start `command` in `folder` with exactly this environment; its output is appended to `log` (mode 0600)."""
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("a Child must be started from the main thread")
        self.name = Path(command[0]).name
        self.log = log
        wrapped = [sys.executable, "-I", "-S", bound_exec.__file__, str(os.getpid()), *map(str, command)]
        with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as output:
            self._process = subprocess.Popen(
                wrapped,
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C in our terminal is for us; we stop the child
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def verify_running(self) -> None:
        """Raise `ServiceFailedError` when the child has ended by itself."""
        if not self.running:
            raise ServiceFailedError(f"{self.name} ended with code {self._process.returncode}", self.log_tail())

    def wait_until(self, ready: Callable[[], bool], *, seconds: float) -> None:
        """Return when `ready()`; raise `ServiceFailedError` when the child ends first or the time is over."""
        deadline = time.monotonic() + seconds
        while not ready():
            self.verify_running()
            if time.monotonic() > deadline:
                raise ServiceFailedError(f"{self.name} was not ready within {seconds:g} s", self.log_tail())
            time.sleep(POLL_SECONDS)

    def log_tail(self) -> str:
        """The last lines of the child's log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])

    def stop(self, *, politely_seconds: float = 0) -> None:
        """End the child and all its own children: SIGTERM, this long to obey, SIGKILL. Harmless when it has ended."""
        if politely_seconds > 0 and self.running:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(politely_seconds)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def __enter__(self) -> "Child":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
