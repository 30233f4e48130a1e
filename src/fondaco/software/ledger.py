"""The ledger: what was last done with every key, and the timeline of publishes, in one SQLite file.

It saves reading and is no truth: lost, it is seeded from the repository; older than the repository (a crash between
manifest and ledger), the next publish puts the same content again and finds nothing changed.
"""

import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from fondaco.software.errors import LedgerUnusable
from fondaco.software.records import Known, Row, State, Treatment
from fondaco.software.refusal import Reason

SCHEMA_VERSION = 1
MAX_TIMELINE = 1000  # publishes that are kept; older ones are dropped
_BATCH = 500  # keys per query; SQLite takes 32,766 parameters at most, 999 in old builds

_SCHEMA = """
CREATE TABLE keys (
    key PRIMARY KEY,  -- text; bytes where the key is not UTF-8
    fingerprint TEXT NOT NULL,
    path NOT NULL,  -- as the key
    treatment TEXT NOT NULL, state TEXT NOT NULL,
    posix TEXT NOT NULL, reason TEXT, detail TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX keys_apart ON keys (treatment, state)
    WHERE (treatment <> 'file' OR state <> 'published' OR reason IS NOT NULL);
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE syncs (
    id INTEGER PRIMARY KEY, cause TEXT NOT NULL, seen_at REAL NOT NULL, planned_at REAL NOT NULL,
    published_at REAL, visible_at REAL, revision INTEGER,
    fetched INTEGER NOT NULL, removed INTEGER NOT NULL, refused INTEGER NOT NULL, bytes INTEGER NOT NULL,
    error TEXT NOT NULL
);
"""
_APART = "(treatment <> 'file' OR state <> 'published' OR reason IS NOT NULL)"
_MAKES_DIRECTORY = """
    treatment IN ('file', 'executable', 'link', 'directory')
    AND (state <> 'refused' OR reason IN ('file-and-directory', 'same-path', 'unreadable', 'bad-link'))
"""  # the keys that plan() takes into account when it looks for directories
_COLUMNS = "key, fingerprint, path, treatment, state, posix, reason, detail"


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncRecord:
    """One look at the bucket that changed something or failed; times are seconds since 1970."""

    cause: str  # "events", "sweep"
    seen_at: float  # when the first of its events came in, or the sweep began
    planned_at: float
    published_at: float | None = None
    visible_at: float | None = None  # when the public address first showed the revision
    revision: int | None = None  # None: nothing was published
    fetched: int = 0  # objects
    removed: int = 0  # paths
    refused: int = 0  # keys refused by it
    bytes: int = 0  # read from the bucket
    error: str = ""  # why it failed as a whole


class Ledger:
    """One repository's ledger. Safe to use from several threads."""

    def __init__(self, file: Path | str, fqrn: str) -> None:
        """Open or make *file* (":memory:" for one that is not kept); LedgerUnusable when it is another repository's."""
        self._lock = threading.RLock()
        try:
            self._db = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
        except sqlite3.DatabaseError as error:
            raise _unusable(file, error) from error
        try:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._prepare(fqrn)
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise _unusable(file, error) from error
        except LedgerUnusable:
            self._db.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def _prepare(self, fqrn: str) -> None:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version == 0:
            with self._transaction():
                for statement in _SCHEMA.split(";\n"):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
                self._db.execute("INSERT INTO facts VALUES ('fqrn', ?)", (fqrn,))
        elif version != SCHEMA_VERSION or self.fact("fqrn") != fqrn:
            raise LedgerUnusable(
                f"the ledger of {self.fact('fqrn')!r} cannot serve {fqrn!r}",
                "each repository has its own, of this program's version",
                "name another file",
            )

    # -- reading ---------------------------------------------------------------------------------------------------

    def known(self) -> Known:
        """All rows, for a plan over the whole folder; 1,000,000 rows load in about 1.2 s."""
        with self._lock:
            files = dict(self._db.execute(f"SELECT key, fingerprint FROM keys WHERE NOT {_APART}"))  # noqa: S608 - constants
            others = self._db.execute(f"SELECT {_COLUMNS} FROM keys WHERE {_APART}").fetchall()  # noqa: S608 - constants
        for key in [key for key in files if isinstance(key, bytes)]:  # few or none: converting all would cost 0.1 s
            files[_text(key)] = files.pop(key)
        return Known(files, {row.key: row for row in map(_row, others)})

    def rows(self, keys: Iterable[str]) -> dict[str, Row]:
        """The rows of those of *keys* that have one."""
        found: dict[str, Row] = {}
        for batch in _batches(sorted(map(_bind, set(keys)), key=str)):
            marks = ",".join("?" * len(batch))
            with self._lock:
                rows = self._db.execute(f"SELECT {_COLUMNS} FROM keys WHERE key IN ({marks})", batch).fetchall()  # noqa: S608 - question marks
            found |= {row.key: row for row in map(_row, rows)}
        return found

    def makes_directory(self, stem: str, *, besides: Set[str]) -> bool:
        """Whether a key not among *besides* wants *stem*, a key without trailing '/', to be a directory."""
        beside = sum(key.startswith(f"{stem}/") for key in besides)
        with self._lock:
            rows = self._db.execute(
                f"SELECT key FROM keys WHERE key >= ? AND key < ? AND {_MAKES_DIRECTORY} LIMIT ?",  # noqa: S608 - constants
                (f"{stem}/", f"{stem}0", beside + 1),  # "0" follows "/"
            ).fetchall()
        return any(_text(row[0]) not in besides for row in rows)

    def archives(self) -> list[Row]:
        """The rows of all archives that are unpacked, refused ones too."""
        with self._lock:
            rows = self._db.execute(f"SELECT {_COLUMNS} FROM keys WHERE {_APART} AND treatment = 'archive'").fetchall()  # noqa: S608 - constants
        return [_row(row) for row in rows]

    def refusals(self, *, most: int = 1000, after: str = "") -> list[Row]:
        """Rows with a reason, in the order of keys, beginning behind the key *after*."""
        with self._lock:
            rows = self._db.execute(
                f"SELECT {_COLUMNS} FROM keys WHERE {_APART} AND reason IS NOT NULL AND key > ? ORDER BY key LIMIT ?",  # noqa: S608 - constants
                (_bind(after), most),
            ).fetchall()
        return [_row(row) for row in rows]

    def page(self, state: State | None = None, *, most: int = 1000, after: str = "") -> list[Row]:
        """Rows in *state*, or all, in the order of keys (those that are not UTF-8 last), beginning behind *after*."""
        with self._lock:
            rows = self._db.execute(
                f"SELECT {_COLUMNS} FROM keys WHERE key > ? AND state = coalesce(?, state) ORDER BY key LIMIT ?",  # noqa: S608 - constants
                (_bind(after), state.value if state else None, most),
            ).fetchall()
        return [_row(row) for row in rows]

    def counts(self) -> dict[str, int]:
        """How many keys are in each state."""
        with self._lock:
            return dict(self._db.execute("SELECT state, count(*) FROM keys GROUP BY state"))

    def shows_more_than(self, keys: Set[str]) -> bool:
        """Whether the repository may show anything besides what *keys* stand for."""
        silent = [one.value for one in Treatment if one.is_silent]
        marks = ",".join("?" * len(silent))
        with self._lock:
            rows = self._db.execute(
                f"SELECT key FROM keys WHERE state <> 'refused' AND treatment NOT IN ({marks}) LIMIT ?",  # noqa: S608
                (*silent, len(keys) + 1),
            ).fetchall()
        return any(_text(row[0]) not in keys for row in rows)

    def fact(self, name: str) -> str | None:
        """A single remembered value."""
        with self._lock:
            found = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return found[0] if found else None

    def timeline(self, *, most: int = 50) -> list[tuple[int, SyncRecord]]:
        """The latest syncs with their numbers, newest first."""
        with self._lock:
            rows = self._db.execute("SELECT * FROM syncs ORDER BY id DESC LIMIT ?", (most,)).fetchall()
        names = SyncRecord.__slots__
        return [(row[0], SyncRecord(**dict(zip(names, row[1:], strict=True)))) for row in rows]

    # -- writing ---------------------------------------------------------------------------------------------------

    def record(
        self,
        *,
        rows: Iterable[Row] = (),
        forget: Iterable[str] = (),
        facts: Mapping[str, str | None] | None = None,
        sync: SyncRecord | None = None,
    ) -> int | None:
        """Write all of it or nothing; the number of *sync*. A fact of None is dropped."""
        with self._lock, self._transaction():
            self._db.executemany("DELETE FROM keys WHERE key = ?", ((_bind(key),) for key in forget))
            self._db.executemany("INSERT OR REPLACE INTO keys VALUES (?,?,?,?,?,?,?,?)", map(_values, rows))
            for name, value in (facts or {}).items():
                if value is None:
                    self._db.execute("DELETE FROM facts WHERE name = ?", (name,))
                else:
                    self._db.execute("INSERT OR REPLACE INTO facts VALUES (?,?)", (name, value))
            return None if sync is None else self._add(sync)

    def visible(self, revision: int, at: float | None = None) -> None:
        """Note that *revision*, and with it every earlier one, was seen through the public address."""
        moment = time.time() if at is None else at
        with self._lock:
            self._db.execute(
                "UPDATE syncs SET visible_at = ? WHERE revision <= ? AND visible_at IS NULL", (moment, revision)
            )

    def _add(self, sync: SyncRecord) -> int:
        values = tuple(getattr(replace(sync, error=_plain(sync.error)), name) for name in SyncRecord.__slots__)
        marks = ",".join("?" * len(values))
        number = self._db.execute(f"INSERT INTO syncs VALUES (NULL,{marks})", values).lastrowid or 0  # noqa: S608 - question marks
        self._db.execute("DELETE FROM syncs WHERE id <= ?", (number - MAX_TIMELINE,))
        return number

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")


def _unusable(file: Path | str, error: Exception) -> LedgerUnusable:
    return LedgerUnusable(
        f"the ledger {file} cannot be used", str(error), "name a writable file, or remove it to have it made anew"
    )


def _bind(key: str) -> str | bytes:
    """A key or path as SQLite takes it: text, or bytes where it is not UTF-8."""
    try:
        key.encode()
    except UnicodeEncodeError:
        return key.encode("utf-8", "surrogateescape")
    return key


def _text(key: str | bytes) -> str:
    return key.decode("utf-8", "surrogateescape") if isinstance(key, bytes) else key


def _plain(text: str) -> str:
    """A text for people as SQLite takes it: what is no Unicode is written out."""
    return text.encode("utf-8", "backslashreplace").decode()


def _values(row: Row) -> tuple[Any, ...]:
    return (
        _bind(row.key), row.fingerprint, _bind(row.path), row.treatment.value, row.state.value, row.posix,
        row.reason.value if row.reason else None, _plain(row.detail),
    )  # fmt: skip


def _row(values: Sequence[Any]) -> Row:
    key, fingerprint, path, treatment, state, posix, reason, detail = values
    return Row(
        key=_text(key),
        fingerprint=fingerprint,
        path=_text(path),
        treatment=Treatment(treatment),
        state=State(state),
        posix=posix,
        reason=Reason(reason) if reason else None,
        detail=detail,
    )


def _batches(keys: list[str | bytes]) -> Iterator[list[str | bytes]]:
    for start in range(0, len(keys), _BATCH):
        yield keys[start : start + _BATCH]
