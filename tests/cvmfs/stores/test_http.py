import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from fondaco.cvmfs.errors import ObjectMissing, StoreFailed
from fondaco.cvmfs.stores.base import MANIFEST, Store
from fondaco.cvmfs.stores.http import HttpStore
from fondaco.cvmfs.stores.local import LocalStore
from tests.cvmfs.stores.contract import ReadableStoreContract, key_of


class _Faulty(SimpleHTTPRequestHandler):
    """A web server that answers as its `faults` say before it does its work, and counts what it is asked."""

    protocol_version = "HTTP/1.1"
    faults: list[int] = []  # noqa: RUF012  # replaced by a list of its own for each server
    connections: list[object] = []  # noqa: RUF012  # as above

    def setup(self) -> None:
        super().setup()
        self.connections.append(self.client_address)

    def send_head(self):  # type: ignore[no-untyped-def]  # the base class has no types for it
        if self.faults:
            self.send_response(self.faults.pop(0))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return None
        return super().send_head()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class names it
        """Nothing: the test's output is its own."""


@pytest.fixture
def handler() -> type[_Faulty]:
    return type("Handler", (_Faulty,), {"faults": [], "connections": []})


@pytest.fixture
def address(tmp_path: Path, handler: type[_Faulty]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(tmp_path)))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def writer(tmp_path: Path) -> Store:
    return LocalStore.create(tmp_path / "one.example.org")


@pytest.fixture
def store(address: str, writer: Store) -> HttpStore:
    return HttpStore(f"{address}/one.example.org/", retry_seconds=5)


class TestHttpStore(ReadableStoreContract):
    pass


def test_root_files_are_read(store: HttpStore, writer: Store) -> None:
    writer.replace(MANIFEST, b"m")
    assert store.get(MANIFEST) == b"m"


def test_server_errors_are_tried_again(store: HttpStore, writer: Store, handler: type[_Faulty]) -> None:
    writer.put_object(key_of(b"abc"), b"abc")
    handler.faults[:] = [503, 500]
    assert store.get(key_of(b"abc")) == b"abc"
    assert handler.faults == []


def test_connections_are_kept_for_later_requests(store: HttpStore, writer: Store, handler: type[_Faulty]) -> None:
    writer.put_object(key_of(b"abc"), b"abc")
    for _ in range(50):
        store.get(key_of(b"abc"))
    # Not exactly one: the next request may come before the last answer's connection is back in the pool.
    assert len(handler.connections) < 10


def test_a_public_bucket_that_denies_absent_keys_says_that_they_may_be_absent(
    store: HttpStore, handler: type[_Faulty]
) -> None:
    handler.faults[:] = [403, 403]
    assert not store.exists(MANIFEST)
    with pytest.raises(ObjectMissing, match="or it may not be read"):
        store.get(MANIFEST)


def test_a_server_that_is_down_is_given_up_in_bounded_time(unused_tcp_port: int) -> None:
    store = HttpStore(f"http://127.0.0.1:{unused_tcp_port}/one.example.org", retry_seconds=0.2)
    with pytest.raises(StoreFailed, match="check the address and the server"):
        store.get(MANIFEST)
    with pytest.raises(StoreFailed):
        store.exists(MANIFEST)


@pytest.fixture
def unused_tcp_port() -> int:
    """A port that nothing listens on: one that was just given back."""
    with ThreadingHTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as server:
        return int(server.server_address[1])


@pytest.mark.parametrize(
    "url", ["ftp://host/x", "http://", "https://user:secret@host/x", "http://host/x?token=secret", "file:///x"]
)
def test_an_address_that_cannot_serve_is_refused_without_its_secrets(url: str) -> None:
    with pytest.raises(StoreFailed, match="mend the address") as caught:
        HttpStore(url)
    assert "secret" not in str(caught.value)
