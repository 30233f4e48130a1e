from pathlib import Path

import pytest

from fondaco.cvmfs.errors import StoreFailed
from fondaco.cvmfs.stores import open_readable, open_store
from fondaco.cvmfs.stores.base import MANIFEST
from fondaco.cvmfs.stores.http import HttpStore
from fondaco.cvmfs.stores.s3 import Credentials, S3Store


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("form", ["{}", "file://{}", "file://localhost{}", "{}/"])
def test_a_folder_is_opened_by_path_or_url(tmp_path: Path, form: str) -> None:
    folder = tmp_path / "one example"
    url = form.format(folder)
    open_store(url, create=True).replace(MANIFEST, b"m")
    assert (folder / MANIFEST).read_bytes() == b"m"
    assert open_store(url).get(MANIFEST) == b"m"
    assert open_readable(url).get(MANIFEST) == b"m"


def test_a_url_that_a_store_gives_opens_it_again(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "a b%20ü"), create=True)
    store.replace(MANIFEST, b"m")
    assert open_store(store.url).get(MANIFEST) == b"m"


def test_a_folder_is_not_made_unless_asked(tmp_path: Path) -> None:
    with pytest.raises(StoreFailed):
        open_store(str(tmp_path / "new"))
    assert not (tmp_path / "new").exists()


def test_web_servers_are_for_reading() -> None:
    assert isinstance(open_readable("https://example.org/cvmfs/one/"), HttpStore)
    with pytest.raises(StoreFailed, match="only read from"):
        open_store("https://example.org/cvmfs/one")


def test_buckets_are_opened_by_name_and_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store("s3://bucket/a/b/", endpoint="http://127.0.0.1:9")
    assert isinstance(store, S3Store)
    assert store.url == "s3://bucket/a/b"
    assert open_store("s3://bucket").url == "s3://bucket"


@pytest.mark.parametrize(
    "url", ["s3://", "s3:///prefix", "s3://key:secret@bucket", "ftp://host/x", "file://host/x", "file:x", "s3://b?x=y"]
)
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(StoreFailed, match="mend the address"):
        open_readable(url)
    with pytest.raises(StoreFailed, match="mend the address"):
        open_store(url)


def test_half_a_key_pair_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AK")
    with pytest.raises(StoreFailed, match="only one"):
        open_store("s3://bucket")


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = repr(Credentials(access_key="AK", secret_key="canary1", session_token="canary2"))
    assert "AK" in shown
    assert "canary" not in shown


def test_a_bucket_on_a_server_that_is_down_is_given_up_in_bounded_time() -> None:
    store = S3Store(
        "bucket",
        endpoint="http://127.0.0.1:1",  # reserved: nothing listens there
        credentials=Credentials(access_key="AK", secret_key="canary"),
        retry_seconds=0.2,
    )
    for act in (
        lambda: store.get(MANIFEST),
        lambda: store.replace(MANIFEST, b"m"),
        lambda: store.replace(MANIFEST, b"m", previous=b"x"),
        lambda: store.put_object("data/ab/c", b"x"),
        lambda: list(store.list("")),
        lambda: store.delete(MANIFEST),
    ):
        with pytest.raises(StoreFailed, match="check the address and the server") as caught:
            act()
        assert "canary" not in str(caught.value)
