"""Ceph's S3 gateway from Debian's packages, in a folder, on loopback: monitor, OSD in memory, radosgw. Needs root.

The daemons run in the foreground (`-f`) as our children, so that they end with us. The web server is civetweb: with the
default one, beast, release 16.2 can abort on DeleteObjects in a bucket that has notifications.
"""

import os
import secrets
import subprocess
import uuid
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from fondaco.local.process import LOOPBACK, Child, free_ports
from tests.integration.shared import S3Server

READY_SECONDS = 120.0  # radosgw takes 9 s to make its pools on an idle machine with two cores
COMMAND_SECONDS = 60.0

CONFIGURATION = """\
[global]
fsid = {fsid}
mon_host = v2:127.0.0.1:{mon_port}
mon_initial_members = a
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_ipv6 = false
auth_allow_insecure_global_id_reclaim = false
keyring = {folder}/keyring
run_dir = {folder}/run
admin_socket = {folder}/run/$name.asok
pid_file = {folder}/run/$name.pid
log_file = {folder}/log/$name.log
log_to_stderr = false
err_to_stderr = true
mon_cluster_log_file = {folder}/log/cluster.log
crash_dir = {folder}/crash
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 4
osd_pool_default_pgp_num = 4
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
mon_data_avail_crit = 1
mon_data_avail_warn = 2
mon_warn_on_pool_no_redundancy = false
rgw_rados_pool_pg_num_min = 4
[mon]
mon_data = {folder}/mon/$id
[osd]
osd_data = {folder}/osd/$id
osd_objectstore = memstore
memstore_device_bytes = 4294967296
osd_class_load_list = *
osd_class_default_list = *
[client.rgw.a]
rgw_frontends = civetweb port=127.0.0.1:{s3_port}
rgw_enable_usage_log = false
rgw_thread_pool_size = 64
rgw_dns_name = localhost
"""

KEYS = {
    "mon.": {"mon": "allow *"},
    "client.admin": {"mon": "allow *", "osd": "allow *", "mds": "allow *", "mgr": "allow *"},
    "client.rgw.a": {"mon": "allow rwx", "osd": "allow rwx", "mgr": "allow rw"},
    "osd.0": {"mon": "allow profile osd", "osd": "allow *", "mgr": "allow profile osd"},
}


class Ceph:
    """One small cluster; `endpoint` and the keys of its S3 user are known after `start`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mon_port, self.s3_port = free_ports(2)
        self.fsid = str(uuid.uuid4())
        self.access_key = "AK" + secrets.token_hex(9).upper()
        self.secret_key = secrets.token_hex(20)
        self._environment = {**os.environ, "CEPH_CONF": str(folder / "ceph.conf"), "HOME": str(folder)}
        self._children = ExitStack()

    @property
    def endpoint(self) -> str:
        return f"http://{LOOPBACK}:{self.s3_port}"

    def start(self) -> None:
        for name in ("mon/a", "osd/0", "run", "log", "crash"):
            (self.folder / name).mkdir(parents=True)
        fields = {"fsid": self.fsid, "folder": self.folder, "mon_port": self.mon_port, "s3_port": self.s3_port}
        (self.folder / "ceph.conf").write_text(CONFIGURATION.format(**fields))
        self._make_keys()
        self._start_mon()
        self._start_osd()
        gateway = self._daemon("radosgw", "-n", "client.rgw.a")
        gateway.wait_until(self._answers, seconds=READY_SECONDS)
        user = ["user", "create", "--uid=tests", "--display-name=tests"]
        self._run("radosgw-admin", *user, f"--access-key={self.access_key}", f"--secret-key={self.secret_key}")

    def stop(self) -> None:
        self._children.close()

    def _make_keys(self) -> None:
        keyring = str(self.folder / "keyring")
        for name, caps in KEYS.items():
            options = [word for service, cap in caps.items() for word in ("--cap", service, cap)]
            create = [] if Path(keyring).exists() else ["--create-keyring"]
            self._run("ceph-authtool", *create, keyring, "--gen-key", "-n", name, *options)

    def _start_mon(self) -> None:
        monmap = str(self.folder / "monmap")
        address = f"[v2:{LOOPBACK}:{self.mon_port}]"
        self._run("monmaptool", "--create", "--fsid", self.fsid, "--addv", "a", address, monmap)
        self._run("ceph-mon", "--mkfs", "-i", "a", "--monmap", monmap, "--keyring", str(self.folder / "keyring"))
        self._daemon("ceph-mon", "-i", "a")

    def _start_osd(self) -> None:
        osd_uuid = str(uuid.uuid4())
        self._run("ceph", "--connect-timeout", "30", "osd", "new", osd_uuid, "0")
        self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd_uuid)
        osd = self._daemon("ceph-osd", "-i", "0")
        self._run("ceph", "osd", "crush", "add", "osd.0", "1.0", "root=default", "host=localhost")
        osd.wait_until(lambda: "1 up" in self._run("ceph", "osd", "stat"), seconds=READY_SECONDS)

    def _daemon(self, program: str, *arguments: str) -> Child:
        command = [f"/usr/bin/{program}", "-f", "-c", str(self.folder / "ceph.conf"), *arguments]
        log = self.folder / f"{program}.out"
        child = Child(command, folder=self.folder, log=log, environment=self._environment)
        return self._children.enter_context(child)

    def _run(self, program: str, *arguments: str) -> str:
        command: Sequence[str] = [program, *arguments]
        done = subprocess.run(
            command, env=self._environment, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False
        )
        if done.returncode != 0:
            raise AssertionError(f"{' '.join(command)}: {done.stderr}")
        return done.stdout

    def _answers(self) -> bool:
        try:
            urlopen(self.endpoint, timeout=5).close()  # noqa: S310 - our own http address
        except HTTPError as answer:
            return answer.code < 500
        except URLError:
            return False
        return True


@contextmanager
def ceph_server(folder: Path) -> Generator[S3Server, None, None]:
    """A cluster in a new folder, for the length of the block."""
    ceph = Ceph(folder)
    try:
        ceph.start()
        yield S3Server(name="ceph", endpoint=ceph.endpoint, access_key=ceph.access_key, secret_key=ceph.secret_key)
    finally:
        ceph.stop()
