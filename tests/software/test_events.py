"""Messages of the four stores, as they were recorded from them, and anything else that may arrive in their place."""

import json
from typing import Any
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fondaco.software import events
from fondaco.software.errors import BadEvent
from fondaco.software.events import BucketEvent, parse

CEPH_PUT = """{"Records": [{"eventVersion": "2.2", "eventSource": "ceph:s3", "awsRegion": "",
 "eventTime": "2026-11-22T08:39:28.818121Z", "eventName": "ObjectCreated:Put", "userIdentity": {"principalId": "svc"},
 "requestParameters": {"sourceIPAddress": ""}, "responseElements": {"x-amz-id-2": "104e-default-default"},
 "s3": {"s3SchemaVersion": "1.0", "configurationId": "sync", "bucket": {"name": "repo",
 "ownerIdentity": {"principalId": "svc"}, "arn": "arn:aws:s3:::repo", "id": "a6554342"},
 "object": {"key": "cvmfs/dir with space/naïve+file%20.txt", "size": 5, "eTag": "5d41402abc4b2a76b9719d911017c592",
 "versionId": "", "sequencer": "40AA026B6670DE30", "metadata": [], "tags": []}}, "eventId": "1", "opaqueData": ""}]}"""
MINIO_PUT = """{"EventName":"s3:ObjectCreated:Put","Key":"repo/cvmfs/a b+é.txt","Records":[{"eventVersion":"2.0",
 "eventSource":"minio:s3","awsRegion":"","eventName":"s3:ObjectCreated:Put","s3":{"s3SchemaVersion":"1.0",
 "bucket":{"name":"repo","arn":"arn:aws:s3:::repo"},"object":{"key":"cvmfs%2Fa+b%2B%C3%A9.txt","size":3,
 "eTag":"b7ce786c","sequencer":"15612487A9DF732C"}},"source":{"host":"","port":""}}]}"""
AMAZON_TWO = """{"Records":[
 {"eventSource":"aws:s3","eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"repo"},
  "object":{"key":"cvmfs/red+flower%25.jpg","size":1024,"eTag":"d41d","sequencer":"0055AED6DCD90281E5"}}},
 {"eventSource":"aws:s3","eventName":"ObjectRemoved:DeleteMarkerCreated","s3":{"bucket":{"name":"repo"},
  "object":{"key":"cvmfs/gone","sequencer":"0055AED6DCD90281E6"}}}]}"""
AMAZON_TEST = """{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2014-10-13T15:57:02.089Z","Bucket":"repo",
 "RequestId":"5582815E1AEA5ADF","HostId":"8cLeGAmw098X5cv4Zkwcmo8vvZa3eH3eKxsPzbB9wrR"}"""


def weed(kind: str, key: str, **message: Any) -> bytes:
    return json.dumps({"event_type": kind, "key": key, "message": message}, ensure_ascii=False).encode()


def entry(name: str, *, folder: bool = False, mime: str = "", size: int = 0, version: bool = False) -> dict[str, Any]:
    attributes = {"mtime": 1795348312, "file_mode": 432} | ({"mime": mime} if mime else {})
    extended = {"Seaweed-X-Amz-Version-Id": "bnVsbA=="} if version else {}
    more = {"is_directory": True} if folder else {"chunks": [{"size": size}]}
    return {"name": name, "attributes": attributes | ({"file_size": size} if size else {}), "extended": extended} | more


MARKER = {"folder": True, "mime": "httpd/unix-directory"}
PLACE = "/buckets/repo/cvmfs"


def brief(body: bytes) -> list[tuple[str, bool]]:
    found = parse(body)
    assert {event.bucket for event in found} <= {"repo"}
    return [(event.key, event.removed) for event in found]


def test_ceph_gives_raw_keys_without_the_s3_prefix() -> None:
    assert parse(CEPH_PUT.encode()) == (
        BucketEvent(
            bucket="repo",
            key="cvmfs/dir with space/naïve+file%20.txt",
            removed=False,
            etag="5d41402abc4b2a76b9719d911017c592",
            size=5,
            sequencer="40AA026B6670DE30",
        ),
    )


def test_minio_encodes_keys_as_forms_do() -> None:
    (event,) = parse(MINIO_PUT.encode())
    assert (event.key, event.etag, event.size) == ("cvmfs/a b+é.txt", "b7ce786c", 3)


def test_amazon_sends_several_records_at_once() -> None:
    assert brief(AMAZON_TWO.encode()) == [("cvmfs/red flower%.jpg", False), ("cvmfs/gone", True)]
    assert parse(AMAZON_TEST.encode()) == ()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("s3:ObjectCreated:CompleteMultipartUpload", [False]),
        ("ObjectCreated:Copy", [False]),
        ("ObjectRestore:Completed", [False]),
        ("ObjectRemoved:Delete", [True]),
        ("s3:ObjectRemoved:NoOP", [True]),
        ("LifecycleExpiration:Delete", [True]),
        ("ObjectLifecycle:Expiration:Current", [True]),
        ("s3:ObjectAccessed:Get", []),
        ("s3:ObjectTagging:Put", []),
    ],
)
def test_only_what_changes_a_bucket_is_an_event(name: str, expected: list[bool]) -> None:
    message = json.loads(CEPH_PUT)
    message["Records"][0]["eventName"] = name
    assert [event.removed for event in parse(json.dumps(message).encode())] == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(
            weed("create", f"{PLACE}/f%2B +é", new_entry=entry("f%2B +é", size=5), new_parent_path=PLACE),
            [("cvmfs/f%2B +é", False)],
            id="put",
        ),
        pytest.param(
            weed("update", f"{PLACE}/f", old_entry=entry("f"), new_entry=entry("f"), new_parent_path=PLACE),
            [("cvmfs/f", False)],
            id="overwritten",
        ),
        pytest.param(weed("delete", f"{PLACE}/f", old_entry=entry("f")), [("cvmfs/f", True)], id="deleted"),
        pytest.param(
            weed("rename", f"{PLACE}/r/a", old_entry=entry("a"), new_entry=entry("b"), new_parent_path=f"{PLACE}/q"),
            [("cvmfs/r/a", True), ("cvmfs/q/b", False)],
            id="renamed",
        ),
        pytest.param(
            weed("rename", f"{PLACE}/a", old_entry=entry("a"), new_entry=entry("a"), new_parent_path="/trash"),
            [("cvmfs/a", True)],
            id="moved out of the buckets",
        ),
        pytest.param(
            weed("create", f"{PLACE}/d", new_entry=entry("d", **MARKER), new_parent_path=PLACE),
            [("cvmfs/d/", False)],
            id="directory marker",
        ),
        pytest.param(
            weed(
                "update",
                f"{PLACE}/d",
                old_entry=entry("d", **MARKER),
                new_entry=entry("d", folder=True),
                new_parent_path=PLACE,
            ),
            [("cvmfs/d/", False)],
            id="marker deleted, folder stays",
        ),
        pytest.param(
            weed("delete", f"{PLACE}/d", old_entry=entry("d", **MARKER)), [("cvmfs/d/", True)], id="marker deleted"
        ),
        pytest.param(
            weed("create", PLACE, new_entry=entry("cvmfs", folder=True), new_parent_path="/buckets/repo"),
            [],
            id="folder made along with an object",
        ),
        pytest.param(
            weed("create", "/buckets/repo", new_entry=entry("repo", folder=True), new_parent_path="/buckets"),
            [],
            id="bucket",
        ),
        pytest.param(
            weed(
                "create",
                "/buckets/repo/.uploads/94ae/0001.part",
                new_entry=entry("0001.part", size=9),
                new_parent_path="/buckets/repo/.uploads/94ae",
            ),
            [],
            id="part of an upload",
        ),
        pytest.param(
            weed(
                "create",
                f"{PLACE}/v.versions/v_6715a4395cca60961a655ecebba88db7",
                new_entry=entry("v_6715a4395cca60961a655ecebba88db7", version=True),
                new_parent_path=f"{PLACE}/v.versions",
            ),
            [("cvmfs/v", False)],
            id="version",
        ),
        pytest.param(weed("delete", "/etc/iam/x.json", old_entry=entry("x.json")), [], id="the server's own file"),
    ],
)
def test_seaweedfs_tells_of_entries(body: bytes, expected: list[tuple[str, bool]]) -> None:
    assert brief(body) == expected


def record(source: str, key: str, bucket: str = "repo") -> bytes:
    content = {"bucket": {"name": bucket}, "object": {"key": key}}
    message = {"Records": [{"eventSource": source, "eventName": "ObjectCreated:Put", "s3": content}]}
    return json.dumps(message, ensure_ascii=False).encode("utf-8", "surrogateescape")


@given(st.binary(min_size=1, max_size=40))
@example(b"cvmfs/\xff\x00\n\\")
def test_k3_every_key_comes_through_byte_for_byte(raw: bytes) -> None:
    key = raw.decode("utf-8", "surrogateescape")
    amazon = quote_from_bytes(raw, safe="/ ").replace("%20", "+").replace(" ", "+")
    minio = quote_from_bytes(raw, safe=" ").replace(" ", "+")
    for body in (record("ceph:s3", key), record("aws:s3", amazon), record("minio:s3", minio)):
        assert [event.key for event in parse(body)] == [key]


def test_k2_a_key_outside_the_published_folder_is_reported_as_it_is() -> None:
    assert brief(record("ceph:s3", "data/secret.bin")) == [("data/secret.bin", False)]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "not JSON"),
        (b"\0", "not JSON"),
        (b'{"Records": [', "not JSON"),
        (b"9" * 5000, "not JSON"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b" " * (events.MAX_BODY_BYTES + 1), str(events.MAX_BODY_BYTES)),
        (b"[]", "no JSON object"),
        (b"{}", "neither"),
        (b'{"Records": {}}', "neither"),
        (b'{"Records": [7]}', "record 1 is no JSON object"),
        (b'{"Records": [{}]}', "record 1 has no text eventSource"),
        (record("gcp:storage", "k"), "gcp:storage"),
        (record("ceph:s3", ""), "no text s3.object.key"),
        (record("ceph:s3", "k", bucket=""), "no text s3.bucket.name"),
        (AMAZON_TWO.replace('"ObjectRemoved:', '7, "x": "').encode(), "record 2 has no text eventName"),
        (rb'{"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "b"},'
         rb' "object": {"key": "\ud800"}}}]}', "no Unicode"),
        (weed("update", PLACE), "neither an old nor a new entry"),
        (weed("update", "", new_entry=entry("x")), "no text key"),
        (weed("update", PLACE, new_entry=[]), "new_entry"),
        (weed("rename", f"{PLACE}/a", old_entry=entry("a"), new_entry=entry("b")), "new_parent_path"),
    ],
)  # fmt: skip
def test_anything_else_is_refused_with_its_reason(body: bytes, why: str) -> None:
    with pytest.raises(BadEvent) as caught:
        parse(body)
    assert why in caught.value.why
    assert len(str(caught.value)) < 500


def parsed(body: bytes) -> tuple[BucketEvent, ...]:
    """The events; none where the message is refused as it should be."""
    try:
        return parse(body)
    except BadEvent:
        return ()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
NAMES = (
    "Records", "Event", "event_type", "key", "message", "old_entry", "new_entry", "new_parent_path", "name", "size",
    "attributes", "extended", "mime", "is_directory", "eventSource", "eventName", "s3", "bucket", "object", "eTag",
)  # fmt: skip
TEXTS = ("aws:s3", "ceph:s3", "ObjectCreated:Put", "/buckets/repo/cvmfs/a", "a.versions/v_" + "0" * 32, "\ud800", "%ff")
near_misses = st.recursive(
    st.sampled_from([*TEXTS, None, True, -1, ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=8),
    max_leaves=30,
)


@given(st.binary() | json_values.map(lambda value: json.dumps(value).encode()))
def test_nothing_that_arrives_raises_another_error(body: bytes) -> None:
    assert parsed(body) == ()


@given(
    st.sampled_from([CEPH_PUT, AMAZON_TWO, weed("create", PLACE, new_entry=entry("x")).decode()]),
    near_misses,
    st.data(),
)
def test_nothing_that_is_almost_a_message_raises_another_error(text: str, foreign: object, data: st.DataObject) -> None:
    message = json.loads(text)
    place: Any = message
    while isinstance(place, dict | list) and place:
        step = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if data.draw(st.booleans()) or not isinstance(place[step], dict | list):
            place[step] = foreign
            break
        place = place[step]
    for event in parsed(json.dumps(message).encode()):
        assert event.key.encode("utf-8", "surrogateescape")
        assert event.bucket.encode("utf-8", "surrogateescape")
