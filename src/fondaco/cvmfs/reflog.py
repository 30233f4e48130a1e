"""The reference log ``.cvmfsreflog``: every root catalog, certificate, tag database and metainfo ever published.

Garbage collection can find old revisions only here. It is stored uncompressed at the repository's root; the manifest
holds its hash, so it is written before the manifest is signed. Source: cvmfs/reflog_sql.cc, cvmfs/reflog.cc.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from fondaco.cvmfs.digest import Digest, Suffix
from fondaco.cvmfs.errors import BadChange, MalformedData
from fondaco.cvmfs.sqlite_image import PropertyDatabase

_MAX_INTEGER = (1 << 63) - 1  # of SQLite


class RefKind(IntEnum):
    """What a reference is, numbered as in the format."""

    CATALOG = 0
    """A root catalog; nested ones are found through it."""
    CERTIFICATE = 1
    HISTORY = 2
    METAINFO = 3

    @property
    def suffix(self) -> Suffix:
        """The object type."""
        return _SUFFIXES[self]


_SUFFIXES = {
    RefKind.CATALOG: Suffix.CATALOG,
    RefKind.CERTIFICATE: Suffix.CERTIFICATE,
    RefKind.HISTORY: Suffix.HISTORY,
    RefKind.METAINFO: Suffix.METAINFO,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """An object that was published once."""

    kind: RefKind
    digest: Digest
    timestamp: int  # seconds since 1970, when it was last published


class Reflog(PropertyDatabase):
    """All references of one repository."""

    what = "reference log"
    schema_revision = 0
    ddl = ("CREATE TABLE refs (hash TEXT, type INTEGER, timestamp INTEGER, CONSTRAINT pk_refs PRIMARY KEY (hash));",)

    def add(self, kind: RefKind, digest: Digest, timestamp: int) -> None:
        """Record that an object is published at *timestamp* (seconds since 1970); again only moves its time."""
        if not 0 <= timestamp <= _MAX_INTEGER:
            raise BadChange("a reference cannot be recorded", f"{timestamp} is no time", "check this machine's clock")
        self._run(
            "INSERT INTO refs (hash, type, timestamp) VALUES (?, ?, ?)"
            " ON CONFLICT (hash) DO UPDATE SET type = excluded.type, timestamp = excluded.timestamp",
            (str(digest), int(kind), timestamp),
        )

    def contains(self, kind: RefKind, digest: Digest) -> bool:
        """Whether an object was ever published."""
        return bool(self._rows("SELECT 1 FROM refs WHERE hash = ? AND type = ?", (str(digest), int(kind))))

    def forget(self, references: Iterable[Reference]) -> None:
        """Drop references whose objects are to be removed, and their space with them."""
        for reference in references:
            self._run("DELETE FROM refs WHERE hash = ?", (str(reference.digest),))
        self._run("VACUUM")

    def refs(self) -> list[Reference]:
        """All references in the order in which they were first recorded."""
        references = []
        for row in self._rows("SELECT type, hash, timestamp FROM refs ORDER BY rowid"):
            match row:
                case (0 | 1 | 2 | 3 as kind, str(text), int(timestamp)):
                    references.append(Reference(kind=RefKind(kind), digest=Digest.parse(text), timestamp=timestamp))
                case _:
                    raise MalformedData(f"a {self.what} cannot be read", f"a row is {row!r:.200}", "run check")
        return references
