"""What crashes the stock client or makes it see something else, and yet passes its checker: never written here.

Each hazard was found by changing one thing in a good repository and mounting it. The tests look at the stored bytes of
a repository after several revisions, so that catalogs written new, changed in place, cut, merged and compacted are all
seen.
"""

import hashlib
import os
import re
import sqlite3
import stat
import zlib
from collections.abc import Iterator
from typing import Any

import pytest

from fondaco.cvmfs import entry as entries
from fondaco.cvmfs import paths, xattrs
from fondaco.cvmfs.catalog.balance import Balance
from fondaco.cvmfs.catalog.counters import COUNTER_NAMES
from fondaco.cvmfs.digest import Digest, Suffix, object_key
from fondaco.cvmfs.entry import Content
from fondaco.cvmfs.errors import BadChange, BadPath, LimitExceeded
from fondaco.cvmfs.ingest import IngestOptions
from fondaco.cvmfs.manifest import parse_signed
from fondaco.cvmfs.mirror import MirrorOptions
from fondaco.cvmfs.paths import path_key
from fondaco.cvmfs.stores.base import MANIFEST, WHITELIST
from tests.cvmfs.conftest import KeyFolder
from tests.cvmfs.repositories import Place

WITH_XATTRS = MirrorOptions(ingest=IngestOptions(xattrs=True))


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory, key_folder: KeyFolder) -> Place:
    """A repository with some life behind it."""
    base = tmp_path_factory.mktemp("lived")
    balance = Balance(maximum=60, minimum=10, merge_below=5)
    place = Place(base / "repository", key_folder.path, balance=balance).create()
    source = base / "source"
    for number in range(200):
        file = source / f"d{number % 7}" / "x" / f"f{number}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(os.urandom(number * 100))
    (source / "nested/inner").mkdir(parents=True)
    (source / "nested/.cvmfscatalog").write_bytes(b"")
    (source / "nested/inner/.cvmfscatalog").write_bytes(b"")
    (source / "link").symlink_to("d1/x/é")
    os.mkfifo(source / "nested/fifo")
    (source / os.fsdecode(b"raw\xff")).write_bytes(b"")
    place.publish(source, options=WITH_XATTRS)
    for number in range(0, 200, 2):
        (source / f"d{number % 7}" / "x" / f"f{number}").unlink()
    (source / "nested/inner/.cvmfscatalog").unlink()
    place.publish(source)
    (source / "nested/one").write_bytes(b"1")
    (source / "d3/x/f1").mkdir(parents=True)
    place.publish(source)
    return place


def every_catalog(place: Place) -> Iterator[tuple[str, sqlite3.Connection, bytes]]:
    """Mountpoint, database and image of each catalog of the newest revision."""
    waiting = [("", str(place.manifest().root_catalog))]
    while waiting:
        mountpoint, text = waiting.pop()
        image = place.image(Digest.parse(text), Suffix.CATALOG)
        database = sqlite3.connect(":memory:")
        database.text_factory = bytes
        database.deserialize(image)
        yield mountpoint, database, image
        rows = database.execute("SELECT path, sha1 FROM nested_catalogs").fetchall()
        waiting += [(os.fsdecode(path), sha1.decode()) for path, sha1 in rows]


def column(database: sqlite3.Connection, sql: str) -> list[Any]:
    return [row[0] for row in database.execute(sql)]


def test_there_is_more_than_one_catalog_to_look_at(lived: Place) -> None:
    assert len(list(every_catalog(lived))) > 3
    assert lived.manifest().revision == 4


def test_the_root_row_has_the_first_rowid_and_rowids_are_dense(lived: Place) -> None:
    """Another row there becomes the inode of the mount's root: ELOOP, and an empty listing."""
    for mountpoint, database, _ in every_catalog(lived):
        first = database.execute("SELECT rowid, md5path_1, md5path_2 FROM catalog ORDER BY rowid").fetchone()
        assert first == (1, *path_key(mountpoint))
        (rows,) = column(database, "SELECT count(*) FROM catalog")
        (highest,) = column(database, "SELECT max(rowid) FROM catalog")
        assert rows / highest >= 0.75, mountpoint


def test_the_schema_is_complete_and_says_so(lived: Place) -> None:
    """2.6 is unmountable, a missing schema crashes; a claimed revision without its tables or counters does too."""
    for mountpoint, database, _ in every_catalog(lived):
        properties = dict(database.execute("SELECT key, value FROM properties"))
        assert properties[b"schema"] == b"2.5"
        assert properties[b"schema_revision"] == b"7"
        assert (b"root_prefix" in properties) == (mountpoint != ""), "'/' there crashes the client"
        assert {b"catalog", b"chunks", b"nested_catalogs", b"bind_mountpoints", b"statistics", b"properties"} == set(
            column(database, "SELECT name FROM sqlite_master WHERE type = 'table'")
        )
        expected = {f"{half}_{name}".encode() for half in ("self", "subtree") for name in COUNTER_NAMES}
        assert set(column(database, "SELECT counter FROM statistics")) == expected
        assert len(expected) == 24
        (sql,) = column(database, "SELECT sql FROM sqlite_master WHERE name = 'catalog'")
        assert b"WITHOUT ROWID" not in sql.upper()


def test_the_file_is_what_clients_can_open(lived: Place) -> None:
    """WAL in the header is an assertion failure."""
    for _, database, image in every_catalog(lived):
        assert image[:16] == b"SQLite format 3\0"
        assert image[18:20] == b"\1\1"
        assert column(database, "PRAGMA encoding") == [b"UTF-8"]
        assert 1024 <= column(database, "PRAGMA page_size")[0] <= 65536
        assert column(database, "PRAGMA integrity_check") == [b"ok"]


def test_no_value_is_of_a_type_that_clients_misread(lived: Place) -> None:
    """A NULL name or link is a segmentation fault, a hash as text is EIO, a REAL time is cut."""
    types = {
        "name": {"text"}, "symlink": {"text"}, "hash": {"blob", "null"}, "size": {"integer"}, "mode": {"integer"},
        "mtime": {"integer"}, "mtimens": {"integer", "null"}, "flags": {"integer"}, "hardlinks": {"integer"},
        "uid": {"integer"}, "gid": {"integer"}, "xattr": {"blob", "null"}, "md5path_1": {"integer"},
    }  # fmt: skip
    for _, database, _ in every_catalog(lived):
        for name, allowed in types.items():
            found = {value.decode() for value in column(database, f"SELECT DISTINCT typeof({name}) FROM catalog")}
            assert found <= allowed, name
        assert set(column(database, "SELECT DISTINCT length(hash) FROM catalog")) <= {20, None}
        assert set(column(database, "SELECT DISTINCT typeof(hash) || length(hash) FROM chunks")) <= {b"blob20"}


def test_rows_hold_what_their_kind_may_hold(lived: Place) -> None:
    for mountpoint, database, _ in every_catalog(lived):
        names = dict(database.execute("SELECT name, flags FROM catalog WHERE rowid = 1"))
        assert names == {os.fsencode(paths.name_of(mountpoint)): 1 if mountpoint == "" else 33}
        for mode, flags, digest, size, link, links in database.execute(
            "SELECT mode, flags, hash, size, symlink, hardlinks FROM catalog"
        ):
            kind = stat.S_IFMT(mode)
            assert links & 0xFFFFFFFF >= 1
            if kind == stat.S_IFDIR:
                assert digest is None, "the checker would look for a micro catalog"
                assert flags in (1, 3, 33)
            elif kind == stat.S_IFLNK:
                assert (digest, size, flags) == (None, len(link), 12)
            elif kind == stat.S_IFREG:
                assert flags in (4, 68)
                assert (digest is None) == (flags == 68)
            else:
                assert (digest, size, link, flags) == (None, 0, b"", 20)


def test_every_path_is_found_under_its_own_key(lived: Place) -> None:
    """Byte-swapped keys pass the checker; the client lists nothing and answers ENOENT."""
    for path in lived.tree():
        parent = paths.parent_of(path)
        found = [
            database.execute(
                "SELECT parent_1, parent_2 FROM catalog WHERE md5path_1 = ? AND md5path_2 = ?", path_key(path)
            ).fetchone()
            for _, database, _ in every_catalog(lived)
        ]
        expected = path_key(parent) if path else (0, 0)
        assert {row for row in found if row} == {expected}, path


def test_hash_texts_carry_no_suffix(lived: Place) -> None:
    """`C<hash>C` in the manifest is unmountable, one in nested_catalogs is EIO."""
    manifest = lived.store.get(MANIFEST)
    for letter in (b"C", b"X", b"H", b"M", b"Y"):
        assert re.search(rb"^" + letter + rb"[0-9a-f]{40}$", manifest, re.MULTILINE)
    for _, database, _ in every_catalog(lived):
        assert all(
            re.fullmatch(rb"[0-9a-f]{40}", text) for text in column(database, "SELECT sha1 FROM nested_catalogs")
        )


def test_every_object_is_where_its_row_says_under_the_hash_of_its_bytes(lived: Place) -> None:
    """Chunks without their P, or an empty file without an object, are EIO."""
    for path, entry in lived.tree().items():
        digests = [(chunk.digest, Suffix.CHUNK) for chunk in entry.chunks]
        digests += [(entry.digest, Suffix.FILE)] if entry.digest else []
        assert bool(digests) == entry.is_regular, path
        for raw, suffix in digests:
            stored = (lived.folder / object_key(Digest(raw), suffix)).read_bytes()
            assert hashlib.sha1(stored).digest() == raw
            assert stored[:2] == b"\x78\x9c", "a zlib stream at the reference level"
        assert len(lived.content(entry) if digests else b"") == (entry.size if digests else 0)
    assert lived.tree()["/" + os.fsdecode(b"raw\xff")].digest == hashlib.sha1(zlib.compress(b"")).digest()


def test_revision_and_time_only_grow_and_agree_with_the_root_catalog(lived: Place) -> None:
    manifest = lived.manifest()
    _, database, image = next(every_catalog(lived))
    properties = dict(database.execute("SELECT key, value FROM properties"))
    assert properties[b"revision"].decode() == str(manifest.revision)
    assert properties[b"TTL"] == b"240"
    assert len(properties[b"previous_revision"]) == 40
    assert int(properties[b"last_modified"]) == manifest.published_at
    assert manifest.root_catalog_size == len(image)


def test_manifest_and_whitelist_are_small_enough_to_be_read(lived: Place) -> None:
    assert len(lived.store.get(MANIFEST)) < 4096
    assert b"\r" not in parse_signed(lived.store.get(MANIFEST)).letter.body
    lines = lived.store.get(WHITELIST).split(b"\n")
    assert re.fullmatch(rb"\d{14}", lines[0])
    assert re.fullmatch(rb"E\d{14}", lines[1])


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/a/../b", "'..'"),
        ("/a//b", "empty part"),
        ("a", "begin with '/'"),
        ("/a/", "empty part"),
        ("/" + "x" * 256, "255"),
        ("/" + "é" * 128, "255"),
        ("/d" * 2048 + "/", "4095"),
        ("/nul\0", "NUL"),
    ],
)
def test_paths_that_no_client_could_show_are_refused(lived: Place, path: str, why: str) -> None:
    with lived.publisher.transaction() as transaction, pytest.raises(BadPath, match=re.escape(why)):
        transaction.put(path, entries.directory(paths.name_of(path)))


def test_link_targets_that_clients_read_as_empty_are_refused() -> None:
    assert entries.symlink("l", "x" * 4095).size == 4095
    for target in ("", "x" * 4096, "a\0b"):
        with pytest.raises(BadChange, match="4095"):
            entries.symlink("l", target)


def test_attributes_that_do_not_fit_their_length_byte_are_refused() -> None:
    assert xattrs.pack({b"user.a": b"v" * 255}) is not None
    for attributes in (
        {b"user.a": b"v" * 256},
        {b"k" * 256: b"v"},
        {b"": b"v"},
        {b"user.%d" % number: b"" for number in range(256)},
    ):
        with pytest.raises(LimitExceeded):
            xattrs.pack(attributes)
    assert xattrs.pack({}) is None, "an empty blob would count as attributes"


def test_a_file_row_carries_the_bits_of_its_objects() -> None:
    content = Content(
        size=1, digest=b"x" * 20, compression=entries.Compression.NONE, algorithm=entries.Algorithm.SHAKE128
    )
    entry = entries.regular("f", content)
    assert entry.flags == 4 | 512 | 2048
    assert (entry.compression, entry.algorithm) == (content.compression, content.algorithm)


def test_devices_keep_their_number_where_clients_look_for_it() -> None:
    assert entries.special("null", 0o020666, rdev=os.makedev(1, 3)).size == 259
    assert entries.special("pipe", 0o010644, rdev=77).size == 0
    with pytest.raises(BadChange):
        entries.special("file", 0o100644)
