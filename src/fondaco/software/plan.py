"""What to change: from what the bucket holds and what was last done, to a plan. Nothing is read or written here.

A plan over the whole folder comes from a listing, a plan over some keys from looking at just those; both are made by
`plan` and mean the same. Rules that hold for either:

* a key is published at its path or refused with a reason, never dropped;
* where keys want to be a file and a directory of one name, the directory wins: the file can be renamed alone;
* of a plain key and a link marker for one path the plain key wins;
* an archive is unpacked only into a directory that no other key uses;
* an empty listing where something was published is held back until a later listing confirms it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from fondaco.backends.bucket import ObjectInfo
from fondaco.cvmfs import paths
from fondaco.cvmfs.paths import CATALOG_MARKER
from fondaco.software import posix
from fondaco.software.keys import LINK_SUFFIX, SETTINGS_NAME, place
from fondaco.software.records import Fetch, Known, Plan, Removal, Row, Scope, State, Treatment
from fondaco.software.refusal import Reason, Refusal
from fondaco.software.rules import Rules

_BY_CONTENT = frozenset({Reason.BAD_LINK, Reason.BAD_ARCHIVE})  # hold until the object or its treatment changes


def fingerprint(info: ObjectInfo) -> str:
    """What tells one version of an object from the next."""
    return f"{info.etag} {info.size} {info.modified}"


def plan(
    looked: Iterable[ObjectInfo], known: Known, rules: Rules, scope: Scope, *, rules_changed: bool = False
) -> Plan:
    """The plan for the objects *looked* at, where *known* holds rows of exactly the keys in question.

    Known keys that are not among *looked* are gone. An error of the listing passes through: a part of a listing is no
    listing. *rules_changed*: the ledger's treatments come from other settings.
    """
    work = _Work(known, rules, scope)
    for info in looked:
        if rules_changed or not work.pass_unchanged_file(info):
            work.judge(info)
    if scope.whole and not work.has_content and not scope.confirmed_empty:
        held = sum(row.is_visible for row in work.unlisted())
        if held:
            return Plan(held=held)
    work.settle_archives()
    work.settle_files()
    return work.result()


@dataclass(slots=True)
class _Wish:
    """A listed key that is not an unchanged ordinary file."""

    info: ObjectInfo
    path: str
    treatment: Treatment
    refusal: Refusal | None = None


@dataclass(slots=True)
class _Work:
    known: Known
    rules: Rules
    scope: Scope
    wishes: dict[str, _Wish] = field(default_factory=dict)  # by key
    directories: set[str] = field(default_factory=set)  # as keys without trailing '/', the folder itself included
    links: dict[str, str] = field(default_factory=dict)  # path → key of its link marker
    unchanged: int = 0
    has_content: bool = False  # whether anything listed may be visible

    # -- one object after the other --------------------------------------------------------------------------------

    def pass_unchanged_file(self, info: ObjectInfo) -> bool:
        """Count *info* off when it is an ordinary file that was published so; the one fast way through."""
        known = self.known.files.get(info.key)
        if known != f"{info.etag} {info.size} {info.modified}":  # fingerprint(), a call less for each of 1,000,000 keys
            return False
        self.known.files[info.key] = None  # seen
        self.unchanged += 1
        self.has_content = True
        parent = info.key.rpartition("/")[0]
        if parent not in self.directories:
            self._add_directories(parent)
        return True

    def judge(self, info: ObjectInfo) -> None:
        """Decide what a key is by itself."""
        wish = self._wish(info)
        if wish.treatment is Treatment.FILE and wish.refusal is None and self.pass_unchanged_file(info):
            return
        self.wishes[info.key] = wish
        if wish.refusal or wish.treatment.is_silent:
            return
        self.has_content = True
        if wish.treatment is Treatment.LINK:
            self.links[wish.path] = info.key
        if wish.treatment is Treatment.DIRECTORY:
            self._add_directories(self._stem(wish.path))
        elif wish.treatment is not Treatment.ARCHIVE:
            self._add_directories(self._stem(paths.parent_of(wish.path)))

    def _wish(self, info: ObjectInfo) -> _Wish:
        judged = place(info.key, self.scope.prefix)
        if isinstance(judged, Refusal):
            return _Wish(info, "", Treatment.FILE, judged)
        path = judged.path
        if judged.is_directory:
            treatment = Treatment.DIRECTORY if path else Treatment.ROOT
            refusal = Refusal(reason=Reason.MARKER_WITH_CONTENT) if info.size else None
            ignored = path and self.rules.is_ignored(path)
            return _Wish(info, path, Treatment.IGNORED if ignored else treatment, None if ignored else refusal)
        if path == f"/{SETTINGS_NAME}":
            return _Wish(info, path, Treatment.SETTINGS, self.scope.settings_refusal)
        if self.rules.is_ignored(path):
            return _Wish(info, path, Treatment.IGNORED)
        wish = self._content_wish(info, path)
        if self.scope.max_bytes is not None and info.size > self.scope.max_bytes:
            wish.refusal = Refusal(
                reason=Reason.TOO_LARGE, detail=f"{info.size} of at most {self.scope.max_bytes} bytes"
            )
        return wish

    def _content_wish(self, info: ObjectInfo, path: str) -> _Wish:
        target = path.removesuffix(LINK_SUFFIX)
        if target != path and paths.name_of(target):
            return _Wish(info, target, Treatment.LINK, self._misplaced_link(target))
        directory = self.rules.unpacks_into(path)
        if directory is not None:
            judged = place(f"{self.scope.prefix}{directory[1:]}/", self.scope.prefix)
            if isinstance(judged, Refusal):
                detail = f"its directory would be {directory!r}: {judged}"
                return _Wish(info, directory, Treatment.ARCHIVE, Refusal(reason=Reason.BAD_ARCHIVE, detail=detail))
            return _Wish(info, judged.path, Treatment.ARCHIVE)
        return _Wish(info, path, Treatment.EXECUTABLE if self.rules.is_executable(path) else Treatment.FILE)

    def _misplaced_link(self, target: str) -> Refusal | None:
        judged = place(f"{self.scope.prefix}{target[1:]}", self.scope.prefix)
        if isinstance(judged, Refusal):
            return judged
        if paths.name_of(target) == CATALOG_MARKER or target == f"/{SETTINGS_NAME}":
            return Refusal(reason=Reason.RESERVED, detail=f"{target!r} cannot be a link")
        return None

    # -- all of them together --------------------------------------------------------------------------------------

    def settle_archives(self) -> None:
        """Give each archive its directory unless other keys use it; of two archives for one the first key has it."""
        taken: set[str] = set()
        above: set[str] = set()  # directories that hold one of them
        archives = [
            key for key, wish in self.wishes.items() if wish.treatment is Treatment.ARCHIVE and not wish.refusal
        ]
        for key in sorted(archives):
            wish = self.wishes[key]
            ancestors = set(paths.ancestors(wish.path))
            used = self._stem(wish.path) in self.directories or self._file_at(wish.path) is not None
            if used or wish.path in taken | above or ancestors & taken:
                wish.refusal = Refusal(reason=Reason.ARCHIVE_CLASH, detail=wish.path)
            else:
                taken.add(wish.path)
                above |= ancestors
        for path in taken:
            self._add_directories(self._stem(path))

    def settle_files(self) -> None:
        """Refuse files where there are directories, and links where there are files."""
        for stem in self.directories | self.scope.outside:
            key = self._file_at(self._path(stem)) if stem != self._root else None
            while key is not None:
                self._refuse(key, Refusal(reason=Reason.CLASH))
                key = self._file_at(self._path(stem))
        for path, key in self.links.items():
            plain = self._stem(path)
            if self.wishes[key].refusal is None and self._is_file(plain):
                self._refuse(key, Refusal(reason=Reason.SAME_PATH, detail=plain))

    def _file_at(self, path: str) -> str | None:
        """The listed key that would be a file or link at *path* and is not refused."""
        plain = self._stem(path)
        if self._is_file(plain):
            return plain
        link = self.links.get(path)
        return link if link is not None and self.wishes[link].refusal is None else None

    def _is_file(self, key: str) -> bool:
        wish = self.wishes.get(key)
        if wish is not None:
            return wish.refusal is None and wish.treatment.is_file and wish.path == self._path(key)
        return key in self.known.files and self.known.files[key] is None

    def _refuse(self, key: str, refusal: Refusal) -> None:
        wish = self.wishes.get(key)
        if wish is None:  # an unchanged ordinary file so far
            self.unchanged -= 1
            wish = self.wishes[key] = _Wish(_unknown(key), self._path(key), Treatment.FILE)
        wish.refusal = refusal

    # -- the plan --------------------------------------------------------------------------------------------------

    def result(self) -> Plan:
        fetch: dict[str, Fetch] = {}
        record: list[Row] = []
        replaced: list[Row] = []  # of which nothing may stay visible
        same: list[str] = []
        for key, wish in self.wishes.items():
            row = self._known(key)
            now = self._row(key, wish, row)
            if row is not None and not now.covers(row):
                replaced.append(row)
            if row is not None and self._same(wish, row, now):
                same.append(key)
            elif now.state is State.PENDING:
                fetch[key] = Fetch(key=key, path=now.path, treatment=now.treatment, info=wish.info, known=row)
            else:
                record.append(now)
        gone = list(self.unlisted())
        replaced += [row for row in gone if row.is_visible]
        for row in replaced:  # a publish that was cut off may have put one key's file in the place of another's
            occupant = self._file_at(row.path)
            if occupant is not None and occupant not in fetch:
                fetch[occupant] = self._fetch_again(occupant, row.path)
        removals = [Removal(key=row.key, path=row.path, treatment=row.treatment) for row in replaced]
        return Plan(
            fetch=tuple(sorted(fetch.values(), key=lambda one: (one.path, one.key))),
            remove=tuple(sorted(removals, key=lambda one: (one.path, one.key))),
            record=tuple(sorted(record, key=lambda one: one.key)),
            forget=tuple(sorted(row.key for row in gone)),
            catalogs=self._catalogs(),
            unchanged=self.unchanged + sum(key not in fetch for key in same),
        )

    def _fetch_again(self, key: str, path: str) -> Fetch:
        wish = self.wishes.get(key)
        if wish is None:
            self.unchanged -= 1
            return Fetch(key=key, path=path, treatment=Treatment.FILE, info=_unknown(key), known=None)
        return Fetch(key=key, path=path, treatment=wish.treatment, info=wish.info, known=None)

    def unlisted(self) -> Iterator[Row]:
        """The rows of keys that were not listed, refused ones too."""
        for key, value in self.known.files.items():
            if value is not None and key not in self.wishes:
                yield Row(key=key, fingerprint=value, path=self._path(key))
        for key, row in self.known.others.items():
            if key not in self.wishes:
                yield row

    def _row(self, key: str, wish: _Wish, row: Row | None) -> Row:
        """The row that this plan would leave; PENDING for what has to be read first."""
        print_ = fingerprint(wish.info)
        now = Row(key=key, fingerprint=print_, path=wish.path, treatment=wish.treatment, state=State.PENDING)
        if wish.refusal is not None:
            return replace(now, state=State.REFUSED, reason=wish.refusal.reason, detail=wish.refusal.detail)
        if wish.treatment.is_silent:
            return replace(now, state=State.PUBLISHED)
        if row is not None and row.reason in _BY_CONTENT and _version(row) == _version(now):
            return row
        return now

    def _same(self, wish: _Wish, row: Row, now: Row) -> bool:
        """Whether *row* says already what *now* would."""
        if now.state is not State.PENDING:
            return replace(row, fingerprint="", posix="") == replace(now, fingerprint="", posix="")
        same_metadata = self.scope.whole or row.posix == posix.digest(wish.info.metadata)
        is_good = row.state is State.PUBLISHED and row.reason is None
        return is_good and same_metadata and _version(row) == _version(now)

    def _known(self, key: str) -> Row | None:
        if key in self.known.others:
            return self.known.others[key]
        if key not in self.known.files:
            return None
        return Row(key=key, fingerprint=self.known.files[key] or "", path=self._path(key))

    def _catalogs(self) -> tuple[str, ...]:
        if not self.rules.catalogs:
            return ()
        return tuple(sorted(path for path in map(self._path, self.directories) if self.rules.is_catalog(path)))

    # -- keys as directories ---------------------------------------------------------------------------------------

    @property
    def _root(self) -> str:
        return self.scope.prefix.removesuffix("/")

    def _stem(self, path: str) -> str:
        return self.scope.prefix + path[1:] if path else self._root

    def _path(self, stem: str) -> str:
        return "/" + stem[len(self.scope.prefix) :] if stem != self._root else ""

    def _add_directories(self, stem: str) -> None:
        while stem not in self.directories:
            self.directories.add(stem)
            if stem == self._root:
                return
            stem = self._stem(paths.parent_of(self._path(stem)))


def _version(row: Row) -> tuple[str, str, Treatment]:
    return row.fingerprint, row.path, row.treatment


def _unknown(key: str) -> ObjectInfo:
    return ObjectInfo(key, 0, "", 0)
