"""Replicating from a web server that answers badly now and then."""

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from fondaco.cvmfs.errors import CvmfsError
from fondaco.cvmfs.ingest import IngestOptions
from fondaco.cvmfs.mirror import MirrorOptions
from fondaco.cvmfs.replicate.snapshot import replicate
from fondaco.cvmfs.stores.base import MANIFEST
from fondaco.cvmfs.stores.http import HttpStore
from fondaco.cvmfs.stores.local import LocalStore
from tests.cvmfs.conftest import KeyFolder
from tests.cvmfs.replicas import assert_sound, fill, shown
from tests.cvmfs.repositories import FQRN, Place


class Moody(SimpleHTTPRequestHandler):
    """Each third answer about an object is an error, cut off, or other bytes; with `broken`, each is other bytes."""

    protocol_version = "HTTP/1.1"
    asked: ClassVar[list[str]] = []
    broken: ClassVar[list[bool]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if "/data/" not in self.path or (len(self.asked) % 3 and not self.broken):
            super().do_GET()
            return
        mood = -1 if self.broken else len(self.asked) // 3 % 3
        self.send_response(503 if mood == 0 else 200)
        self.send_header("Content-Length", "0" if mood == 0 else "100")
        self.end_headers()
        if mood:
            self.wfile.write(bytes(40 if mood == 1 else 100))
            self.close_connection = mood == 1  # cut off after 40 of 100 bytes

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class names it
        """Nothing: the test's output is its own."""


@pytest.fixture
def handler() -> type[Moody]:
    return type("Handler", (Moody,), {"asked": [], "broken": []})


@pytest.fixture
def place(tmp_path: Path, key_folder: KeyFolder) -> Place:
    place = Place(tmp_path / "origin", key_folder.path).create()
    files = {f"{top}/{number}": b"%d" % number * 700 for top in "ab" for number in range(8)}
    place.publish(
        fill(tmp_path / "files", {**files, "a/.cvmfscatalog": b""}),
        options=MirrorOptions(ingest=IngestOptions(processes=0)),
    )
    return place


@pytest.fixture
def source(place: Place, handler: type[Moody]) -> Iterator[HttpStore]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(place.folder)))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield HttpStore(f"http://127.0.0.1:{server.server_address[1]}", retry_seconds=5)
    server.shutdown()
    thread.join()
    server.server_close()


def test_bad_answers_are_asked_for_again(place: Place, source: HttpStore, handler: type[Moody], tmp_path: Path) -> None:
    replica = LocalStore.create(tmp_path / "replica")
    done = replicate(source, replica, FQRN, [place.signer.public_key], threads=1, clock=place.clock)
    assert shown(replica, place) == shown(place.store, place)
    assert_sound(replica, place)
    assert len(handler.asked) > done.objects * 5 // 4


def test_a_server_that_only_gives_other_bytes_is_given_up(
    place: Place, source: HttpStore, handler: type[Moody], tmp_path: Path
) -> None:
    replica = LocalStore.create(tmp_path / "replica")
    handler.broken.append(True)
    with pytest.raises(CvmfsError):
        replicate(source, replica, FQRN, [place.signer.public_key], threads=2, clock=place.clock)
    assert not list(replica.list("data"))
    assert not replica.exists(MANIFEST)
