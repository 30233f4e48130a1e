"""External files: only hashes are in the repository; the content is served by its path from another place."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fondaco.cvmfs.check import check
from fondaco.cvmfs.codec import Compression
from fondaco.cvmfs.digest import Digest
from fondaco.cvmfs.errors import ObjectMissing, StoreFailed, VerificationFailed
from fondaco.cvmfs.repository import Repository, Snapshot
from fondaco.cvmfs.stores.http import HttpStore
from tests.cvmfs.conftest import KeyFolder
from tests.cvmfs.repositories import Place

ODD = "sp ace/a#b?c%41 ü.txt"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "sp ace").mkdir(parents=True)
    (folder / "small").write_bytes(b"small")
    (folder / "large").write_bytes(os.urandom(20_000))
    (folder / ODD).write_bytes(b"odd")
    (folder / "link").symlink_to("small")
    return folder


@pytest.fixture
def place(tmp_path: Path, key_folder: KeyFolder, source: Path) -> Place:
    place = Place(tmp_path / "repository", key_folder.path, external=True).create()
    place.publish(source)
    return place


def head_of(place: Place, external: Path | None) -> Snapshot:
    now = datetime.fromtimestamp(place.clock.now, UTC)
    url = None if external is None else str(external)
    return Repository.open(place.store, public_keys=[place.signer.public_key], now=now, external_url=url).head


def test_no_content_is_stored(place: Place) -> None:
    assert {key[-1] for key in place.objects()} == set("CHXM")
    tree = place.tree()
    assert {path for path, entry in tree.items() if entry.is_external} == {"/small", "/large", f"/{ODD}"}
    small, large = tree["/small"], tree["/large"]
    assert small.digest == Digest.of(b"small").raw
    assert small.flags == 4 | 128 | 2048, "of the bytes as they are served: uncompressed"
    assert large.compression is Compression.NONE
    assert len(large.chunks) > 1


def test_files_are_read_by_their_path_and_verified(place: Place, source: Path) -> None:
    head = head_of(place, source)
    for name in ("small", "large", ODD):
        assert head.read(f"/{name}") == (source / name).read_bytes()
    assert head.read("/large", 5_000, 9_000) == (source / "large").read_bytes()[5_000:14_000]
    with pytest.raises(ObjectMissing, match="give the address of the external data"):
        head_of(place, None).read("/small")
    (source / "small").write_bytes(b"smaLl")
    with pytest.raises(VerificationFailed):
        head.read("/small")


def test_check_demands_no_objects_of_external_files(place: Place) -> None:
    now = datetime.fromtimestamp(place.clock.now, UTC)
    report = check(place.store, [place.signer.public_key], content=True, now=now)
    assert [str(finding) for finding in report.findings] == []


def test_files_become_external_and_come_back(place: Place, source: Path) -> None:
    assert place.publish(source) is None
    place.external = False
    assert place.publish(source) is not None
    assert head_of(place, None).read("/small") == b"small"
    place.external = True
    assert place.publish(source) is not None
    assert head_of(place, None).lookup("/small").is_external


def test_a_name_that_no_address_can_hold_is_told_of() -> None:
    store = HttpStore("http://127.0.0.1:9/x", retry_seconds=0.1)
    for name in ("raw\udcff", "a\nb"):
        with pytest.raises(StoreFailed, match="cannot be part of an address"):
            store.get(name)
