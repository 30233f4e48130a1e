"""The bucket on the real S3 servers."""

import zipfile
from io import BytesIO
from typing import Any

import pytest

from fondaco.backends.errors import AccessDenied, BucketMissing, KeyMissing, Unavailable
from fondaco.backends.s3 import S3Bucket
from fondaco.backends.s3_wire import S3Access
from tests.integration.shared import S3Server

AWKWARD = ["cvmfs/a b+c%2F&é", "cvmfs/é\u0301", "cvmfs/😀", "cvmfs/~x", "cvmfs/#?*[]{}'\"<>|", "cvmfs/lib.so.12345678"]


def access(server: S3Server) -> S3Access:
    return S3Access(
        endpoint=server.endpoint, region=server.region, access_key=server.access_key, secret_key=server.secret_key
    )


@pytest.fixture
def s3_bucket(s3_server: S3Server, bucket: str) -> S3Bucket:
    return S3Bucket(bucket, access(s3_server), retries=1, retry_seconds=5)


def test_k6_listing_head_and_get_agree_on_awkward_keys(s3_bucket: S3Bucket, s3_client: Any) -> None:
    for key in AWKWARD:
        s3_client.put_object(Bucket=s3_bucket.name, Key=key, Body=key.encode(), Metadata={"mode": "33188"})
    listed = {info.key: info for info in s3_bucket.list("cvmfs/")}
    assert sorted(listed) == sorted(AWKWARD)
    for key in AWKWARD:
        stream = s3_bucket.open(key)
        assert b"".join(stream) == key.encode()
        head = s3_bucket.head(key)
        assert dict(head.metadata) == {"mode": "33188"}
        for other in (head, stream.info):
            assert (other.key, other.size, other.etag, other.modified) == (
                key,
                listed[key].size,
                listed[key].etag,
                listed[key].modified,
            )


def test_k8_markers_are_told_from_files_and_from_mere_directories(s3_bucket: S3Bucket, s3_client: Any) -> None:
    s3_client.put_object(Bucket=s3_bucket.name, Key="cvmfs/marked/", Body=b"")
    for key in ("cvmfs/marked/x", "cvmfs/plain/x", "cvmfs/file"):
        s3_client.put_object(Bucket=s3_bucket.name, Key=key, Body=b"x")
    assert s3_bucket.head("cvmfs/marked/").size == 0
    listed = {info.key for info in s3_bucket.list("cvmfs/")}
    assert listed == {"cvmfs/marked/", "cvmfs/marked/x", "cvmfs/plain/x", "cvmfs/file"}
    for key in ("cvmfs/plain/", "cvmfs/file/", "cvmfs/plain", "cvmfs/none/"):
        with pytest.raises(KeyMissing):
            s3_bucket.head(key)


def test_f7_a_listing_of_more_than_one_page_is_whole(s3_bucket: S3Bucket) -> None:
    for number in range(1003):
        s3_bucket.put(f"cvmfs/{number:04d}", b"")
    assert len(list(s3_bucket.list("cvmfs/"))) == 1003


def test_missing_and_denied_are_told_apart(s3_bucket: S3Bucket, s3_server: S3Server) -> None:
    assert s3_bucket.exists()
    nowhere = S3Bucket("no-such-bucket-anywhere", access(s3_server), retries=0)
    assert not nowhere.exists()
    with pytest.raises(BucketMissing):
        list(nowhere.list(""))
    with pytest.raises(KeyMissing):
        s3_bucket.open("none")
    stranger = S3Access(endpoint=s3_server.endpoint, access_key=s3_server.access_key, secret_key="wrong" * 8)
    for look in (lambda b: b.head("k"), lambda b: b.open("k"), lambda b: list(b.list("")), lambda b: b.exists()):
        with pytest.raises(AccessDenied):
            look(S3Bucket(s3_bucket.name, stranger, retries=0))
    with pytest.raises(Unavailable):
        S3Bucket("x", S3Access(endpoint="http://127.0.0.1:9"), retries=0).exists()


def test_a_bucket_is_made_once_and_emptied(s3_bucket: S3Bucket, s3_server: S3Server) -> None:
    made = S3Bucket(f"{s3_bucket.name}-made", access(s3_server))
    made.create()
    made.create()
    made.put("k", b"1", {"mode": "0644"})
    assert dict(made.head("k").metadata) == {"mode": "0644"}
    made.delete("k")
    made.delete("k")
    assert list(made.list("")) == []


def test_a_zip_archive_is_read_in_place(s3_bucket: S3Bucket) -> None:
    memory = BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        archive.writestr("a/b", b"content" * 100_000)
    s3_bucket.put("archive.zip", memory.getvalue())
    with s3_bucket.open_seekable(s3_bucket.head("archive.zip")) as file, zipfile.ZipFile(file) as archive:
        assert archive.read("a/b") == b"content" * 100_000
