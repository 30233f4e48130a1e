"""A real mount for tests, through the command, that is gone at the end whatever happens."""

import functools
import http.server
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fondaco.cvmfs import keys
from tests.cvmfs.repositories import FQRN, Clock, Place

DEADLINE_SECONDS = 60.0


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Return once *condition* holds."""
    end = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < end, f"still not: {what}"
        time.sleep(0.01)


def new_place(folder: Path) -> Place:
    """An empty repository that is valid now."""
    keys.generate(folder / "keys", FQRN)
    return Place(folder / "repository", folder / "keys", clock=Clock(time.time())).create()


class Web:
    """A repository's folder behind a plain web server that can go away and come back on the same port."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = 0
        self._server: http.server.ThreadingHTTPServer | None = None

    def start(self) -> str:
        """Serve; the address."""
        self._server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", self._port), functools.partial(_Quiet, directory=str(self._folder))
        )
        self._port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return f"http://127.0.0.1:{self._port}"

    def stop(self) -> None:
        """Refuse connections from now on."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """The tests' output is for failures."""


@dataclass
class Mounted:
    """A mount and the process that serves it."""

    top: Path
    cache: Path
    process: subprocess.Popen[bytes]
    log: Path

    def look_now(self) -> None:
        """Have it look for a new revision."""
        self.process.send_signal(signal.SIGHUP)

    def attribute(self, name: str, path: str = "") -> str:
        return os.getxattr(self.top / path, f"user.{name}").decode()


def command(place: Place, top: Path, cache: Path, *options: str, url: str | None = None) -> list[str]:
    pubkey = place.key_folder / f"{FQRN}.pub"
    start = [sys.executable, "-m", "fondaco", "cvmfs", "mount", url or place.folder.as_uri(), str(top)]
    return [*start, "--pubkey", str(pubkey), "--cache", str(cache), *options]


@contextmanager
def mounted(
    place: Place, folder: Path, *options: str, url: str | None = None, cache: Path | None = None
) -> Generator[Mounted, None, None]:
    """Mount *place* below *folder* for the block."""
    folder.mkdir()
    top, log = folder / "mnt", folder / "log"
    top.mkdir()
    cache = cache or folder / "cache"
    environment = {**os.environ, "SITE": "here"}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command(place, top, cache, *options, url=url), stdout=output, stderr=output, env=environment
        )
    try:
        wait_until(lambda: top.is_mount() or process.poll() is not None, "mounted")
        assert process.poll() is None, log.read_text()
        yield Mounted(top, cache, process, log)
    finally:
        end(process, top)


def end(process: "subprocess.Popen[bytes]", top: Path) -> None:
    """Stop the process, and unmount what it should leave mounted."""
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    unmount(top)


def unmount(top: Path) -> None:
    """Unmount whatever is on *top*, also what its process left behind."""
    subprocess.run(["umount", "-l", top], check=False, capture_output=True)


def is_mounted(top: Path) -> bool:
    return any(line.split()[1] == str(top) for line in Path("/proc/self/mounts").read_text().splitlines())
