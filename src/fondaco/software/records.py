"""The records that planning and publishing pass to each other; their enum values stand in the ledger and the API."""

from dataclasses import dataclass
from enum import StrEnum

from fondaco.backends.bucket import ObjectInfo
from fondaco.software.refusal import Reason, Refusal


class Treatment(StrEnum):
    """What a key is taken for. The values are stable: the ledger holds them."""

    FILE = "file"
    EXECUTABLE = "executable"  # a file that the settings make executable
    LINK = "link"  # rclone's marker of a symbolic link
    DIRECTORY = "directory"  # a marker: `dir/`
    ARCHIVE = "archive"  # published as what is in it; its path is that directory
    IGNORED = "ignored"  # by the settings
    SETTINGS = "settings"  # the settings file itself
    ROOT = "root"  # the marker of the published folder

    @property
    def is_silent(self) -> bool:
        """Whether nothing in the repository stands for such a key."""
        return self in (Treatment.IGNORED, Treatment.SETTINGS, Treatment.ROOT)

    @property
    def is_file(self) -> bool:
        """Whether it is one file or link at its path, not a directory."""
        return self in (Treatment.FILE, Treatment.EXECUTABLE, Treatment.LINK)


class State(StrEnum):
    """How far a key has come."""

    PENDING = "pending"  # to be published by a change that may have been cut off: what is visible is not known
    PUBLISHED = "published"  # this version, or with a reason an older one
    REFUSED = "refused"  # nothing of it is visible


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What the ledger knows of a key."""

    key: str
    fingerprint: str  # of the version that was read; "" when that is not known
    path: str  # where it is published or would be; for an archive the directory
    treatment: Treatment = Treatment.FILE
    state: State = State.PUBLISHED
    posix: str = ""  # digest of the POSIX metadata that were read
    reason: Reason | None = None
    detail: str = ""  # to the reason, or notes about metadata that could not be read

    @property
    def is_visible(self) -> bool:
        """Whether the repository may show something for this key."""
        return self.state is not State.REFUSED and not self.treatment.is_silent

    def covers(self, other: "Row") -> bool:
        """Whether publishing this leaves nothing behind of what was visible for *other*."""
        if not other.is_visible:
            return True
        one_shape = self.treatment == other.treatment or (self.treatment.is_file and other.treatment.is_file)
        return self.is_visible and self.path == other.path and one_shape


@dataclass(frozen=True, slots=True)
class Known:
    """The ledger's rows for the keys in question; `plan` uses it up.

    Ordinary files are the bulk: their keys with fingerprints alone, 1,000,000 of them take about 250 MB.
    """

    files: dict[str, str | None]  # treatment FILE, published without complaint: key → fingerprint
    others: dict[str, Row]  # all else


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """An object to read and publish."""

    key: str
    path: str
    treatment: Treatment
    info: ObjectInfo  # as it was looked at; what is read may be newer
    known: Row | None  # what was published for the key until now


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """Something that is no longer to be visible at *path* on account of *key*."""

    key: str
    path: str
    treatment: (
        Treatment  # what it was: a file, a marker's directory (which stays while it has content), an archive's tree
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to do, each list in the order of paths or keys."""

    fetch: tuple[Fetch, ...] = ()
    remove: tuple[Removal, ...] = ()
    record: tuple[Row, ...] = ()  # rows that change without anything being read: refusals, ignored keys
    forget: tuple[str, ...] = ()  # keys whose rows go
    catalogs: tuple[
        str, ...
    ] = ()  # directories that the settings make nested catalogs; all, or those of the keys in question
    unchanged: int = 0
    held: int = 0  # keys that an unconfirmed empty listing would have removed

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do, not even in the ledger."""
        return not (self.fetch or self.remove or self.record or self.forget)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a plan is about."""

    prefix: str
    whole: bool  # the listing is of the whole folder, not of some keys
    outside: frozenset[str] = (
        frozenset()
    )  # keys in question, without trailing '/', that keys not in question make directories
    confirmed_empty: bool = False  # an earlier listing was empty too
    settings_refusal: Refusal | None = None  # what is wrong with the settings file
    max_bytes: int | None = None  # objects larger than this are refused
