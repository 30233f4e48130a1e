"""The bucket against a server that misbehaves; what real servers do is in tests/integration/test_bucket.py."""

import gzip
from collections.abc import Callable
from io import BufferedReader

import pytest

from fondaco.backends.errors import (
    AccessDenied,
    BackendError,
    BucketMissing,
    KeyMissing,
    ObjectChanged,
    RequestRefused,
    Unavailable,
)
from fondaco.backends.s3 import S3Bucket
from fondaco.backends.s3_wire import S3Access, failure, parse_page, plain_etag
from tests.backends.awkward_s3 import Answer, Asked, AwkwardS3, a_page, an_error, an_object


def bucket_on(server: AwkwardS3, *, retries: int = 2) -> S3Bucket:
    access = S3Access(endpoint=server.endpoint, access_key="AKIDEXAMPLE", secret_key="secret-canary")
    return S3Bucket("bucket", access, retries=retries, retry_seconds=5)


def always(answer: Answer) -> AwkwardS3:
    return AwkwardS3(lambda _: answer)


def in_turn(*answers: Answer) -> AwkwardS3:
    left = list(answers)
    return AwkwardS3(lambda _: left.pop(0) if len(left) > 1 else left[0])


@pytest.mark.parametrize(
    ("in_xml", "key"),
    [
        ("cvmfs/a%20b%2Bc", "cvmfs/a b+c"),
        ("cvmfs/a+b", "cvmfs/a b"),
        ("cvmfs/%C3%A9%00%0A%FF", "cvmfs/é\0\n\udcff"),
        ("cvmfs//a", "cvmfs//a"),
        ("cvmfs/../x", "cvmfs/../x"),
        ("/cvmfs/a", "/cvmfs/a"),
        ("cvmfs/dir/", "cvmfs/dir/"),
    ],
)
def test_k1_k3_listing_shows_any_key_exactly(in_xml: str, key: str) -> None:
    with always(a_page([in_xml])).running() as server:
        assert [info.key for info in bucket_on(server).list("cvmfs/")] == [key]


def test_keys_that_are_not_encoded_are_taken_as_they_are() -> None:
    assert parse_page(a_page(["a+b%20c"], encoding="").body).objects[0].key == "a+b%20c"


def test_f7_listing_follows_every_page() -> None:
    def respond(asked: Asked) -> Answer:
        page = int(asked.query.get("continuation-token", "0"))
        return a_page([f"k{page}-{n}" for n in range(3)], token=str(page + 1) if page < 4 else None)

    with AwkwardS3(respond).running() as server:
        assert len(list(bucket_on(server).list("k"))) == 15
    assert {asked.query["prefix"] for asked in server.asked} == {"k"}


@pytest.mark.parametrize(
    "page",
    [
        Answer(200, b"<ListBucketResult><Contents><Key>a</Key>"),
        Answer(200, b"<html/>"),
        Answer(200, b""),
        Answer(200, b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>"),
        Answer(200, b"<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketResult>"),
        an_error(500, "InternalError"),
    ],
)
def test_f12_a_listing_that_is_not_whole_is_an_error(page: Answer) -> None:
    with in_turn(a_page(["a"], token="next"), page).running() as server, pytest.raises(Unavailable):
        list(bucket_on(server, retries=0).list(""))


def test_f7_a_listing_is_tried_again_and_then_whole() -> None:
    with in_turn(an_error(503, "SlowDown"), an_error(500, "InternalError"), a_page(["a"])).running() as server:
        assert [info.key for info in bucket_on(server).list("")] == ["a"]


@pytest.mark.parametrize("read", [lambda bucket: list(bucket.list("")), lambda bucket: bucket.open("k")])
def test_f7_retries_are_bounded(read: Callable[[S3Bucket], object]) -> None:
    with always(an_error(503, "SlowDown")).running() as server, pytest.raises(Unavailable):
        read(bucket_on(server))
    assert len(server.asked) == 3


def test_k10_encoded_content_is_handed_out_as_stored() -> None:
    stored = gzip.compress(b"plain" * 100)
    with always(an_object(stored, Content_Encoding="gzip")).running() as server:
        stream = bucket_on(server).open("k")
        assert b"".join(stream) == stored
        assert stream.info.size == len(stored)
        assert "accept-encoding" not in server.asked[0].headers


def test_k10_metadata_is_that_of_the_answer_itself() -> None:
    answer = an_object(b"x", etag="v7", x_amz_meta_Mode="33188", Content_Type="text/plain")
    with always(answer).running() as server:
        info = bucket_on(server).open("k").info
    assert (info.etag, info.size, info.modified, dict(info.metadata)) == ("v7", 1, 1767225600, {"mode": "33188"})


def cut_once(body: bytes, *, rest_etag: str) -> AwkwardS3:
    """Sends 100,000 bytes of version v1 and the rest, asked for by range, of version *rest_etag*."""

    def respond(asked: Asked) -> Answer:
        if "range" not in asked.headers:
            return an_object(body, send=100_000)
        start = int(asked.headers["range"].removeprefix("bytes=").partition("-")[0])
        answer = an_object(body[start:], etag=rest_etag, Content_Range=f"bytes {start}-{len(body) - 1}/{len(body)}")
        answer.status = 206
        return answer

    return AwkwardS3(respond)


def test_k10_a_cut_answer_goes_on_where_it_stopped() -> None:
    body = bytes(range(256)) * 4000
    with cut_once(body, rest_etag="v1").running() as server:
        assert b"".join(bucket_on(server).open("k")) == body
    assert len(server.asked) == 2


def test_k10_a_cut_answer_never_goes_on_with_another_version() -> None:
    with cut_once(bytes(1_000_000), rest_etag="v2").running() as server, pytest.raises(Unavailable):
        b"".join(bucket_on(server).open("k"))


def test_k10_an_answer_that_stays_short_is_an_error() -> None:
    with always(an_object(b"x" * 100_000, send=1000)).running() as server, pytest.raises(Unavailable):
        b"".join(bucket_on(server).open("k"))


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (an_error(404, "NoSuchKey"), KeyMissing),
        (an_error(403, "AccessDenied"), AccessDenied),
        (an_error(400, "InvalidRequest"), RequestRefused),
        (an_error(503, "SlowDown"), Unavailable),
    ],
)
def test_each_failure_of_a_read_has_its_own_error(answer: Answer, error: type[BackendError]) -> None:
    with always(answer).running() as server, pytest.raises(error) as caught:
        bucket_on(server, retries=0).open("k")
    assert "secret-canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (404, "NoSuchBucket", BucketMissing),
        (403, "AccessDenied", AccessDenied),
        (400, "InvalidArgument", RequestRefused),
        (500, "InternalError", Unavailable),
        (429, "", Unavailable),
    ],
)
def test_each_failure_of_a_listing_has_its_own_error(status: int, code: str, error: type[BackendError]) -> None:
    assert type(failure(status, an_error(status, code).body, "bucket")) is error


def test_a_server_that_is_down_is_unavailable() -> None:
    bucket = S3Bucket("bucket", S3Access(endpoint="http://127.0.0.1:9"), retries=1, retry_seconds=1)
    for look in (bucket.exists, lambda: list(bucket.list("")), lambda: bucket.head("k")):
        with pytest.raises(Unavailable):
            look()


def test_a_key_that_obstore_cannot_send_is_refused() -> None:
    with always(an_object(b"")).running() as server, pytest.raises(RequestRefused):
        bucket_on(server).open("a/../b")
    assert server.asked == []


def seekable(bucket: S3Bucket) -> BufferedReader:
    return bucket.open_seekable(bucket.head("k"))


def test_a_seekable_object_is_one_version() -> None:
    body = bytes(range(256)) * 16384
    etag = ["v1"]

    def respond(asked: Asked) -> Answer:
        if "range" not in asked.headers:
            return an_object(body, etag=etag[0])
        start, end = (int(part) for part in asked.headers["range"].removeprefix("bytes=").split("-"))
        part = body[start : end + 1]
        answer = an_object(part, etag=etag[0], Content_Range=f"bytes {start}-{start + len(part) - 1}/{len(body)}")
        answer.status = 206
        return answer

    with AwkwardS3(respond).running() as server, seekable(bucket_on(server)) as file:
        assert file.read(3) == body[:3]
        assert file.seek(-5, 2) == len(body) - 5
        assert file.read() == body[-5:]
        assert file.read() == b""
        file.seek(2_000_000)
        assert file.read(10) == body[2_000_000:2_000_010]
        etag[0] = "v2"
        file.seek(0)
        with pytest.raises(ObjectChanged):
            file.read(10)


def test_the_metadata_of_a_marker_is_read_and_a_mere_directory_is_none() -> None:
    def respond(asked: Asked) -> Answer:
        if asked.method == "HEAD":
            return an_object(b"", x_amz_meta_mode="16877")
        return a_page(["cvmfs/marked/"] if asked.query["prefix"] == "cvmfs/marked/" else ["cvmfs/plain/x"])

    with AwkwardS3(respond).running() as server:
        assert dict(bucket_on(server).head("cvmfs/marked/").metadata) == {"mode": "16877"}
        with pytest.raises(KeyMissing):
            bucket_on(server).head("cvmfs/plain/")


def test_the_environment_of_the_aws_tools_is_understood() -> None:
    told = {
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": "token",
        "AWS_DEFAULT_REGION": "eu-south-1",
    }
    amazon = S3Access(
        endpoint="https://s3.eu-south-1.amazonaws.com",
        region="eu-south-1",
        access_key="id",
        secret_key="secret",
        session_token="token",
    )
    assert S3Access.from_environment(told) == amazon
    theirs = {"AWS_ENDPOINT_URL": "http://theirs"}
    assert S3Access.from_environment(theirs) == S3Access(endpoint="http://theirs")
    assert S3Access.from_environment(theirs, endpoint="http://ours").endpoint == "http://ours"


def test_secrets_are_not_shown() -> None:
    assert "canary" not in repr(S3Access(endpoint="http://x", secret_key="canary", session_token="canary"))


@pytest.mark.parametrize("text", ['"abc"', "abc", 'W/"abc"'])
def test_entity_tags_compare_equal_however_they_are_written(text: str) -> None:
    assert plain_etag(text) == "abc"
