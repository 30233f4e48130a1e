"""Which stored objects the rows of a catalog name."""

from collections.abc import Iterator
from typing import NamedTuple

from fondaco.cvmfs.catalog.database import CatalogDatabase
from fondaco.cvmfs.digest import DIGEST_BYTES, Algorithm, Digest, Suffix
from fondaco.cvmfs.errors import MalformedData
from fondaco.cvmfs.sqlite_image import FAULTS

# As SqlAllChunks in cvmfs/catalog_sql.cc. External files (flag 128) lie elsewhere; the hash of a directory would be
# that of a micro catalog, which nobody writes. A file may have chunks and a bulk object as well.
_FILES = "SELECT hash, flags, size FROM catalog WHERE hash IS NOT NULL AND flags & 129 = 0"
_CHUNKS = (
    "SELECT chunks.hash, catalog.flags, chunks.size FROM chunks JOIN catalog ON chunks.md5path_1 = catalog.md5path_1"
    " AND chunks.md5path_2 = catalog.md5path_2 WHERE catalog.flags & 128 = 0"
)
_ABSENT = (b"", bytes(DIGEST_BYTES))


class NamedObject(NamedTuple):
    """An object that a file's content lies in."""

    digest: Digest
    suffix: Suffix
    size: int  # bytes of content, not of the stored form


def named_objects(catalog: CatalogDatabase) -> Iterator[NamedObject]:
    """The objects of all files of one catalog, some of them several times; MalformedData for a row without sense."""
    for sql, suffix in ((_FILES, Suffix.FILE), (_CHUNKS, Suffix.CHUNK)):
        try:
            for raw, flags, size in catalog.connection.execute(sql):
                if raw not in _ABSENT:
                    yield _named(raw, flags, size, suffix)
        except FAULTS as error:
            raise _malformed(str(error)) from error


def _named(raw: object, flags: int, size: object, suffix: Suffix) -> NamedObject:
    number = (flags >> 8 & 7) + 1
    if not isinstance(raw, bytes) or len(raw) != DIGEST_BYTES or number > Algorithm.SHAKE128:
        raise _malformed(f"a row has the hash {raw!r:.60} of algorithm {number}")
    return NamedObject(Digest(raw, _ALGORITHMS[number]), suffix, size if isinstance(size, int) else 0)


_ALGORITHMS = {algorithm.value: algorithm for algorithm in Algorithm}


def _malformed(why: str) -> MalformedData:
    return MalformedData("a catalog cannot be read", why, "run check; publish again from an intact revision")
