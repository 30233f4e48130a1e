"""Clients get what a repository consists of, with the headers of the reference's servers, and nothing else."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fondaco.cvmfs.digest import Algorithm, Digest, Suffix, object_key
from fondaco.cvmfs.errors import StoreFailed
from fondaco.cvmfs.repository import Repository
from fondaco.cvmfs.stores.base import JOURNAL, MANIFEST, MASTER_REPLICA, REFLOG, WHITELIST
from fondaco.cvmfs.stores.local import LOCK, LocalStore
from fondaco.web import cvmfs
from fondaco.web.app import create_app
from fondaco.web.serve import serve
from fondaco.web.site import ServedRepository, Site
from tests.cvmfs.conftest import GoldenRepository, golden  # noqa: F401 - a fixture
from tests.web.conftest import FQRN, Face

ANY = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize("name", [MANIFEST, WHITELIST, REFLOG, MASTER_REPLICA])
def test_root_files_are_looked_at_again_each_minute(face: Face, name: str) -> None:
    face.store.files[name] = b"signed"
    answer = face.get(f"/cvmfs/{FQRN}/{name}")
    assert (answer.status, answer.body) == (200, b"signed")
    assert answer.headers["content-type"] == "application/x-cvmfs"
    assert answer.headers["cache-control"] == "max-age=61"
    assert answer.headers["content-length"] == "6"
    assert not {"etag", "last-modified", "set-cookie"} & answer.headers.keys()


@pytest.mark.parametrize("suffix", Suffix)
@pytest.mark.parametrize("algorithm", Algorithm)
def test_every_kind_of_object_is_served_for_days(face: Face, suffix: Suffix, algorithm: Algorithm) -> None:
    digest = face.store.add(b"object", Digest(bytes.fromhex(ANY), algorithm), suffix)
    answer = face.get(f"/cvmfs/{FQRN}/{object_key(digest, suffix)}")
    assert (answer.status, answer.body) == (200, b"object")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["cache-control"] == "max-age=259200"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("size", [0, 1, cvmfs.WHOLE_BYTES, cvmfs.WHOLE_BYTES + 1, 3 * cvmfs.WHOLE_BYTES])
def test_objects_of_any_size_are_sent_with_their_length(face: Face, size: int) -> None:
    content = random.Random(size).randbytes(size)
    key = object_key(face.store.add(content), Suffix.FILE)
    answer = face.get(f"/cvmfs/{FQRN}/{key}")
    assert answer.body == content
    assert answer.headers["content-length"] == str(size)
    assert "transfer-encoding" not in answer.headers
    head = face.ask("HEAD", f"/cvmfs/{FQRN}/{key}")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == str(size)
    assert head.headers["content-type"] == answer.headers["content-type"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", [MANIFEST, f"data/ab/{ANY[2:]}", f"data/ab/{ANY[2:]}C"])
def test_what_the_repository_does_not_have_is_not_found(face: Face, method: str, path: str) -> None:
    answer = face.ask(method, f"/cvmfs/{FQRN}/{path}")
    assert answer.status == 404
    assert face.ask(method, f"/cvmfs/other.example.org/{path}").status == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert "cache-control" not in answer.headers


@pytest.mark.parametrize(
    "path",
    [
        "", "data", "data/", "data/ab", "data/txn/fondaco.tmp.1", f"data/txn/{ANY[2:]}", JOURNAL, LOCK, "stats/x",
        f"data/AB/{ANY[2:]}", f"data/ab/{ANY[3:]}", f"data/ab/{ANY}", f"data/ab/{ANY[2:]}Z", f"data/ab/{ANY[2:]}CC",
        f"data//ab/{ANY[2:]}", f"/data/ab/{ANY[2:]}", f"data/ab/{ANY[2:]}%00",
        f"data/ab/{ANY[2:]}-md5", f"./{MANIFEST}", f"x/../{MANIFEST}", f"../{FQRN}/{MANIFEST}", "../../etc/passwd",
        "..%2f..%2fetc/passwd", "%2e%2e/%2e%2e/etc/passwd", "..%5c..%5cetc", "data/../.cvmfspublished", "%2fetc/x",
        "data/ab/..%2f..%2f.fondaco_lock", f"{MANIFEST}%00.html", f"{MANIFEST}/", ".CVMFSPUBLISHED", ".cvmfs_secret",
    ],
)  # fmt: skip
def test_s7_no_path_leads_to_anything_else(face: Face, path: str) -> None:
    answer = face.get(f"/cvmfs/{FQRN}/{path}")
    assert answer.status == 404
    assert face.store.asked == []
    answer.problem()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text(alphabet="abcdef0189/.%2eE5cC\\~-", max_size=60).map(lambda tail: f"data/{tail}")
    | st.text("./%2ef", max_size=12)
)
def test_s7_only_keys_of_objects_ever_reach_the_store(face: Face, path: str) -> None:
    answer = face.get(f"/cvmfs/{FQRN}/{path}")
    assert answer.status == 404
    for key in face.store.asked:
        folder, two, rest = key.split("/")
        assert (folder, len(two)) == ("data", 2)
        assert set(two + rest[:38]) <= set("0123456789abcdef")


def test_a_store_that_fails_is_told_without_its_address(
    face: Face, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def get(key: str, **_: object) -> bytes:
        raise StoreFailed(f"{key} in s3://inner/place cannot be read", "10.0.0.7 refused", "check")

    monkeypatch.setattr(face.store, "get", get)
    answer = face.get(f"/cvmfs/{FQRN}/{MANIFEST}")
    assert answer.status == 503
    assert answer.problem()["type"] == "urn:fondaco:problem:store-failed"
    assert b"inner" not in answer.body
    assert b"10.0.0.7" not in answer.body
    assert "s3://inner/place" in caplog.text


def test_the_lists_of_the_server_are_those_that_monitors_read(face: Face) -> None:
    assert face.get("/cvmfs/info/v1/repositories.json").json() == {
        "schema": 1,
        "repositories": [{"name": name, "url": f"/cvmfs/{name}"} for name in ("plain.example.org", FQRN)],
        "replicas": [],
    }
    assert face.get("/cvmfs/info/v1/meta.json").json() == {
        "administrator": "A. Dmin",
        "email": "a@example.org",
        "organisation": "Example",
        "custom": {},
    }


def test_the_reader_verifies_the_reference_repository_through_it(golden: GoldenRepository) -> None:  # noqa: F811 - a fixture
    served = ServedRepository(fqrn=golden.fqrn, store=LocalStore(golden.root))
    with serve(create_app(Site(repositories={golden.fqrn: served}))) as address:
        repository = Repository.open(
            f"{address.url}/cvmfs/{golden.fqrn}",
            public_keys=[golden.public_key],
            fqrn=golden.fqrn,
            now=golden.valid_at,
        )
        wanted = Repository.open(LocalStore(golden.root), public_keys=[golden.public_key], now=golden.valid_at)
        assert list(repository.head.list("/")) == list(wanted.head.list("/"))
        assert repository.tags() == wanted.tags()
