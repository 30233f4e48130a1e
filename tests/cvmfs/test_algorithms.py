"""Repositories of each hash algorithm and compression: made, published, read and checked; and mixed ones."""

import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fondaco.cvmfs.check import check
from fondaco.cvmfs.codec import Compression, Plain, Zlib
from fondaco.cvmfs.digest import Algorithm, Digest, StreamHasher, Suffix, object_key
from fondaco.cvmfs.errors import HashUnavailable
from fondaco.cvmfs.history import History
from fondaco.cvmfs.reflog import Reflog
from fondaco.cvmfs.repository import Repository
from fondaco.cvmfs.stores.base import MANIFEST, REFLOG, WHITELIST
from fondaco.cvmfs.whitelist import parse_signed
from tests.cvmfs.conftest import KeyFolder
from tests.cvmfs.repositories import Place

CODECS = {Compression.ZLIB: Zlib(), Compression.NONE: Plain()}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "nested").mkdir(parents=True)
    (folder / "nested/.cvmfscatalog").write_bytes(b"")
    (folder / "nested/file").write_bytes(b"in a nested catalog")
    (folder / "empty").write_bytes(b"")
    (folder / "text").write_bytes(b"text " * 50)
    (folder / "large").write_bytes(os.urandom(20_000))
    return folder


def opened(place: Place) -> Repository:
    now = datetime.fromtimestamp(place.clock.now, UTC)
    return Repository.open(place.store, public_keys=[place.signer.public_key], now=now)


def assert_shows(place: Place, source: Path) -> None:
    """The repository's files are those of the folder, and nothing is wrong with it."""
    head = opened(place).head
    for file in (path for path in source.rglob("*") if path.is_file()):
        assert head.read(f"/{file.relative_to(source)}") == file.read_bytes()
    now = datetime.fromtimestamp(place.clock.now, UTC)
    report = check(place.store, [place.signer.public_key], content=True, now=now)
    assert [str(finding) for finding in report.findings] == []


@pytest.mark.parametrize("compression", Compression)
@pytest.mark.parametrize("algorithm", Algorithm)
def test_a_repository_of_each_kind(
    tmp_path: Path, key_folder: KeyFolder, source: Path, algorithm: Algorithm, compression: Compression
) -> None:
    place = Place(tmp_path / "repository", key_folder.path, algorithm=algorithm, codec=CODECS[compression]).create()
    place.publish(source, tag="v1")
    assert_shows(place, source)
    head = opened(place).at("v1")
    entries = {path: entry for path, entry in head.walk() if entry.is_regular}
    assert {(entry.algorithm, entry.compression) for entry in entries.values()} == {(algorithm, compression)}
    assert head.lookup("/large").is_chunked
    assert {entry.flags & 0x3F00 for _, entry in head.walk() if entry.is_dir} == {0}


@pytest.mark.parametrize("algorithm", Algorithm)
def test_every_hash_of_a_repository_is_of_its_algorithm(
    tmp_path: Path, key_folder: KeyFolder, source: Path, algorithm: Algorithm
) -> None:
    place = Place(tmp_path / "repository", key_folder.path, algorithm=algorithm).create()
    place.publish(source, tag="v1")
    manifest = place.manifest()
    named = [manifest.root_catalog, manifest.certificate, manifest.history, manifest.metainfo, manifest.reflog]
    assert manifest.history is not None
    history = History.load(place.image(manifest.history, Suffix.HISTORY))
    named += [tag.root for tag in history.tags()] + [history.previous_revision]
    named += [reference.digest for reference in Reflog.load(place.store.get(REFLOG)).refs()]
    whitelist = parse_signed(place.store.get(WHITELIST))
    named += [whitelist.letter.digest, *whitelist.whitelist.fingerprints]
    assert {digest.algorithm for digest in named if digest is not None} == {algorithm}
    assert all(key.rstrip("CHXMP").endswith(algorithm.text) for key in place.objects())
    assert place.store.get(MANIFEST).split(b"\n--\n")[1].split(b"\n")[0].decode().endswith(algorithm.text)


def test_catalogs_are_zlib_streams_whatever_files_are(tmp_path: Path, key_folder: KeyFolder, source: Path) -> None:
    place = Place(tmp_path / "repository", key_folder.path, codec=Plain()).create()
    place.publish(source)
    for key in place.objects():
        if key[-1] in "CHXM":
            assert place.store.get(key)[:1] == b"\x78", key
    text = (source / "text").read_bytes()
    assert place.store.get(object_key(Digest.of(text), Suffix.FILE)) == text


def test_a_repository_may_mix_compressions(tmp_path: Path, key_folder: KeyFolder, source: Path) -> None:
    place = Place(tmp_path / "repository", key_folder.path, codec=Zlib()).create()
    place.publish(source)
    place.codec = Plain()
    (source / "text2").write_bytes(b"text " * 50)
    (source / "large2").write_bytes(os.urandom(20_000))
    place.publish(source)
    assert_shows(place, source)
    head = opened(place).head
    kinds = {name: head.lookup(f"/{name}").compression for name in ("text", "large", "text2", "large2")}
    assert list(kinds.values()) == [Compression.ZLIB] * 2 + [Compression.NONE] * 2


@pytest.mark.parametrize("algorithm", Algorithm)
def test_a_hash_piece_by_piece_is_that_of_the_whole(algorithm: Algorithm) -> None:
    hasher = StreamHasher(algorithm)
    assert b"".join(hasher.pass_through([b"ab", b"", b"c"])) == b"abc"
    assert hasher.digest() == Digest.of(b"abc", algorithm)


def test_ripemd160_is_that_of_its_authors() -> None:
    assert str(Digest.of(b"abc", Algorithm.RMD160)) == "8eb208f7e05d987a9b044a8e98c6b087f15a0bfc-rmd160"


def test_an_openssl_without_ripemd160_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    real = hashlib.new

    def without(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "ripemd160":
            raise ValueError("unsupported hash type ripemd160")
        return real(name, *arguments, **options)

    monkeypatch.setattr(hashlib, "new", without)
    with pytest.raises(HashUnavailable, match=r"OpenSSL 3\.0\.7"):
        Digest.of(b"", Algorithm.RMD160)
    with pytest.raises(HashUnavailable):
        StreamHasher(Algorithm.RMD160)
    assert StreamHasher(Algorithm.SHAKE128).digest() == Digest.of(b"", Algorithm.SHAKE128)
