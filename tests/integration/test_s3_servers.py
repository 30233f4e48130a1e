"""The S3 servers that the other tests stand on do what we count on, with the stock SDK and with obstore alike."""

from typing import Any

import obstore
import pytest
from obstore.exceptions import AlreadyExistsError
from obstore.store import S3Store

from tests.integration.shared import S3Server


@pytest.fixture
def store(s3_server: S3Server, bucket: str) -> S3Store:
    return S3Store(
        bucket,
        endpoint=s3_server.endpoint,
        access_key_id=s3_server.access_key,
        secret_access_key=s3_server.secret_key,
        region=s3_server.region,
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
    )


def test_obstore_reads_what_the_stock_sdk_wrote(s3_client: Any, bucket: str, store: S3Store) -> None:
    key = "cvmfs/a folder/naïve+file.txt"
    s3_client.put_object(Bucket=bucket, Key=key, Body=b"content", Metadata={"mode": "33188"})
    answer = obstore.get(store, key)
    assert answer.bytes() == b"content"
    assert answer.attributes["mode"] == "33188"
    assert [entry["path"] for page in obstore.list(store, "cvmfs/") for entry in page] == [key]


def test_the_stock_sdk_reads_what_obstore_wrote(s3_client: Any, bucket: str, store: S3Store) -> None:
    large = bytes(range(256)) * 50_000  # 12.8 MB: several parts
    obstore.put(store, "large", large)
    assert s3_client.get_object(Bucket=bucket, Key="large")["Body"].read() == large


def test_an_object_that_exists_is_not_made_again(store: S3Store) -> None:
    obstore.put(store, "once", b"first", mode="create")
    with pytest.raises(AlreadyExistsError):
        obstore.put(store, "once", b"second", mode="create")
    assert obstore.get(store, "once").bytes() == b"first"
