import hashlib
import re
import stat
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from fondaco.cvmfs import xattrs
from fondaco.cvmfs.catalog.balance import Balance
from fondaco.cvmfs.chunking import ChunkSizes
from fondaco.cvmfs.codec import Codec, Plain, Zlib
from fondaco.cvmfs.digest import Algorithm, Digest
from fondaco.cvmfs.entry import regular, symlink
from fondaco.cvmfs.errors import (
    BadPath,
    MalformedData,
    NotInRepository,
    NotThatKind,
    ObjectMissing,
    VerificationFailed,
    WhitelistExpired,
)
from fondaco.cvmfs.publisher import Publisher
from fondaco.cvmfs.repository import Repository, Snapshot
from fondaco.cvmfs.stores.base import MANIFEST
from fondaco.cvmfs.stores.local import LocalStore
from fondaco.cvmfs.transaction import PublishOptions
from tests.cvmfs.conftest import GoldenRepository, KeyFolder

SIZES = ChunkSizes(minimum=4096, average=8192, maximum=16384)
BIG = b"".join(hashlib.sha256(b"%d" % number).digest() for number in range(4000))  # 128,000 bytes, many chunks

Publish = Callable[..., Path]


@pytest.fixture
def golden_repository(golden: GoldenRepository) -> Repository:
    return Repository.open(golden.root.as_uri(), public_keys=[golden.public_key], now=golden.valid_at)


def as_the_client_shows(snapshot: Snapshot, path: str) -> dict[str, Any]:
    """What expected.json says of a path, made from our reader."""
    entry = snapshot.lookup(path)
    shown: dict[str, Any] = {
        "gid": entry.gid,
        "mode": f"0o{entry.mode:o}",
        "mtime_ns": entry.mtime_ns,
        "nlink": entry.linkcount,
        "uid": entry.uid,
    }
    if entry.is_regular:
        content = snapshot.read(path)
        assert len(content) == entry.size
        shown |= {"sha256": hashlib.sha256(content).hexdigest(), "size": entry.size}
    if entry.is_symlink:
        # The client expands $(VARIABLE:-default); nothing is set where the list was made.
        expanded = re.sub(r"\$\(\w+:-(.*?)\)", r"\1", snapshot.readlink(path))
        shown["target_as_expanded_by_client"] = expanded
    if entry.xattrs:
        shown["xattrs"] = {key.decode(): value.decode() for key, value in xattrs.unpack(entry.xattrs).items()}
    return shown


@pytest.mark.parametrize("tag", ["v1.0", "v2.0"])
def test_both_tags_of_the_reference_repository_look_as_in_the_stock_client(
    golden: GoldenRepository, golden_repository: Repository, tag: str
) -> None:
    expected: Mapping[str, Any] = golden.expected["tags"][tag]  # type: ignore[index]
    snapshot = golden_repository.at(tag)
    assert {path: as_the_client_shows(snapshot, path) for path, _ in snapshot.walk()} == expected


def test_the_reference_repository_names_its_revisions(golden_repository: Repository) -> None:
    assert (golden_repository.fqrn, golden_repository.revision) == ("golden.example.org", 3)
    tags = {tag.name: tag.revision for tag in golden_repository.tags()}
    assert tags.items() >= {"v1.0": 2, "v2.0": 3, "trunk": 3, "trunk-previous": 2}.items()
    first = golden_repository.at("v1.0")
    assert golden_repository.at(2).root == first.root
    assert golden_repository.at(first.root).list("/") == first.list("/")
    assert golden_repository.at().root == golden_repository.at(3).root == golden_repository.at("v2.0").root
    assert golden_repository.at("v2.0").revision == 3


@pytest.mark.parametrize("what", ["v3.0", 17, ""])
def test_a_revision_that_is_not_there_is_said_to_be_so(golden_repository: Repository, what: str | int) -> None:
    with pytest.raises(NotInRepository, match=r"its tags are trunk, .*v1\.0"):
        golden_repository.at(what)


def test_a_name_may_be_asked_for(golden: GoldenRepository) -> None:
    keys = [golden.public_key]
    assert Repository.open(str(golden.root), public_keys=keys, fqrn=golden.fqrn, now=golden.valid_at).revision == 3
    with pytest.raises(VerificationFailed, match=r"other\.example\.org"):
        Repository.open(str(golden.root), public_keys=keys, fqrn="other.example.org", now=golden.valid_at)


def test_nothing_is_read_with_a_foreign_key_or_after_the_expiry(
    golden: GoldenRepository, key_folder: KeyFolder
) -> None:
    with pytest.raises(VerificationFailed):
        Repository.open(str(golden.root), public_keys=[key_folder.signer.public_key], now=golden.valid_at)
    late = golden.valid_at + timedelta(days=60)
    with pytest.raises(WhitelistExpired):
        Repository.open(str(golden.root), public_keys=[golden.public_key], now=late)


def test_a_place_without_a_repository_is_said_to_be_so(tmp_path: Path, golden: GoldenRepository) -> None:
    with pytest.raises(ObjectMissing, match="cvmfspublished"):
        Repository.open(str(tmp_path), public_keys=[golden.public_key])


def test_paths_are_looked_up_as_given(golden_repository: Repository) -> None:
    snapshot = golden_repository.head
    assert snapshot.lookup("/") == snapshot.lookup("")
    assert snapshot.lookup("/bin/") == snapshot.lookup("/bin")
    assert [entry.name for entry in snapshot.list("/bin")] == ["hello", "hi"]
    assert [path for path, _ in snapshot.walk("/nested/deep/")] == [
        "/nested/deep",
        "/nested/deep/inner",
        "/nested/deep/inner/.cvmfscatalog",
        "/nested/deep/inner/i.txt",
    ]
    for absent in ("/absent", "/bin/absent", "/bin/hello/below", "/nested/absent", "/emptydir/x/y"):
        with pytest.raises(NotInRepository, match=absent):
            snapshot.lookup(absent)
        with pytest.raises(NotInRepository):
            snapshot.list(absent)
    for impossible in ("bin", "/bin/../bin", "//bin", "/a\0"):
        with pytest.raises(BadPath):
            snapshot.lookup(impossible)


def test_operations_say_when_they_do_not_fit(golden_repository: Repository) -> None:
    snapshot = golden_repository.head
    for read, path in (
        (snapshot.list, "/bin/hello"),
        (snapshot.list, "/bin/hi"),
        (snapshot.open, "/bin"),
        (snapshot.open, "/nested"),
        (snapshot.open, "/bin/hi"),
        (snapshot.open, "/fifo"),
        (snapshot.readlink, "/bin/hello"),
    ):
        with pytest.raises(NotThatKind, match=path):
            read(path)  # type: ignore[operator]


@pytest.fixture
def publish(tmp_path: Path, key_folder: KeyFolder) -> Publish:
    """Publish files into a new repository; gives its folder."""

    def publish_files(
        files: Mapping[str, bytes],
        *,
        codec: Codec | None = None,
        algorithm: Algorithm = Algorithm.SHA1,
        balance: Balance | None = None,
    ) -> Path:
        folder = tmp_path / "published"
        options = PublishOptions(codec=codec or Zlib(), sizes=SIZES, balance=balance or Balance())
        publisher = Publisher(
            store=LocalStore.create(folder),
            fqrn=key_folder.fqrn,
            signer=key_folder.signer,
            public_keys=[key_folder.signer.public_key],
            options=options,
        )
        publisher.create(key_folder.signer, algorithm=algorithm)
        with publisher.transaction() as transaction:
            for path, data in files.items():
                name = path.rpartition("/")[2]
                transaction.put(path, regular(name, transaction.store_content([data])))
            transaction.put("/link", symlink("link", "$(HOME)/x"))
            transaction.commit()
        return folder

    return publish_files


def opened(folder: Path, key_folder: KeyFolder, **options: Any) -> Snapshot:
    return Repository.open(str(folder), public_keys=[key_folder.signer.public_key], **options).head


@pytest.mark.parametrize("algorithm", Algorithm)
@pytest.mark.parametrize("codec", [Zlib(), Plain()])
def test_every_hash_and_compression_is_read(
    publish: Publish, key_folder: KeyFolder, codec: Codec, algorithm: Algorithm
) -> None:
    files = {"/big": BIG, "/small": b"small", "/empty": b"", "/a/b/c": b"deep"}
    snapshot = opened(publish(files, codec=codec, algorithm=algorithm), key_folder)
    assert snapshot.lookup("/big").is_chunked
    assert snapshot.root.algorithm is algorithm
    assert {path: snapshot.read(path) for path in files} == files
    assert snapshot.readlink("/link") == "$(HOME)/x"


def test_ranges_across_chunks_are_read(publish: Publish, key_folder: KeyFolder) -> None:
    snapshot = opened(publish({"/big": BIG}), key_folder)
    cut = snapshot.lookup("/big").chunks[2].offset
    assert snapshot.read("/big", cut - 5, 10) == BIG[cut - 5 : cut + 5]
    assert snapshot.read("/big", len(BIG) - 3, 10) == BIG[-3:]
    assert snapshot.read("/big", len(BIG) + 3, 10) == b""


def test_many_threads_read_at_once(publish: Publish, key_folder: KeyFolder) -> None:
    files = {f"/d{number % 7}/f{number}": b"%d" % number for number in range(60)} | {"/big": BIG}
    files |= {f"/d{number}/.cvmfscatalog": b"" for number in range(7)}
    snapshot = opened(publish(files), key_folder, max_catalogs=2)
    start = threading.Barrier(8)

    def read_all(_: int) -> dict[str, bytes]:
        start.wait()
        return {path: snapshot.read(path) for path in files}

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(read_all, range(8))) == [files] * 8


def test_a_changed_object_is_never_handed_out(publish: Publish, key_folder: KeyFolder) -> None:
    folder = publish({"/small": b"small", "/other": b"other", "/big": BIG})
    snapshot = opened(folder, key_folder)
    small, other = (stored_at(folder, str(snapshot.lookup(path).object_digest())) for path in ("/small", "/other"))
    small.write_bytes(other.read_bytes())
    with pytest.raises(VerificationFailed, match="bytes have the hash"):
        snapshot.read("/small")
    chunks = snapshot.lookup("/big").chunks
    first, second = (stored_at(folder, chunk.digest.hex(), "P") for chunk in chunks[:2])
    second.write_bytes(first.read_bytes())
    with snapshot.open("/big") as content:
        assert content.read(chunks[0].size) == BIG[: chunks[0].size]
        with pytest.raises((VerificationFailed, MalformedData)):
            content.read()


def test_a_missing_object_is_said_to_be_missing(publish: Publish, key_folder: KeyFolder) -> None:
    folder = publish({"/small": b"small"})
    snapshot = opened(folder, key_folder)
    stored_at(folder, str(snapshot.lookup("/small").object_digest())).unlink()
    with pytest.raises(ObjectMissing):
        snapshot.read("/small")


def test_a_changed_catalog_or_tag_database_is_not_believed(publish: Publish, key_folder: KeyFolder) -> None:
    folder = publish({"/small": b"small"})
    repository = Repository.open(str(folder), public_keys=[key_folder.signer.public_key])
    stored_at(folder, str(repository.manifest.history), "H").write_bytes(b"changed")
    with pytest.raises(VerificationFailed):
        repository.tags()
    stored_at(folder, str(repository.head.root), "C").write_bytes(b"changed")
    with pytest.raises(VerificationFailed):
        repository.head.lookup("/small")


def test_an_unsigned_change_of_the_manifest_is_refused(publish: Publish, key_folder: KeyFolder) -> None:
    folder = publish({"/small": b"small"})
    manifest = (folder / MANIFEST).read_bytes()
    (folder / MANIFEST).write_bytes(manifest.replace(b"\nS2\n", b"\nS3\n"))
    with pytest.raises(VerificationFailed, match="text has the hash"):
        opened(folder, key_folder)


def test_the_kinds_of_paths_are_told_apart(golden_repository: Repository) -> None:
    kinds = {path: stat.S_IFMT(entry.mode) for path, entry in golden_repository.head.walk()}
    assert kinds["/fifo"] == stat.S_IFIFO
    assert kinds["/variant"] == stat.S_IFLNK
    assert golden_repository.head.lookup("/nested").is_mountpoint


def stored_at(folder: Path, digest: str, suffix: str = "") -> Path:
    assert Digest.parse(digest)
    return folder / "data" / digest[:2] / (digest[2:] + suffix)
