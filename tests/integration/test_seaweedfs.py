"""SeaweedFS in a folder: private, on loopback, never an orphan, and the same again after a kill."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import obstore
import pytest
from obstore.exceptions import PermissionDeniedError

from fondaco.errors import ExitCode
from fondaco.local.errors import FolderInUseError, ServiceFailedError
from fondaco.local.weed import SeaweedFS, WebhookTarget

DEADLINE_SECONDS = 30.0


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    wake = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        wake.wait(0.02)


def running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return not state.startswith("Z")


class Receiver:
    """A webhook's other end: keeps each event's authorization and key."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []
        events = self.events

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                events.append((self.headers["Authorization"], event["key"]))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hooks/s3"


@pytest.fixture
def receiver() -> Generator[Receiver, None, None]:
    receiver = Receiver()
    thread = threading.Thread(target=receiver.server.serve_forever)
    thread.start()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()
    thread.join()


def test_each_change_reaches_the_webhook_with_its_token(tmp_path: Path, receiver: Receiver) -> None:
    target = WebhookTarget(url=receiver.url, token='quote"and\\slash')
    with SeaweedFS(tmp_path, webhook=target, buckets=["software"]) as s3:
        obstore.put(s3.store("software"), "cvmfs/a", b"1")
        expected = ('Bearer quote"and\\slash', "/buckets/software/cvmfs/a")
        wait_for(lambda: expected in receiver.events)
    assert "quote" not in repr(target)


def test_what_was_acknowledged_is_there_after_stop_and_start(tmp_path: Path) -> None:
    with SeaweedFS(tmp_path, buckets=["software"]) as first:
        obstore.put(first.store("software"), "kept", b"value")
        endpoint, keys = first.endpoint, (first.access_key, first.secret_key)
    with SeaweedFS(tmp_path) as second:
        assert obstore.get(second.store("software"), "kept").bytes() == b"value"
        assert (second.endpoint, (second.access_key, second.secret_key)) == (endpoint, keys)


def test_nobody_else_can_read_its_files_or_reach_its_ports(tmp_path: Path) -> None:
    with SeaweedFS(tmp_path) as s3:
        for name in ("s3.json", "notification.toml", "weed.log"):
            assert (tmp_path / name).stat().st_mode & 0o077 == 0, name
        own = listening_addresses(s3.pid or 0)
    assert own
    assert {address for address, _port in own} == {"0100007F"}  # 127.0.0.1 in the kernel's notation


def listening_addresses(pid: int) -> set[tuple[str, str]]:
    links = [str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir() if entry.is_symlink()]
    sockets = {link.removeprefix("socket:[").rstrip("]") for link in links if link.startswith("socket:[")}
    rows = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
    ]
    listening = [row[1].split(":") for row in rows if row[3] == "0A" and row[9] in sockets]
    return {(address, port) for address, port in listening}


def test_strangers_get_nothing(tmp_path: Path) -> None:
    with SeaweedFS(tmp_path, buckets=["software"]) as s3:
        obstore.put(s3.store("software"), "secret", b"value")
        s3.secret_key = "wrong" * 8
        with pytest.raises(PermissionDeniedError):
            obstore.get(s3.store("software"), "secret")


def test_it_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib; from fondaco.local.weed import SeaweedFS\n"
        "s3 = SeaweedFS(pathlib.Path(sys.argv[1])); s3.start(); print(s3.pid, flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        server = int(owner.stdout.readline())
        assert running(server)
        owner.send_signal(signal.SIGKILL)
    wait_for(lambda: not running(server))
    with SeaweedFS(tmp_path) as again:  # nothing that it left behind is in the way
        assert again.pid != server


def test_a_folder_has_one_owner(tmp_path: Path) -> None:
    with SeaweedFS(tmp_path), pytest.raises(FolderInUseError) as caught:
        SeaweedFS(tmp_path).start()
    assert caught.value.exit_code is ExitCode.CONFLICT


def test_a_server_that_cannot_run_says_why(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the server needs a folder")
    with pytest.raises(FileExistsError):
        SeaweedFS(tmp_path).start()
    (tmp_path / "data").unlink()
    (tmp_path / "s3.json").write_text(
        '{"identities": [{"credentials": [{"accessKey": "a", "secretKey": "b"}], "actions": 7}]}'
    )
    with pytest.raises(ServiceFailedError, match="weed"):
        SeaweedFS(tmp_path).start()


def test_a_second_start_takes_other_ports_when_its_own_are_taken(tmp_path: Path) -> None:
    with SeaweedFS(tmp_path, buckets=["software"]) as first:
        obstore.put(first.store("software"), "kept", b"value")
        taken = int(first.endpoint.rpartition(":")[2])
    with ThreadingHTTPServer(("127.0.0.1", taken), BaseHTTPRequestHandler), SeaweedFS(tmp_path) as second:
        assert second.endpoint != first.endpoint
        assert obstore.get(second.store("software"), "kept").bytes() == b"value"
