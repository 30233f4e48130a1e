"""What a check can find; the table for people is docs/check.md."""

from dataclasses import dataclass, field
from enum import StrEnum

from fondaco.cvmfs.paths import encode

MAX_FINDINGS = 10_000  # kept of one check; a repository without its objects would fill the memory


class Code(StrEnum):
    """Kinds of findings, by the short names that scripts may rely on; docs/check.md says what each means."""

    # Root files and what the manifest names
    MANIFEST = "manifest"
    UNTRUSTED = "untrusted"
    WHITELIST_EXPIRED = "whitelist-expired"
    METAINFO = "metainfo"
    ALTERNATIVE_PATH = "alternative-path"
    REVISION = "revision"
    PREVIOUS_REVISION = "previous-revision"
    REFLOG = "reflog"
    REFLOG_INCOMPLETE = "reflog-incomplete"
    HISTORY = "history"
    BRANCH = "branch"
    TAG = "tag"
    TAG_SIZE = "tag-size"
    # Objects
    OBJECT_MISSING = "object-missing"
    OBJECT_DAMAGED = "object-damaged"
    # Catalogs
    CATALOG_UNREADABLE = "catalog-unreadable"
    CATALOG_SIZE = "catalog-size"
    JOURNAL_MODE = "journal-mode"
    SCHEMA = "schema"
    PROPERTY = "property"
    ROOT_PREFIX = "root-prefix"
    ROOT_ROW = "root-row"
    ROOT_ROWID = "root-rowid"
    COUNTER_MISSING = "counter-missing"
    COUNTER = "counter"
    INDEX_MISSING = "index-missing"
    # Nested catalogs
    TRANSITION = "transition"
    NOT_REGISTERED = "not-registered"
    NO_MOUNTPOINT = "no-mountpoint"
    MOUNTPOINT_NOT_EMPTY = "mountpoint-not-empty"
    MARKER_MISSING = "marker-missing"
    MARKER_ABANDONED = "marker-abandoned"
    # Rows
    COLUMN_TYPE = "column-type"
    NAME = "name"
    PATH_KEY = "path-key"
    PARENT_KEY = "parent-key"
    DANGLING = "dangling"
    KIND = "kind"
    FLAGS = "flags"
    HASH = "hash"
    SIZE = "size"
    SYMLINK = "symlink"
    XATTRS = "xattrs"
    TIME = "time"
    LINK_COUNT = "link-count"
    HARD_LINK = "hard-link"
    CHUNKS = "chunks"
    ONE_CHUNK = "one-chunk"
    CHUNKS_DANGLING = "chunks-dangling"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong, and where."""

    code: Code
    path: str  # inside the repository ("" for its root), or the name of a root file
    message: str  # what is wrong there

    def __str__(self) -> str:
        shown = encode(self.path).decode("utf-8", "backslashreplace") or "/"
        return f"{shown}: {self.message} [{self.code.value}]"


@dataclass(slots=True, kw_only=True)
class Totals:
    """How much was looked at."""

    catalogs: int = 0
    entries: int = 0  # rows of catalogs
    objects: int = 0  # looked up in the store, each once
    bytes: int = 0  # content read and verified


@dataclass(slots=True, kw_only=True)
class Report:
    """The result of a check."""

    findings: list[Finding] = field(default_factory=list)
    more: int = 0  # findings beyond MAX_FINDINGS, only counted
    totals: Totals = field(default_factory=Totals)

    @property
    def clean(self) -> bool:
        return not self.findings

    def add(self, code: Code, path: str, message: str) -> None:
        """Note that something is wrong."""
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(Finding(code, path, message))
        else:
            self.more += 1
