"""What object stores report is marked; what anybody else sends is refused and leads to nothing."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fondaco.software.events import MAX_BODY_BYTES
from fondaco.web.site import Hook
from tests.web.conftest import BUCKET, TOKEN, Face


def record(key: str, bucket: str = BUCKET, name: str = "ObjectCreated:Put") -> dict[str, Any]:
    content = {"bucket": {"name": bucket}, "object": {"key": key}}
    return {"eventSource": "ceph:s3", "eventName": name, "s3": content}


def records(*found: dict[str, Any]) -> bytes:
    return json.dumps({"Records": found}).encode()


def test_keys_are_marked_by_bucket_and_counted(face: Face) -> None:
    body = records(
        record("cvmfs/a"), record("cvmfs/a", name="ObjectRemoved:Delete"), record("cvmfs/b"), record("x", "other")
    )
    answer = face.report(body)
    assert (answer.status, answer.json()) == (202, {"marked": 2, "outside": 0, "ignored": 1})
    assert face.marked == [(BUCKET, frozenset(("cvmfs/a", "cvmfs/b")))]


def test_k2_a_key_outside_the_published_folder_is_told_apart(face: Face) -> None:
    assert face.report(records(record("data/secret.bin"))).json() == {"marked": 0, "outside": 1, "ignored": 0}


def test_what_seaweedfs_tells_of_itself_is_ignored(face: Face) -> None:
    entry = {"name": "other", "attributes": {"mtime": 1}}
    for path in ("/buckets/.system/owners/fondaco/other", "/etc/iam/identity.json", "/buckets/fondaco-probe/ready"):
        body = {"event_type": "create", "key": path, "message": {"new_entry": entry}}
        assert face.report(json.dumps(body)).status == 202
    assert face.marked == []


def test_k3_a_key_that_is_not_utf8_is_marked_byte_for_byte(face: Face) -> None:
    body = json.dumps({"Records": [record("cvmfs/\udcff\n")]}, ensure_ascii=False).encode("utf-8", "surrogateescape")
    assert face.report(body).json()["marked"] == 1
    assert face.marked == [(BUCKET, frozenset({"cvmfs/\udcff\n"}))]


@pytest.mark.parametrize(
    "authorization", [f"Bearer {TOKEN}", f"bearer  {TOKEN}", TOKEN], ids=["bearer", "lower case", "as given"]
)
def test_the_token_is_taken_as_stores_send_it(face: Face, authorization: str) -> None:
    assert face.report(records(record("cvmfs/a")), authorization).status == 202


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Basic {TOKEN}",
        TOKEN.upper(),
        "\xff",
    ],
)
def test_s3_without_the_right_token_nothing_happens(face: Face, authorization: str | None) -> None:
    answer = face.report(records(record("cvmfs/a")), authorization)
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.problem()["type"] == "urn:fondaco:problem:unauthorized"
    assert TOKEN.encode() not in answer.body
    assert face.marked == []


def test_s3_a_replayed_report_is_one_more_look(face: Face) -> None:
    body = records(record("cvmfs/a"))
    assert [face.report(body).status for _ in range(3)] == [202] * 3
    assert set(face.marked) == {(BUCKET, frozenset({"cvmfs/a"}))}


def test_a_hook_without_a_real_token_cannot_be_made() -> None:
    for token in ("", " ", "ä"):
        with pytest.raises(ValueError, match="token"):
            Hook(token=token, mark=lambda _bucket, _keys: 0)
    assert TOKEN not in repr(Hook(token=TOKEN, mark=lambda _bucket, _keys: 0))


def test_a_report_has_a_largest_size_whatever_it_says_of_itself(face: Face) -> None:
    block = b" " * (1 << 20)
    in_blocks = face.report(block for _ in range(MAX_BODY_BYTES // len(block) + 1))
    assert (in_blocks.status, in_blocks.problem()["type"]) == (413, "urn:fondaco:problem:body-too-large")
    assert face.report(records(record("cvmfs/a")).ljust(MAX_BODY_BYTES)).status == 202


def test_f6_a_poison_report_is_refused_with_its_reason_and_the_next_is_served(face: Face) -> None:
    for body, why in ((b"{", "not JSON"), (b"[" * 100_000, "nested"), (b"x" * 1_000_000, "not JSON")):
        answer = face.report(body)
        assert answer.status == 400
        assert why in answer.problem()["detail"]
        assert face.report(records(record("cvmfs/a"))).status == 202


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200) | json_values.map(lambda value: json.dumps({"Records": value}).encode()))
def test_whatever_is_sent_is_answered(face: Face, body: bytes) -> None:
    answer = face.report(body)
    assert answer.status in (202, 400)
    if answer.status == 400:
        assert answer.problem()["type"] == "urn:fondaco:problem:bad-event"
