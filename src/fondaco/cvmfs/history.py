"""The tag database: names for revisions, so that they can be mounted, compared and kept from garbage collection.

Schema 1.0, revision 3; older revisions are brought up to it when they are opened, as the reference tools do.
Branches are kept as they are found but none are made. Source: cvmfs/history_sql.cc, cvmfs/history_sqlite.cc.
"""

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from fondaco.cvmfs import paths
from fondaco.cvmfs.digest import NULL_DIGEST_TEXT, Digest
from fondaco.cvmfs.errors import AlreadyExists, BadChange, BadName, MalformedData
from fondaco.cvmfs.sqlite_image import PropertyDatabase

TRUNK, TRUNK_DESCRIPTION = "trunk", "current HEAD"
TRUNK_PREVIOUS, TRUNK_PREVIOUS_DESCRIPTION = "trunk-previous", "default undo target"
MAX_TAG_CHARACTERS = 255  # ours: clients can show tags as directories, whose names end there

_TAG_NAME = re.compile(r"[a-zA-Z0-9_./:-]+")  # cvmfs/sanitizer.h, TagSanitizer
_MAX_INTEGER = (1 << 63) - 1  # of SQLite

_BRANCHES_DDL = (
    "CREATE TABLE branches (branch TEXT, parent TEXT, initial_revision INTEGER,"
    "  CONSTRAINT pk_branch PRIMARY KEY (branch), "
    "  FOREIGN KEY (parent) REFERENCES branches (branch), "
    "  CHECK ((branch <> '') OR (parent IS NULL)), "
    "  CHECK ((branch = '') OR (parent IS NOT NULL)));",
    "INSERT INTO branches (branch, parent, initial_revision) VALUES ('', NULL, 0);",
)
_TAGS_DDL = (
    "CREATE TABLE tags (name TEXT, hash TEXT, revision INTEGER, "
    "  timestamp INTEGER, channel INTEGER, description TEXT, size INTEGER, "
    "  branch TEXT, CONSTRAINT pk_tags PRIMARY KEY (name), "
    "  FOREIGN KEY (branch) REFERENCES branches (branch));"
)
_RECYCLE_BIN_DDL = "CREATE TABLE recycle_bin (hash TEXT, flags INTEGER,   CONSTRAINT pk_hash PRIMARY KEY (hash))"

_SELECT = "SELECT name, hash, revision, timestamp, coalesce(description, ''), coalesce(size, 0) FROM tags "

_ABANDONED = (
    "SELECT branch, parent FROM branches"
    " WHERE branch <> '' AND branch NOT IN (SELECT branch FROM tags) ORDER BY branch LIMIT 1"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """A name for a revision."""

    name: str
    root: Digest  # root catalog
    revision: int
    timestamp: int  # seconds since 1970, of the revision
    size: int = 0  # bytes of the uncompressed root catalog; 0: not recorded
    description: str = ""


class History(PropertyDatabase):
    """The tags of one repository. Every publish writes a new one, linked to the one before."""

    what = "tag database"
    schema_revision = 3
    ddl = (*_BRANCHES_DDL, _TAGS_DDL, _RECYCLE_BIN_DDL)

    def tags(self) -> list[Tag]:
        """All tags, the newest revision first."""
        return [self._tag(row) for row in self._rows(_SELECT + "ORDER BY timestamp DESC, revision DESC, name")]

    def find(self, name: str) -> Tag | None:
        """The tag of that name, None if there is none."""
        try:
            key = paths.encode(name)
        except UnicodeEncodeError:
            return None
        for row in self._rows(_SELECT + "WHERE name = CAST(? AS TEXT)", (key,)):
            return self._tag(row)
        return None

    def check_free(self, name: str) -> None:
        """BadName for a name that no tag can have, AlreadyExists for one that is taken."""
        check_tag_name(name)
        if self.find(name) is not None:
            raise AlreadyExists(f"there is a tag {name!r} already", "tags are not moved unasked", "choose another name")

    def put(self, tag: Tag) -> None:
        """Record a tag, or move the one of that name. BadName, or BadChange for values that cannot be stored."""
        check_tag_name(tag.name)
        self._put(tag)

    def remove(self, name: str) -> bool:
        """Forget a tag; whether there was one. BadName for trunk and its predecessor."""
        check_tag_name(name)
        existed = self.find(name) is not None
        self._run("DELETE FROM tags WHERE name = ?", (name,))
        self._prune_branches()
        return existed

    def roll_back(self, target: Tag, here: Tag) -> list[Tag]:
        """Make the tags what they were at *target*, which *here* takes the place of; the tags that went for it.

        As the reference does: what is newer than *target* goes, a tag that *target* names moves to *here*, and nothing
        is left to undo. Source: ``ROLLBACK_COND`` in cvmfs/history_sql.cc, cvmfs/swissknife_history.cc.
        """
        newer = "FROM tags WHERE (revision > ? OR name IN (?, ?)) AND branch = ''"
        values = (target.revision, TRUNK, TRUNK_PREVIOUS)
        names = {name for (name,) in self._rows(f"SELECT name {newer}", values)}
        gone = [tag for tag in self.tags() if tag.name in names - {TRUNK, TRUNK_PREVIOUS, target.name}]
        self._run(f"DELETE {newer}", values)
        if target.name not in ("", TRUNK, TRUNK_PREVIOUS):
            self._put(replace(here, name=target.name, description=target.description))
        self._put(replace(here, name=TRUNK, description=TRUNK_DESCRIPTION))
        self.compact()
        return gone

    def compact(self) -> None:
        """Give back the room of tags that went, so that it is not stored again with every revision."""
        self._run("VACUUM")

    @property
    def previous_revision(self) -> Digest | None:
        """The tag database of the revision before, None in a first one."""
        text = self._property("previous_revision")
        if text is None or text.startswith(NULL_DIGEST_TEXT):
            return None
        return Digest.parse(text)

    @previous_revision.setter
    def previous_revision(self, digest: Digest | None) -> None:
        self._set_property("previous_revision", NULL_DIGEST_TEXT if digest is None else str(digest))

    def _put(self, tag: Tag) -> None:
        for value in (tag.revision, tag.timestamp, tag.size):
            if not 0 <= value <= _MAX_INTEGER:
                raise BadChange(f"tag {tag.name!r} cannot be stored", f"{value} is out of range", "check its values")
        if "\0" in tag.description:
            raise BadChange(f"tag {tag.name!r} cannot be stored", "its description holds a NUL", "leave it out")
        self._run(
            "INSERT INTO tags (name, hash, revision, timestamp, channel, description, size, branch)"
            " VALUES (?, ?, ?, ?, 0, CAST(? AS TEXT), ?, '') ON CONFLICT (name) DO UPDATE SET hash = excluded.hash,"
            " revision = excluded.revision, timestamp = excluded.timestamp, channel = 0,"
            " description = excluded.description, size = excluded.size, branch = ''",
            (tag.name, str(tag.root), tag.revision, tag.timestamp, _encoded(tag), tag.size),
        )
        self._prune_branches()

    def _prune_branches(self) -> None:
        """Drop branches without tags, which the reference checker objects to; their children go to their parent."""
        for _ in self._rows("SELECT 1 FROM branches WHERE branch <> ''"):
            for branch, parent in self._rows(_ABANDONED):
                self._run("UPDATE branches SET parent = ? WHERE parent = ?", (parent, branch))
                self._run("DELETE FROM branches WHERE branch = ?", (branch,))

    def _upgrade(self, revision: int) -> None:
        if revision < 1:
            self._run("ALTER TABLE tags ADD size INTEGER;")
        if revision < 2:
            self._run(_RECYCLE_BIN_DDL)
        if revision < 3:
            for statement in _BRANCHES_DDL:
                self._run(statement)
            self._run("ALTER TABLE tags ADD branch TEXT REFERENCES branches (branch);")
            self._run("UPDATE tags SET branch = '';")
            self._run("DELETE FROM recycle_bin;")
            self._set_property("schema_revision", str(self.schema_revision))

    def _tag(self, row: tuple[Any, ...]) -> Tag:
        match row:
            case (str(name), str(text), int(revision), int(timestamp), str(description), int(size)) if (
                min(revision, timestamp, size) >= 0
            ):
                root = Digest.parse(text)
                return Tag(
                    name=name, root=root, revision=revision, timestamp=timestamp, size=size, description=description
                )
        raise MalformedData(f"a {self.what} cannot be read", f"a tag has wrong values: {row!r:.200}", "run check")


def check_tag_name(name: str) -> str:
    """*name* if a user's tag may have it, else BadName (``CheckTagName`` in cvmfs/publish/repository_tags.cc)."""
    if name in (TRUNK, TRUNK_PREVIOUS):
        why = "every publish moves that tag"
    elif len(name) > MAX_TAG_CHARACTERS:
        why = f"it is longer than {MAX_TAG_CHARACTERS} characters"
    elif not _TAG_NAME.fullmatch(name):
        why = "only ASCII letters, digits and - _ . / : are allowed, at least one of them"
    else:
        return name
    raise BadName(f"{name[:80]!r} cannot be the name of a tag", why, "choose another name")


def rotate_trunk(history: History, head: Tag) -> None:
    """Make ``trunk`` the new *head* (its name and description do not count) and ``trunk-previous`` what it was."""
    former = history.find(TRUNK)
    if former is not None:
        history._put(replace(former, name=TRUNK_PREVIOUS, description=TRUNK_PREVIOUS_DESCRIPTION))
    history._put(replace(head, name=TRUNK, description=TRUNK_DESCRIPTION))


def automatic_tag(head: Tag) -> Tag:
    """*head* under the name that the reference publisher gives every revision: ``generic-`` and its time.

    Two revisions of one second have the same name: putting the second moves the tag.
    """
    time = datetime.fromtimestamp(head.timestamp, UTC)
    return replace(head, name=f"generic-{time:%Y-%m-%dT%H:%M:%SZ}", description="")


def _encoded(tag: Tag) -> bytes:
    try:
        return paths.encode(tag.description)
    except UnicodeEncodeError as error:
        raise BadChange(f"tag {tag.name!r} cannot be stored", "its description is no text", "retype it") from error
