"""The real S3 servers, each started once per test run.

`seaweedfs` and `ceph_rgw` are one server each; a test with `s3_server` runs on both, and `bucket` is a new one there.
"""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.config import Config

from fondaco.local.weed import SeaweedFS
from tests.integration.ceph import ceph_server
from tests.integration.shared import S3Server, shared_server


@contextmanager
def _seaweedfs_server(folder: Path) -> Generator[S3Server, None, None]:
    with SeaweedFS(folder) as weed:
        yield S3Server(name="seaweedfs", endpoint=weed.endpoint, access_key=weed.access_key, secret_key=weed.secret_key)


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder of this test run, the same for all its workers."""
    base = tmp_path_factory.getbasetemp()
    return base if worker_id == "master" else base.parent


@pytest.fixture(scope="session")
def seaweedfs(run_folder: Path) -> Generator[S3Server, None, None]:
    folder = run_folder / "seaweedfs"
    with shared_server(folder, lambda: _seaweedfs_server(folder / uuid4().hex)) as server:
        yield server


@pytest.fixture(scope="session")
def ceph_rgw(run_folder: Path) -> Generator[S3Server, None, None]:
    folder = run_folder / "ceph"
    with shared_server(folder, lambda: ceph_server(folder / uuid4().hex)) as server:
        yield server


@pytest.fixture(scope="session", params=["seaweedfs", pytest.param("ceph_rgw", marks=pytest.mark.ceph)])
def s3_server(request: pytest.FixtureRequest) -> S3Server:
    """Each of the S3 servers in turn: what is tested with this holds for all of them."""
    server: S3Server = request.getfixturevalue(request.param)
    return server


def stock_s3_client(server: S3Server) -> Any:
    """The AWS SDK's client: what a user's tool sends, we did not write."""
    return boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        region_name=server.region,
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 2}),
    )


@pytest.fixture
def s3_client(s3_server: S3Server) -> Any:
    return stock_s3_client(s3_server)


@pytest.fixture
def bucket(s3_client: Any) -> str:
    """A new, empty bucket on `s3_server`."""
    name = f"test-{uuid4().hex[:16]}"
    s3_client.create_bucket(Bucket=name)
    return name
