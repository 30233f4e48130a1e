"""Which objects the rows of a catalog name."""

import pytest

from fondaco.cvmfs import paths
from fondaco.cvmfs.catalog.database import CatalogDatabase
from fondaco.cvmfs.catalog.references import NamedObject, named_objects
from fondaco.cvmfs.catalog.writable import WritableCatalog
from fondaco.cvmfs.codec import Compression
from fondaco.cvmfs.digest import Algorithm, Digest, Suffix
from fondaco.cvmfs.entry import EXTERNAL, Chunk, Content, directory, regular, symlink
from fondaco.cvmfs.errors import MalformedData

ONE, TWO, THREE = (Digest.of(bytes((number,))).raw for number in range(3))


def catalog(*changes: str) -> CatalogDatabase:
    """A catalog with a file, a chunked file and what names no object, after the SQL of *changes*."""
    made = WritableCatalog.new(paths.ROOT, directory("", mtime_ns=0))
    made.insert("/plain", regular("plain", Content(size=5, digest=ONE)))
    chunks = (Chunk(0, 7, TWO), Chunk(7, 8, THREE))
    cut = Content(size=15, digest=None, chunks=chunks, compression=Compression.NONE, algorithm=Algorithm.SHAKE128)
    made.insert("/cut", regular("cut", cut))
    made.insert("/folder", directory("folder", mtime_ns=0))
    made.insert("/link", symlink("link", "plain"))
    database = CatalogDatabase.load(made.seal(revision=1, now=1, ttl=240))
    for change in changes:
        database.connection.execute(change)
    return database


PLAIN = NamedObject(Digest(ONE), Suffix.FILE, 5)
CUT = {
    NamedObject(Digest(TWO, Algorithm.SHAKE128), Suffix.CHUNK, 7),
    NamedObject(Digest(THREE, Algorithm.SHAKE128), Suffix.CHUNK, 8),
}


def test_files_and_chunks_name_objects() -> None:
    assert set(named_objects(catalog())) == {PLAIN, *CUT}


def test_external_files_and_folders_name_none() -> None:
    assert set(named_objects(catalog(f"UPDATE catalog SET flags = flags | {EXTERNAL} WHERE name = 'cut'"))) == {PLAIN}
    assert set(named_objects(catalog(f"UPDATE catalog SET hash = x'{ONE.hex()}' WHERE name = 'folder'"))) == {
        PLAIN,
        *CUT,
    }


@pytest.mark.parametrize("absent", ["x''", f"x'{'00' * 20}'", "NULL"])
def test_an_absent_hash_names_none(absent: str) -> None:
    assert set(named_objects(catalog(f"UPDATE catalog SET hash = {absent}"))) == CUT


def test_a_chunked_file_may_have_a_bulk_object_too() -> None:
    named = set(named_objects(catalog(f"UPDATE catalog SET hash = x'{ONE.hex()}' WHERE name = 'cut'")))
    assert named == {PLAIN, NamedObject(Digest(ONE, Algorithm.SHAKE128), Suffix.FILE, 15), *CUT}


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE catalog SET hash = x'00ff'",
        "UPDATE catalog SET hash = 'text of twenty bytes'",
        "UPDATE catalog SET flags = flags | (7 << 8)",
        "UPDATE chunks SET hash = x'00'",
        "DROP TABLE chunks",
    ],
)
def test_a_row_without_sense_is_malformed(change: str) -> None:
    with pytest.raises(MalformedData):
        list(named_objects(catalog(change)))
