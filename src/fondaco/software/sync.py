"""A bucket becomes a repository: look, plan, read, publish, remember.

Order of one change: rows that it touches are marked in the ledger → objects are read and stored → catalogs →
manifest → ledger. A crash anywhere leaves the old or the new revision visible, and the next look finishes the work:
content that is put again is found to be there, and a change without effect makes no revision.
"""

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Self

from fondaco.backends.bucket import Bucket, ObjectInfo
from fondaco.backends.errors import AccessDenied, BucketMissing, KeyMissing, Unavailable
from fondaco.cvmfs.errors import BadChange, BadPath
from fondaco.cvmfs.ordered import in_order
from fondaco.cvmfs.publisher import Publisher
from fondaco.cvmfs.transaction import Published, Transaction
from fondaco.errors import FondacoError
from fondaco.software.editing import Editor
from fondaco.software.keys import DEFAULT_PREFIX, check_prefix
from fondaco.software.ledger import Ledger, SyncRecord
from fondaco.software.plan import fingerprint, plan
from fondaco.software.reading import Reader, Reading
from fondaco.software.records import Fetch, Plan, Removal, Row, Scope, State
from fondaco.software.refusal import Reason
from fondaco.software.scoping import Question, question
from fondaco.software.seeding import rows_of_tree
from fondaco.software.settings import Settings, SettingsFile
from fondaco.software.unpack import UnpackLimits

KEYS_PER_LOOK = 100  # to list so many keys takes about as long as one HEAD (SeaweedFS: 2,000 in 0.04 s, a HEAD 1-4 ms)
FEW_LOOKS = 50  # so many keys are always looked at one by one
THREADS = 16  # objects read at once; small ones wait for the store, and it answers many
AHEAD = 512  # readings that may wait for an earlier one
_REPLACED = (
    "\0replaced"  # put behind a key: the ledger's mark of what it was published as before; no store has such keys
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncOptions:
    """How a bucket is watched over."""

    prefix: str = DEFAULT_PREFIX
    threads: int = THREADS
    max_bytes: int | None = None  # larger objects are refused
    limits: UnpackLimits = field(default_factory=UnpackLimits)
    confirm_seconds: float = 30.0  # how much later an empty listing is believed
    clock: Callable[[], float] = time.time  # seconds since 1970
    pause: Callable[[float], None] = time.sleep  # between tries at one object


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a look at the bucket led to."""

    plan: Plan
    published: Published | None = None  # None: the repository is as it was
    again: frozenset[str] = frozenset()  # keys that changed or failed meanwhile: to be looked at again
    is_sweep: bool = False

    @property
    def revision(self) -> int | None:
        """The new revision, if there is one."""
        return self.published.revision if self.published else None


Progress = Callable[[str, int, int], None]
"""Called with a step ("list", "read", "publish"), how much of it is done, and how much there is (0: not known)."""


class Sync:
    """One bucket and its repository. For one thread at a time; `mark` may be called from any."""

    def __init__(
        self,
        bucket: Bucket,
        publisher: Publisher,
        ledger: Ledger,
        options: SyncOptions | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.bucket = bucket
        self.publisher = publisher
        self.ledger = ledger
        self.options = options or SyncOptions()
        self._prefix = check_prefix(self.options.prefix)
        self._settings = SettingsFile(bucket, ledger, self._prefix)
        self.progress = progress or (lambda _step, _done, _total: None)
        self._pool = ThreadPoolExecutor(self.options.threads, thread_name_prefix="read")
        self._dirty: set[str] = set()
        self._dirty_lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the reading threads."""
        self._pool.shutdown(cancel_futures=True)

    # -- events --------------------------------------------------------------------------------------------------------

    def mark(self, keys: Iterable[str]) -> int:
        """Note that *keys* may have changed; how many of them concern the published folder."""
        mine = {key for key in keys if key.startswith(self._prefix)}
        with self._dirty_lock:
            self._dirty |= mine
        return len(mine)

    def take(self) -> frozenset[str]:
        """The keys marked so far, which are then no longer marked."""
        with self._dirty_lock:
            keys, self._dirty = frozenset(self._dirty), set()
        return keys

    # -- looking -------------------------------------------------------------------------------------------------------

    def run_once(self, keys: Iterable[str], *, seen_at: float | None = None) -> Outcome:
        """Look at *keys* and publish what changed. An error means that nothing was published; mark the keys again."""
        started = self.options.clock() if seen_at is None else seen_at
        with self._noted("events", started):
            return self._run_once(keys, started)

    def _run_once(self, keys: Iterable[str], started: float) -> Outcome:
        wanted = {key for key in keys if key.startswith(self._prefix)}
        settings = self._settings.last()
        asked = question(wanted, self._prefix, self.ledger, settings.rules)
        if asked is None or not self._is_seeded or settings.changed or self._settings.key in wanted:
            return self._sweep(started, "events")
        if not wanted:
            return Outcome(plan=Plan())
        if self._is_listing_cheaper(len(asked.keys)):
            return self._sweep(started, "events")
        made = plan(self._look(asked), asked.known, settings.rules, self._scope(asked, settings))
        if made.remove and not made.fetch and not self.ledger.shows_more_than(frozenset(made.forget)):
            return self._sweep(started, "events")  # everything gone: a listing has to say so, twice
        return self._carry_out(made, settings, started, "events", whole=False)

    def sweep(self, *, seen_at: float | None = None) -> Outcome:
        """Compare the whole folder with the ledger and publish what changed. An error means that nothing was."""
        started = self.options.clock() if seen_at is None else seen_at
        with self._noted("sweep", started):
            return self._sweep(started, "sweep")

    def _sweep(self, started: float, cause: str) -> Outcome:
        if not self._is_seeded:
            self._seed()
        settings = self._settings.read()
        known = self.ledger.known()
        scope = replace(self._scope(None, settings), confirmed_empty=self._empty_long_enough())
        listing = self._counted(self.bucket.list(self._prefix))
        made = plan(listing, known, settings.rules, scope, rules_changed=settings.changed)
        if made.held:
            self._note_empty()
            return Outcome(plan=made, is_sweep=True)
        outcome = self._carry_out(made, settings, started, cause, whole=True)
        return replace(outcome, is_sweep=True)

    @contextmanager
    def _noted(self, cause: str, started: float) -> Iterator[None]:
        """Keep in the timeline why a look failed as a whole; the same again and again is kept once."""
        try:
            yield
        except FondacoError as error:
            latest = self.ledger.timeline(most=1)
            if not latest or latest[0][1].error != str(error):
                now = self.options.clock()
                self.ledger.record(sync=SyncRecord(cause=cause, seen_at=started, planned_at=now, error=str(error)))
            raise

    def _scope(self, asked: Question | None, settings: Settings) -> Scope:
        return Scope(
            prefix=self._prefix,
            whole=asked is None,
            outside=asked.outside if asked else frozenset(),
            settings_refusal=settings.refusal,
            max_bytes=self.options.max_bytes,
        )

    def _is_listing_cheaper(self, looks: int) -> bool:
        """Whether a listing of the whole folder takes less than looking at so many keys, as after a large upload."""
        return looks > FEW_LOOKS and sum(self.ledger.counts().values()) + looks <= KEYS_PER_LOOK * looks

    def _look(self, asked: Question) -> Iterator[ObjectInfo]:
        missing = False
        for info in in_order(self._submit_head, sorted(asked.keys), ahead=AHEAD):
            if info is None:
                missing = True
            else:
                yield info
        if missing:
            self._require_bucket()  # that a key is not there is only believed of a bucket that is

    def _submit_head(self, key: str) -> Future[ObjectInfo | None]:
        return self._pool.submit(self._head, key)

    def _head(self, key: str) -> ObjectInfo | None:
        try:
            return self.bucket.head(key)
        except KeyMissing:
            return None

    def _require_bucket(self) -> None:
        if not self.bucket.exists():
            raise BucketMissing(
                f"the bucket {self.bucket.name!r} is gone", "nothing was removed from the repository", "restore it"
            )

    def _counted(self, listing: Iterable[ObjectInfo]) -> Iterator[ObjectInfo]:
        for number, info in enumerate(listing):
            if number % 1000 == 0:
                self.progress("list", number, 0)
            yield info

    # -- an empty bucket -----------------------------------------------------------------------------------------------

    def _empty_long_enough(self) -> bool:
        since = self.ledger.fact("emptied_since")
        return since is not None and self.options.clock() - float(since) >= self.options.confirm_seconds

    def _note_empty(self) -> None:
        if self.ledger.fact("emptied_since") is None:
            self.ledger.record(facts={"emptied_since": repr(self.options.clock())})

    # -- seeding -------------------------------------------------------------------------------------------------------

    @property
    def _is_seeded(self) -> bool:
        return self.ledger.fact("seeded") is not None

    def _seed(self) -> None:
        """A new ledger for a repository that may have content: learn what is there, so that it can be compared."""
        with self.publisher.transaction() as tx:
            self.ledger.record(rows=rows_of_tree(tx.children, self._prefix), facts={"seeded": "1"})

    # -- publishing ----------------------------------------------------------------------------------------------------

    def _carry_out(self, made: Plan, settings: Settings, started: float, cause: str, *, whole: bool) -> Outcome:
        planned = self.options.clock()
        facts = {**settings.facts, **({"emptied_since": None} if whole else {})}
        record = SyncRecord(cause=cause, seen_at=started, planned_at=planned)
        nested = frozenset(json.loads(self.ledger.fact("catalogs") or "[]"))
        wanted = frozenset(made.catalogs) if whole else nested | frozenset(made.catalogs)
        if not (made.fetch or made.remove) and wanted == nested:
            return self._remember(made, record, facts)
        self.ledger.record(rows=_intended(made))
        with self.publisher.transaction() as tx:
            change = _Change(self, made, tx)
            left = change.apply(nested, wanted)
            self.progress("publish", 0, 0)
            published = tx.commit()
        facts["catalogs"] = json.dumps(sorted(left))
        return self._remember(made, record, facts, change, published)

    def _remember(
        self,
        made: Plan,
        record: SyncRecord,
        facts: dict[str, str | None],
        change: "_Change | None" = None,
        published: Published | None = None,
    ) -> Outcome:
        rows = {row.key: row for row in made.record} | (change.rows if change else {})
        forget = {*made.forget, *(change.forget if change else ())} - set(rows)
        facts = {name: value for name, value in facts.items() if value != self.ledger.fact(name)}
        refused = sum(row.reason is not None for row in rows.values())
        if published or refused:
            record = replace(
                record,
                published_at=self.options.clock() if published else None,
                revision=published.revision if published else None,
                fetched=len(made.fetch),
                removed=change.removed if change else 0,
                refused=refused,
                bytes=change.bytes if change else 0,
            )
        if rows or forget or facts:
            self.ledger.record(
                rows=rows.values(), forget=forget, facts=facts, sync=record if published or refused else None
            )
        return Outcome(plan=made, published=published, again=frozenset(change.again if change else ()))

    def read_all(self, tx: Transaction, fetches: tuple[Fetch, ...]) -> Iterator[Reading]:
        """The readings of *fetches* in their order; raises when it is the bucket that fails, not an object."""
        reader = Reader(bucket=self.bucket, store=tx, limits=self.options.limits, pause=self.options.pause)
        readings = in_order(lambda fetch: self._pool.submit(reader.read, fetch), fetches, ahead=AHEAD)
        for number, reading in enumerate(readings, start=1):
            self.progress("read", number, len(fetches))
            if isinstance(reading.error, Unavailable | AccessDenied | BucketMissing):
                self._require_bucket()
            yield reading

    def stands_for(self, path: str, gone: frozenset[str]) -> bool:
        """Whether a key in the bucket is published as *path* itself, *gone* being keys that no longer are."""
        key = f"{self._prefix}{path[1:]}"
        rows = self.ledger.rows({key, f"{key}/"} - gone)
        return any(row.is_visible for row in rows.values())


class _Change:
    """One plan being carried out in one transaction."""

    def __init__(self, sync: Sync, made: Plan, tx: Transaction) -> None:
        self._sync = sync
        self._plan = made
        self._tx = tx
        gone = frozenset(made.forget) | {row.key for row in made.record if not row.is_visible}
        self._editor = Editor(tx, made.remove, lambda path: sync.stands_for(path, gone))
        self.rows: dict[str, Row] = {}
        self.forget: set[str] = {one.key + _REPLACED for one in made.remove}
        self.again: set[str] = set()
        self.bytes = 0

    @property
    def removed(self) -> int:
        return self._editor.removed

    def apply(self, nested: frozenset[str], wanted: frozenset[str]) -> frozenset[str]:
        """Make the tree as planned; the directories that have catalogs by the settings from now on."""
        late: list[Removal] = []
        for reading in self._sync.read_all(self._tx, self._plan.fetch):
            late += self._take(reading)
        for path in sorted(wanted):
            self._editor.nest(path)
        for removal in (*self._plan.remove, *late):
            self._editor.remove(removal)
        for path in sorted(nested - wanted):
            self._editor.flatten(path)
        return wanted - self._editor.finish(wanted)

    def _take(self, reading: Reading) -> list[Removal]:
        """Put what was read; what has to go because it can no longer be shown."""
        fetch, row = reading.fetch, reading.row
        self.bytes += reading.bytes
        if reading.is_gone or reading.error is not None:
            self.again.add(fetch.key)
        try:
            if reading.entries and reading.entries[0][1].is_dir and len(reading.entries) > 1:
                self._editor.put_tree(fetch.path, reading.entries)
            else:
                for path, made in reading.entries:
                    self._editor.put(path, made)
        except (BadChange, BadPath) as error:
            assert row is not None  # noqa: S101 - what has entries has a row
            row = replace(row, state=State.REFUSED, reason=Reason.CLASH, detail=f"{error.what}: {error.why}")
        if row is None:
            self.forget.add(fetch.key)
        else:
            self.rows[fetch.key] = row
        old = fetch.known
        if old is None or not old.is_visible or (row is not None and row.covers(old)):
            return []
        return [Removal(key=old.key, path=old.path, treatment=old.treatment)]


def _intended(made: Plan) -> Iterator[Row]:
    """Rows that say, if this change is cut off, that nobody knows whether it became visible."""
    fetched = {one.key for one in made.fetch}
    for one in made.fetch:
        yield Row(
            key=one.key, fingerprint=fingerprint(one.info), path=one.path, treatment=one.treatment, state=State.PENDING
        )
    for gone in made.remove:
        key = gone.key + _REPLACED if gone.key in fetched else gone.key
        yield Row(key=key, fingerprint="", path=gone.path, treatment=gone.treatment, state=State.PENDING)
