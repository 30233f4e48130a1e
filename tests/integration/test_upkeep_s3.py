"""Collecting and replicating in buckets of real S3 servers."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from fondaco.cvmfs.check import check
from fondaco.cvmfs.entry import regular
from fondaco.cvmfs.errors import RepositoryBusy, RepositoryMoved
from fondaco.cvmfs.gc.collect import collect
from fondaco.cvmfs.gc.keep import Keep
from fondaco.cvmfs.gc.lease import SweepLease
from fondaco.cvmfs.keys import KeyFileSigner, generate
from fondaco.cvmfs.publisher import Publisher
from fondaco.cvmfs.replicate.snapshot import replicate
from fondaco.cvmfs.repository import Repository
from fondaco.cvmfs.stores.base import SWEEP
from fondaco.cvmfs.stores.s3 import S3Store
from tests.integration.shared import S3Server
from tests.integration.test_s3_store import open_bucket

FQRN = "bucket.example.org"


@pytest.fixture
def store(s3_server: S3Server, bucket: str) -> S3Store:
    return open_bucket(s3_server, bucket, "origin")


@pytest.fixture
def publisher(tmp_path: Path, store: S3Store) -> Publisher:
    generate(tmp_path, FQRN)
    signer = KeyFileSigner(tmp_path, FQRN)
    publisher = Publisher(store=store, fqrn=FQRN, signer=signer, public_keys=(signer.public_key,))
    publisher.create(signer)
    for number in range(4):
        publish(publisher, b"%d" % number)
    return publisher


def publish(publisher: Publisher, data: bytes) -> None:
    with publisher.transaction() as transaction:
        transaction.put("/file", regular("file", transaction.store_whole(data)))
        transaction.commit()


def assert_shows(store: S3Store, publisher: Publisher, data: bytes) -> None:
    report = check(store, publisher.public_keys, content=True, now=datetime.now(UTC))
    assert report.clean, [str(found) for found in report.findings]
    assert Repository.open(store, public_keys=publisher.public_keys).head.read("/file") == data


def test_a_bucket_is_collected_beside_publishers(publisher: Publisher, store: S3Store) -> None:
    before = set(store.list("data"))
    with publisher.transaction() as late:
        late.put("/file", regular("file", late.store_whole(b"0")))
        done = collect(publisher, Keep())
        with pytest.raises(RepositoryMoved):
            late.commit()
    assert done.objects_removed == len(before - set(store.list("data"))) > 4
    assert not store.exists(SWEEP)
    assert_shows(store, publisher, b"3")
    publish(publisher, b"0")
    assert_shows(store, publisher, b"0")


def test_publishers_wait_while_objects_are_removed(publisher: Publisher, store: S3Store) -> None:
    lease = SweepLease.take(store, publisher.options.clock)
    with pytest.raises(RepositoryBusy):
        publish(publisher, b"x")
    with pytest.raises(RepositoryBusy):
        SweepLease.take(store, publisher.options.clock)
    lease.end()
    publish(publisher, b"x")


def test_a_bucket_is_replicated_into_another(
    publisher: Publisher, store: S3Store, s3_server: S3Server, bucket: str
) -> None:
    replica = open_bucket(s3_server, bucket, "replica")
    replicate(store, replica, FQRN, publisher.public_keys)
    assert_shows(replica, publisher, b"3")
    publish(publisher, b"new")
    collect(publisher, Keep())
    replicate(store, replica, FQRN, publisher.public_keys)
    assert_shows(replica, publisher, b"new")
