"""A real bucket becomes a repository: on every S3 server, and through the whole service with SeaweedFS's own events."""

import gzip
import io
import json
import os
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from fondaco.backends.s3 import S3Bucket
from fondaco.backends.s3_wire import S3Access
from fondaco.cvmfs import keys
from fondaco.cvmfs.errors import CvmfsError
from fondaco.cvmfs.publisher import Publisher
from fondaco.cvmfs.repository import Repository
from fondaco.cvmfs.stores.local import LocalStore
from fondaco.local.process import free_ports
from fondaco.local.weed import SeaweedFS, WebhookTarget
from fondaco.software.ledger import Ledger
from fondaco.software.sync import Sync
from tests.integration.conftest import stock_s3_client
from tests.integration.shared import S3Server

FQRN = "bucket.example.org"
DEADLINE_SECONDS = 60.0
TOKEN = "shared with the store"


class Place:
    """A repository in a folder."""

    def __init__(self, folder: Path) -> None:
        self.keys, self.store = folder / "keys", folder / "repository"
        keys.generate(self.keys, FQRN)
        self.signer = keys.KeyFileSigner(self.keys, FQRN)
        self.publisher = Publisher(
            store=LocalStore.create(self.store),
            fqrn=FQRN,
            signer=self.signer,
            public_keys=(self.signer.public_key,),
        )
        self.publisher.create(self.signer)

    def open(self, url: str | None = None) -> Repository:
        return Repository.open(url or self.store.as_uri(), public_keys=[self.signer.public_key], fqrn=FQRN)

    def files(self, url: str | None = None) -> dict[str, bytes]:
        """Every file through the verified chain, links as "-> target", directories without content."""
        shown: dict[str, bytes] = {}
        head = self.open(url).head
        for path, entry in head.walk():
            if entry.is_regular:
                shown[path] = head.read(path)
            elif entry.is_symlink:
                shown[path] = f"-> {entry.symlink}".encode()
        return shown


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def sync(s3_server: S3Server, bucket: str, place: Place, tmp_path: Path) -> Generator[Sync, None, None]:
    access = S3Access(
        endpoint=s3_server.endpoint,
        region=s3_server.region,
        access_key=s3_server.access_key,
        secret_key=s3_server.secret_key,
    )
    source = S3Bucket(bucket, access, retries=1, retry_seconds=5)
    with Ledger(tmp_path / "ledger", FQRN) as ledger, Sync(source, place.publisher, ledger) as made:
        yield made


def test_a_bucket_and_its_repository_are_the_same(sync: Sync, place: Place, s3_client: Any, bucket: str) -> None:
    def put(key: str, body: bytes, **more: Any) -> None:
        s3_client.put_object(Bucket=bucket, Key=f"cvmfs/{key}", Body=body, **more)

    packed = gzip.compress(b"packed" * 100)
    large = os.urandom(1 << 20) * 17  # more than the longest chunk
    put("a b+c%2F&é", b"name")
    put("bin/tool", b"#!/bin/sh\n")
    put("bin/told", b"x", Metadata={"mode": "33256", "mtime": "1704067200", "uid": "7", "gid": "8"})
    put("link.rclonelink", b"bin/tool")
    put("packed.gz", packed, ContentEncoding="gzip")
    put("large", large)
    put("empty/", b"")
    put("zero", b"")
    s3_client.put_object(Bucket=bucket, Key="data/secret.bin", Body=b"secret")
    outcome = sync.sweep()
    assert outcome.revision == 2
    assert place.files() == {
        "/a b+c%2F&é": b"name",
        "/bin/tool": b"#!/bin/sh\n",
        "/bin/told": b"x",
        "/link": b"-> bin/tool",
        "/packed.gz": packed,
        "/large": large,
        "/zero": b"",
    }
    head = place.open().head
    told = head.lookup("/bin/told")
    assert (told.mode & 0o777, told.mtime_ns, told.uid, told.gid) == (0o750, 1704067200_000000000, 7, 8)
    assert head.lookup("/bin/tool").mode & 0o777 == 0o755
    assert head.lookup("/large").is_chunked
    assert head.lookup("/empty").is_dir
    assert sync.sweep().plan.is_empty

    put("bin/tool", b"#!/bin/bash\n")
    s3_client.delete_object(Bucket=bucket, Key="cvmfs/large")
    changed = sync.run_once(["cvmfs/bin/tool", "cvmfs/large", "cvmfs/none", "cvmfs/empty/"])
    assert (changed.revision, changed.is_sweep) == (3, False)
    assert place.files()["/bin/tool"] == b"#!/bin/bash\n"
    assert "/large" not in place.files()
    assert sync.sweep().plan.is_empty


def test_k7_a_file_above_other_keys_on_a_real_store(sync: Sync, place: Place, s3_client: Any, bucket: str) -> None:
    for key in ("a", "a/b", "c"):
        s3_client.put_object(Bucket=bucket, Key=f"cvmfs/{key}", Body=key.encode())
    sync.sweep()
    assert place.files() == {"/a/b": b"a/b", "/c": b"c"}
    assert [row.key for row in sync.ledger.refusals()] == ["cvmfs/a"]
    s3_client.delete_object(Bucket=bucket, Key="cvmfs/a/b")
    sync.run_once(["cvmfs/a/b"])
    assert place.files() == {"/a": b"a", "/c": b"c"}
    assert sync.sweep().plan.is_empty


def test_archives_on_a_real_store(sync: Sync, place: Place, s3_client: Any, bucket: str) -> None:
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w:gz") as archive:
        member = tarfile.TarInfo("bin/run")
        member.size = 300_000
        archive.addfile(member, io.BytesIO(b"r" * 300_000))
    settings = b'[[unpack]]\narchive = "dist/*"\ninto = "sw/{name}"\n'
    s3_client.put_object(Bucket=bucket, Key="cvmfs/.fondaco.toml", Body=settings)
    s3_client.put_object(Bucket=bucket, Key="cvmfs/dist/tool.tgz", Body=memory.getvalue())
    sync.sweep()
    assert place.files() == {"/sw/tool/bin/run": b"r" * 300_000}


# -- the command -------------------------------------------------------------------------------------------------------


def wait_for(condition: Callable[[], object]) -> None:
    deadline, pause = time.monotonic() + DEADLINE_SECONDS, threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        pause.wait(0.05)


def command(place: Place, ledger: Path, server: S3Server | SeaweedFS, *more: str) -> tuple[list[str], dict[str, str]]:
    program = "from fondaco.cli.sync import app; app()"
    options = ["--bucket", "s3://repo", "--store", place.store.as_uri(), "--keys", str(place.keys)]
    words = [sys.executable, "-c", program, FQRN, *options, "--ledger", str(ledger), "--endpoint", server.endpoint]
    environment = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": server.access_key,
        "AWS_SECRET_ACCESS_KEY": server.secret_key,
        "FONDACO_HOOK_TOKEN": TOKEN,
    }
    return [*words, *more], environment


@contextmanager
def running(words: list[str], environment: dict[str, str]) -> Generator[subprocess.Popen[str], None, None]:
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_the_command_follows_a_bucket_until_it_is_told_to_stop(place: Place, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    webhook = WebhookTarget(url=f"http://127.0.0.1:{port}/hooks/s3", token=TOKEN, path_prefixes=("/buckets/repo/",))
    with SeaweedFS(tmp_path / "s3", webhook=webhook, buckets=["repo"]) as weed:
        server = S3Server(
            name="seaweedfs", endpoint=weed.endpoint, access_key=weed.access_key, secret_key=weed.secret_key
        )
        client = stock_s3_client(server)
        client.put_object(Bucket="repo", Key="cvmfs/before", Body=b"1")
        words, environment = command(place, tmp_path / "ledger", weed, "--listen", f"127.0.0.1:{port}", "--json")
        public = f"http://127.0.0.1:{port}/cvmfs/{FQRN}"

        def shows(path: str, content: bytes | None) -> bool:
            try:
                return place.files(public).get(path) == content
            except CvmfsError:
                return False

        with running(words, environment) as process:
            wait_for(lambda: shows("/before", b"1"))
            client.put_object(Bucket="repo", Key="cvmfs/d/after", Body=b"2")
            wait_for(lambda: shows("/d/after", b"2"))
            client.delete_object(Bucket="repo", Key="cvmfs/before")
            wait_for(lambda: shows("/before", None))
            with Ledger(tmp_path / "ledger", FQRN) as ledger:
                wait_for(lambda: ledger.timeline(most=1)[0][1].visible_at)
            process.terminate()
            assert process.wait(DEADLINE_SECONDS) == 0
            assert process.stdout is not None
            told = [json.loads(line) for line in process.stdout if line.startswith("{")]
        revisions = [one["revision"] for one in told if one["revision"]]
        assert revisions == sorted(revisions)
        assert {path for path in place.files() if path.startswith("/")} == {"/d/after"}

        client.put_object(Bucket="repo", Key="cvmfs/bad//name", Body=b"")
        client.put_object(Bucket="repo", Key="cvmfs/.cvmfspublished", Body=b"")
        words, environment = command(place, tmp_path / "ledger", weed, "--once")
        done = subprocess.run(
            words, env=environment, capture_output=True, text=True, check=True, timeout=DEADLINE_SECONDS
        )
        assert "refused: cvmfs/.cvmfspublished: the name belongs to CernVM-FS itself" in done.stdout
