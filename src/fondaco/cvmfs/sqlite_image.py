"""SQLite databases as images in memory: how catalogs, tag databases and reference logs travel.

An image comes out of an object, so its content is foreign even where its hash was verified: nothing in it may run code
of its own or loop, and every fault in it is MalformedData.
"""

import re
import sqlite3
from collections.abc import Iterable
from typing import Any, ClassVar, Self

from fondaco.cvmfs import paths
from fondaco.cvmfs.errors import MalformedData

_REVISION = re.compile(r"[0-9]{1,3}", re.ASCII)
_MAGIC = b"SQLite format 3\0"
_ROLLBACK_JOURNAL = b"\1\1"  # bytes 18 and 19 of the header; 2 is a write-ahead log, at which clients abort
_BEYOND_DATA = "SELECT name FROM sqlite_master WHERE type NOT IN ('table', 'index') OR coalesce(rootpage, 0) = 0"

FAULTS = (sqlite3.DatabaseError, OverflowError, UnicodeError)
"""What SQLite raises over a damaged image; UnicodeError, because its messages quote the damage."""

PROPERTIES_DDL = "CREATE TABLE properties (key TEXT, value TEXT, CONSTRAINT pk_properties PRIMARY KEY (key));"

_Value = str | int | bytes | None


def open_image(image: bytes, what: str) -> sqlite3.Connection:
    """A database in memory over *image*; text that is not UTF-8 comes back with ``surrogateescape``."""
    if not image.startswith(_MAGIC):
        raise _malformed(what, "it is no SQLite database")
    if image[18:20] != _ROLLBACK_JOURNAL:
        raise _malformed(what, "its header announces a write-ahead log that is not there")
    connection = _connect()
    try:
        connection.deserialize(image)
        connection.execute("PRAGMA trusted_schema = OFF")
        beyond = connection.execute(_BEYOND_DATA).fetchone()
    except FAULTS as error:
        connection.close()
        raise _malformed(what, str(error)) from error
    if beyond is not None:
        connection.close()
        raise _malformed(what, f"it holds a view, trigger or virtual table: {beyond[0]!r}")
    return connection


def create_image(statements: Iterable[str]) -> sqlite3.Connection:
    """A new database in memory, made by *statements*."""
    connection = _connect()
    connection.execute("PRAGMA page_size = 4096")  # what SQLite is built with may differ; equal work gives equal bytes
    for statement in statements:
        connection.execute(statement)
    return connection


class PropertyDatabase:
    """A database with a table of properties: schema 1.0, the repository's name. Not safe for two threads at once."""

    what: ClassVar[str]  # how messages call it
    schema_revision: ClassVar[int]  # the one written here and the newest that is read
    ddl: ClassVar[tuple[str, ...]]  # tables beside the properties

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @classmethod
    def new(cls, fqrn: str) -> Self:
        """An empty one for a new repository."""
        database = cls(create_image((PROPERTIES_DDL, *cls.ddl)))
        for key, value in (("schema", "1.0"), ("schema_revision", str(cls.schema_revision)), ("fqrn", fqrn)):
            database._set_property(key, value)
        return database

    @classmethod
    def load(cls, image: bytes) -> Self:
        """Open the uncompressed bytes; MalformedData for anything else."""
        database = cls(open_image(image, cls.what))
        try:
            if database._property("schema") not in ("1.0", "1"):
                raise _malformed(cls.what, f"its schema is {database._property('schema')!r:.40}, not '1.0'")
            if not database.fqrn:
                raise _malformed(cls.what, "it does not name its repository")
            database._upgrade(database._schema_revision())
        except MalformedData:
            database.close()
            raise
        return database

    def serialize(self) -> bytes:
        """The uncompressed bytes; equal for equal operations with the same SQLite."""
        return self._connection.serialize()

    def close(self) -> None:
        self._connection.close()

    @property
    def fqrn(self) -> str:
        """The repository it belongs to."""
        return self._property("fqrn") or ""

    def _upgrade(self, revision: int) -> None:
        """Bring tables of an older schema revision to the current one."""

    def _schema_revision(self) -> int:
        text = self._property("schema_revision") or "0"
        if not _REVISION.fullmatch(text) or int(text) > self.schema_revision:
            raise _malformed(
                self.what, f"its schema revision is {text!r:.40}, {self.schema_revision} is the newest known"
            )
        return int(text)

    def _property(self, key: str) -> str | None:
        for (value,) in self._rows("SELECT value FROM properties WHERE key = ?", (key,)):
            return None if value is None else str(value)
        return None

    def _set_property(self, key: str, value: str) -> None:
        self._run("INSERT OR REPLACE INTO properties (key, value) VALUES (?, ?)", (key, value))

    def _rows(self, sql: str, values: tuple[_Value, ...] = ()) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(sql, values).fetchall()
        except FAULTS as error:
            raise _malformed(self.what, str(error)) from error

    def _run(self, sql: str, values: tuple[_Value, ...] = ()) -> None:
        try:
            self._connection.execute(sql, values)
        except FAULTS as error:
            raise _malformed(self.what, str(error)) from error


def _connect() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    connection.text_factory = paths.decode
    return connection


def _malformed(what: str, why: str) -> MalformedData:
    return MalformedData(f"a {what} cannot be read", why, "run check; publish again from an intact revision")
