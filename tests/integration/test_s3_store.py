"""The store contract on real S3 servers, and what is S3's alone."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from fondaco.cvmfs.errors import StoreFailed
from fondaco.cvmfs.stores import open_store
from fondaco.cvmfs.stores.base import MANIFEST, Store
from fondaco.cvmfs.stores.http import HttpStore
from fondaco.cvmfs.stores.s3 import PART_BYTES, Credentials, S3Store
from tests.cvmfs.stores.contract import ReadableStoreContract, StoreContract, key_of
from tests.integration.shared import S3Server


def open_bucket(server: S3Server, bucket: str, prefix: str = "", *, secret_key: str | None = None) -> S3Store:
    return S3Store(
        bucket,
        prefix,
        endpoint=server.endpoint,
        credentials=Credentials(access_key=server.access_key, secret_key=secret_key or server.secret_key),
        region=server.region,
        retry_seconds=5,
    )


@pytest.fixture
def store(s3_server: S3Server, bucket: str) -> S3Store:
    return open_bucket(s3_server, bucket, "repositories/one.example.org")


class TestS3Store(StoreContract):
    @pytest.fixture
    def reopen(self, s3_server: S3Server, bucket: str) -> Callable[[], Store]:
        return lambda: open_bucket(s3_server, bucket, "/repositories/one.example.org/")


def make_public(client: Any, bucket: str) -> None:
    statement = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": ["s3:GetObject"],
        "Resource": [f"arn:aws:s3:::{bucket}/*"],
    }
    client.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))


class TestPublicBucketOverHttp(ReadableStoreContract):
    @pytest.fixture
    def writer(self, s3_server: S3Server, s3_client: Any, bucket: str) -> Store:
        make_public(s3_client, bucket)
        return open_bucket(s3_server, bucket, "one.example.org")

    @pytest.fixture
    def store(self, s3_server: S3Server, bucket: str) -> HttpStore:
        return HttpStore(f"{s3_server.endpoint}/{bucket}/one.example.org", retry_seconds=5)


def test_files_carry_the_headers_of_the_reference_web_server(store: S3Store, s3_client: Any, bucket: str) -> None:
    store.put_object(key_of(b"abc"), b"abc")
    store.replace(MANIFEST, b"m", previous=b"")
    place = "repositories/one.example.org/"
    found = s3_client.head_object(Bucket=bucket, Key=place + key_of(b"abc"))
    assert (found["ContentType"], found["CacheControl"]) == ("application/octet-stream", "max-age=259200")
    found = s3_client.head_object(Bucket=bucket, Key=place + MANIFEST)
    assert (found["ContentType"], found["CacheControl"]) == ("application/x-cvmfs", "max-age=61")


def test_a_large_object_goes_up_in_parts(store: S3Store) -> None:
    data = bytes(range(256)) * (PART_BYTES // 256) + b"more"
    assert store.put_object(key_of(data), data)
    assert store.get(key_of(data)) == data


def test_an_object_is_looked_up_once_per_publish(
    store: S3Store, s3_client: Any, bucket: str, s3_server: S3Server
) -> None:
    store.put_object(key_of(b"abc"), b"abc")
    open_bucket(s3_server, bucket, "repositories/one.example.org").delete(key_of(b"abc"))
    assert not store.put_object(key_of(b"abc"), b"abc")
    with store.lock():
        assert store.put_object(key_of(b"abc"), b"abc")


def test_a_listing_has_all_its_pages(store: S3Store) -> None:
    keys = {key_of(b"%d" % number) for number in range(1100)}
    for number in range(1100):
        store.put_object(key_of(b"%d" % number), b"%d" % number)
    assert set(store.list("data")) == keys


def test_a_wrong_secret_is_a_denied_access_and_not_an_empty_bucket(s3_server: S3Server, bucket: str) -> None:
    denied = open_bucket(s3_server, bucket, secret_key="wrong" * 8)
    for act in (
        lambda: denied.get(MANIFEST),
        lambda: denied.exists(MANIFEST),
        lambda: list(denied.list("")),
        lambda: denied.put_object(key_of(b"abc"), b"abc"),
        lambda: denied.replace(MANIFEST, b"m", previous=b""),
    ):
        with pytest.raises(StoreFailed, match=r"access is denied|SignatureDoesNotMatch") as caught:
            act()
        assert "wrong" not in str(caught.value)


def test_a_missing_bucket_is_not_an_empty_one(s3_server: S3Server) -> None:
    nowhere = open_bucket(s3_server, "no-such-bucket-here")
    with pytest.raises(StoreFailed, match=r"no such bucket|NoSuchBucket"):
        list(nowhere.list(""))
    with pytest.raises(StoreFailed, match="no such bucket"):
        nowhere.get(MANIFEST)


def test_the_environment_of_the_aws_tools_opens_a_bucket(
    s3_server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.secret_key)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_REGION", s3_server.region)
    store = open_store(f"s3://{bucket}/one", endpoint=s3_server.endpoint)
    store.replace(MANIFEST, b"m", previous=b"")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3_server.endpoint)
    assert open_store(f"s3://{bucket}/one/").get(MANIFEST) == b"m"


def test_keys_given_are_not_mixed_with_those_of_the_environment(
    s3_server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of somebody else")
    store = open_bucket(s3_server, bucket)
    store.replace(MANIFEST, b"m")
    assert store.get(MANIFEST) == b"m"
