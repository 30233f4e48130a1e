"""What became of the files is told completely, in pages, whatever their names are."""

import base64
import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fondaco.software.ledger import SyncRecord
from fondaco.software.records import Row, State, Treatment
from fondaco.software.refusal import Reason
from fondaco.web.errors import BadCursor
from fondaco.web.text import behind, cursor, exact, shown
from tests.web.conftest import BUCKET, FQRN, Face

HERE = f"/api/v1/repositories/{FQRN}"


def row(key: str, **more: Any) -> Row:
    return Row(**({"key": key, "fingerprint": "v", "path": "/p"} | more))


def refused(key: str, reason: Reason = Reason.DOT_PART, **more: Any) -> Row:
    return row(key, path="", state=State.REFUSED, reason=reason, **more)


def test_the_repositories_are_listed(face: Face) -> None:
    assert face.get("/api/v1/repositories").json() == {
        "repositories": [
            {"fqrn": "plain.example.org", "url": "/cvmfs/plain.example.org", "bucket": None},
            {"fqrn": FQRN, "url": f"/cvmfs/{FQRN}", "bucket": BUCKET},
        ]
    }


def test_the_status_tells_counts_refusals_and_the_way_of_each_publish(face: Face) -> None:
    face.ledger.record(
        rows=[
            row("cvmfs/a"),
            row("cvmfs/b", state=State.PENDING),
            refused("cvmfs/../x"),
            row("cvmfs/old", reason=Reason.TOO_LARGE, detail="9 GB"),
        ],
        sync=SyncRecord(
            cause="events", seen_at=1.0, planned_at=1.5, published_at=2, visible_at=3, revision=7, fetched=2
        ),
    )
    face.ledger.record(sync=SyncRecord(cause="sweep", seen_at=5, planned_at=5, error="the bucket is gone: \udcff"))
    found = face.get(f"{HERE}/status").json()
    assert (found["fqrn"], found["bucket"], found["revision"]) == (FQRN, BUCKET, 7)
    assert found["counts"] == {"pending": 1, "published": 2, "refused": 1}
    failed, good = found["timeline"][:2]
    assert (failed["cause"], failed["revision"], failed["error"]) == ("sweep", None, "the bucket is gone: \\udcff")
    assert (good["seen_at"], good["planned_at"]) == ("1970-01-01T00:00:01Z", "1970-01-01T00:00:01.500000Z")
    assert (good["published_at"], good["visible_at"]) == ("1970-01-01T00:00:02Z", "1970-01-01T00:00:03Z")
    assert (good["fetched"], good["error"], good["number"]) == (2, "", failed["number"] - 1)
    assert found["refusals"] == {
        "files": [
            {
                "key": "cvmfs/../x",
                "key_base64": None,
                "path": "",
                "state": "refused",
                "treatment": "file",
                "reason": "dot-part",
                "explanation": Reason.DOT_PART.sentence,
            },
            {
                "key": "cvmfs/old",
                "key_base64": None,
                "path": "/p",
                "state": "published",
                "treatment": "file",
                "reason": "too-large",
                "explanation": f"{Reason.TOO_LARGE.sentence}: 9 GB",
            },
        ],
        "next": None,
    }
    assert len(face.get(f"{HERE}/status?timeline=1").json()["timeline"]) == 1


def pages(face: Face, address: str, where: str = "") -> list[list[str]]:
    """The keys of every page, by their exact bytes."""
    found: list[list[str]] = []
    after: str | None = ""
    while after is not None:
        answer = face.get(f"{address}&after={after}")
        assert answer.status == 200
        page = answer.json()[where] if where else answer.json()
        found.append(
            [
                base64.urlsafe_b64decode(one["key_base64"] + "==").decode("utf-8", "surrogateescape")
                if one["key_base64"]
                else one["key"]
                for one in page["files"]
            ]
        )
        after = page["next"]
    return found


def test_files_come_in_pages_by_state(face: Face) -> None:
    good = [row(f"cvmfs/{number}") for number in range(4)]
    bad = [refused(f"cvmfs/bad{number}") for number in range(5)]
    face.ledger.record(rows=[*good, *bad, row("cvmfs/late", state=State.PENDING, treatment=Treatment.ARCHIVE)])
    assert pages(face, f"{HERE}/files?state=published&limit=2") == [["cvmfs/0", "cvmfs/1"], ["cvmfs/2", "cvmfs/3"]]
    assert [len(page) for page in pages(face, f"{HERE}/files?state=refused&limit=2")] == [2, 2, 1]
    assert [len(page) for page in pages(face, f"{HERE}/status?limit=2", "refusals")] == [2, 2, 1]
    assert pages(face, f"{HERE}/files?state=pending") == [["cvmfs/late"]]
    assert sum(map(len, pages(face, f"{HERE}/files?limit=3"))) == 10


def test_k3_and_s7_names_of_any_bytes_are_data_and_nothing_more(face: Face) -> None:
    names = [
        "<script>alert(1)</script>",
        "a\0b",
        "line\nbreak",
        "\u202egnp.exe",
        "\udcff\udc80",
        "cvmfs/\udcc3(",
        "\\xff",
    ]
    face.ledger.record(rows=[refused(name, Reason.CONTROL, detail="<b>") for name in names])
    answer = face.get(f"{HERE}/files")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert {one["key"] for one in answer.json()["files"]} >= {"<script>alert(1)</script>", "\\xff\\x80", "\\xff"}
    assert sorted(key for page in pages(face, f"{HERE}/files?limit=1") for key in page) == sorted(names)


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/api/v1/repositories/other.example.org/status", 404),
        ("/api/v1/repositories/plain.example.org/status", 404),
        ("/api/v1/repositories/plain.example.org/files", 404),
        (f"/api/v1/repositories/{FQRN.upper()}/status", 404),
        (f"{HERE}/files?after=%21", 400),
        (f"{HERE}/files?after=a", 400),
        (f"{HERE}/files?state=gone", 422),
        (f"{HERE}/files?limit=0", 422),
        (f"{HERE}/files?limit=1001", 422),
        (f"{HERE}/status?timeline=%3Cscript%3E", 422),
        (f"{HERE}/status/", 404),
    ],
)
def test_wrong_questions_are_answered_as_problems(face: Face, address: str, status: int) -> None:
    answer = face.get(address)
    assert answer.status == status
    answer.problem()
    assert b"script" not in answer.body


@given(st.binary(max_size=30))
def test_a_cursor_stands_for_any_key(raw: bytes) -> None:
    key = raw.decode("utf-8", "surrogateescape")
    assert behind(cursor(key)) == key
    assert len(shown(key).encode()) >= len(raw)
    assert (exact(key) is None) == (shown(key) == key)


@given(st.text())
def test_no_other_text_is_taken_for_a_cursor_with_another_error(text: str) -> None:
    with contextlib.suppress(BadCursor):
        assert behind(text).encode("utf-8", "surrogateescape") or not text.strip("=")


@given(st.text(alphabet=st.characters(codec=None)))
def test_every_text_can_be_shown(text: str) -> None:
    assert shown(text).encode().decode() == shown(text)
    assert shown(text) == text or any("\ud800" <= one <= "\udfff" for one in text)
