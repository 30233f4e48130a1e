"""One real server per test run, shared by all xdist workers."""

import contextlib
import fcntl
import json
import socket
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit


@dataclass(frozen=True, kw_only=True)
class S3Server:
    """Where an S3 server is and the keys of a user who may do everything there."""

    name: str
    endpoint: str
    access_key: str
    secret_key: str
    region: str = "us-east-1"


@contextlib.contextmanager
def locked(file: Path, kind: int) -> Generator[None, None, None]:
    """Hold a lock on `file` during the block. The kernel lets go of it when this process dies."""
    with file.open("ab") as handle:
        fcntl.flock(handle, kind)
        yield


@contextlib.contextmanager
def shared_server(
    folder: Path, start: Callable[[], AbstractContextManager[S3Server]]
) -> Generator[S3Server, None, None]:
    """The server in `folder`: the first worker that wants it starts it and, at its own end, waits for the others.

    Users hold a shared lock on `used` while they use the server; its owner stops it only when he gets that lock alone.
    Locks die with their process, and the server with its owner: a killed worker leaves no hanging run and no orphan.
    """
    folder.mkdir(parents=True, exist_ok=True)
    used, turn, address = folder / "used", folder / "turn", folder / "address.json"
    with contextlib.ExitStack() as mine:
        use = mine.enter_context(used.open("ab"))
        owned: contextlib.ExitStack | None = None
        with locked(turn, fcntl.LOCK_EX):
            server = _running(address)
            if server is None:
                owned = mine.enter_context(contextlib.ExitStack())
                server = owned.enter_context(start())
                address.write_text(json.dumps(asdict(server)))
            fcntl.flock(use, fcntl.LOCK_SH)
        try:
            yield server
        finally:
            fcntl.flock(use, fcntl.LOCK_UN)
            if owned is not None:
                _stop_when_unused(used, turn, address, owned)


def _running(address: Path) -> S3Server | None:
    if not address.exists():
        return None
    server = S3Server(**json.loads(address.read_text()))
    where = urlsplit(server.endpoint)
    try:
        socket.create_connection((str(where.hostname), int(where.port or 80)), timeout=5).close()
    except OSError:
        return None
    return server


def _stop_when_unused(used: Path, turn: Path, address: Path, owned: contextlib.ExitStack) -> None:
    while True:
        with locked(used, fcntl.LOCK_EX):
            pass  # everybody let go; a new user may still come before we have the turn
        with locked(turn, fcntl.LOCK_EX), used.open("ab") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            address.unlink()
            owned.close()
            return
