"""Why a key is not published: one reason per rule, and the sentence that its owner reads."""

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Every reason for which a key can be refused. The values are stable: the API and the ledger hold them."""

    OUTSIDE = "outside"
    EMPTY_PART = "empty-part"
    DOT_PART = "dot-part"
    CONTROL = "control-character"
    NOT_UTF8 = "not-utf8"
    NAME_TOO_LONG = "name-too-long"
    PATH_TOO_LONG = "path-too-long"
    RESERVED = "reserved-name"
    CLASH = "file-and-directory"
    SAME_PATH = "same-path"
    MARKER_WITH_CONTENT = "marker-with-content"
    BAD_LINK = "bad-link"
    TOO_LARGE = "too-large"
    UNREADABLE = "unreadable"
    BAD_SETTINGS = "bad-settings"
    BAD_ARCHIVE = "bad-archive"
    ARCHIVE_CLASH = "archive-directory-in-use"

    @property
    def sentence(self) -> str:
        """What the key's owner is told."""
        return _SENTENCES[self]


_SENTENCES = {
    Reason.OUTSIDE: "it lies outside the published folder",
    Reason.EMPTY_PART: "the key has an empty part ('//')",
    Reason.DOT_PART: "a part of the key is '.' or '..'",
    Reason.CONTROL: "the key has a control character (NUL, newline, …)",
    Reason.NOT_UTF8: "the key is not valid UTF-8",
    Reason.NAME_TOO_LONG: "a part of the key is longer than 255 bytes",
    Reason.PATH_TOO_LONG: "the path is longer than 4095 bytes",
    Reason.RESERVED: "the name belongs to CernVM-FS itself",
    Reason.CLASH: "other keys make a directory of this name; remove them or rename this key",
    Reason.SAME_PATH: "another key is published under the same path",
    Reason.MARKER_WITH_CONTENT: "a key that ends in '/' stands for a directory and cannot have content",
    Reason.BAD_LINK: "the target of the symbolic link is empty, too long or has a NUL",
    Reason.TOO_LARGE: "it is larger than the limit of this repository",
    Reason.UNREADABLE: "it could not be read from the bucket; it is tried again",
    Reason.BAD_SETTINGS: "the settings are wrong; the last good ones stay in force",
    Reason.BAD_ARCHIVE: "the archive cannot be unpacked",
    Reason.ARCHIVE_CLASH: "the directory to unpack it into is used by other keys",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """That something is not published, and why."""

    reason: Reason
    detail: str = ""  # what is particular to this case: a line, a limit, the other key

    def __str__(self) -> str:
        return f"{self.reason.sentence}: {self.detail}" if self.detail else self.reason.sentence
