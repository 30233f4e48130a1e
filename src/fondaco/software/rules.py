"""The user's settings: `.fondaco.toml` in the published folder of the bucket.

executables = ["bin/*", "*.sh"]          # may be run whatever the metadata say
ignore = [".DS_Store", "scratch/"]       # not published
catalogs = ["releases/*"]                # directories that become nested catalogs

[[unpack]]
archive = "dist/*.tar.gz"                # published as what is in it …
into = "software/{name}"                 # … here; {name}: file name without archive suffix, {directory}: where it lies
"""

import hashlib
import json
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from fondaco.cvmfs.paths import name_of, parent_of
from fondaco.software import globs
from fondaco.software.errors import BadSettings

MAX_SETTINGS_BYTES = 64 * 1024
ARCHIVE_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".zip")
_FIELDS = re.compile(r"\{([^{}]*)\}")


def _glob(pattern: str) -> str:
    globs.check(pattern)
    return pattern


def _template(text: str) -> str:
    unknown = set(_FIELDS.findall(text)) - {"name", "directory"}
    if unknown or "{" in _FIELDS.sub("", text) or "}" in _FIELDS.sub("", text):
        raise ValueError("only {name} and {directory} can be filled in")
    if not text.strip("/"):
        raise ValueError("an archive is unpacked into a directory of its own, not into the root")
    return text


Glob = Annotated[str, AfterValidator(_glob)]
Template = Annotated[str, AfterValidator(_template)]


class Unpack(BaseModel):
    """Archives that are published as what is in them."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    archive: Glob
    into: Template

    def directory(self, path: str) -> str:
        """Where the archive at *path* ("/dist/x.tar.gz") goes: a path that still has to be judged ("/software/x")."""
        name = name_of(path)
        suffix = max((end for end in ARCHIVE_SUFFIXES if name.lower().endswith(end)), key=len, default="")
        filled = self.into.replace("{name}", name[: len(name) - len(suffix)]).replace(
            "{directory}", parent_of(path).strip("/")
        )
        return "/" + filled.strip("/")


class _File(BaseModel):
    """What the file may say."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    executables: list[Glob] = []
    ignore: list[Glob] = []
    catalogs: list[Glob] = []
    unpack: list[Unpack] = []


@dataclass(frozen=True)
class Rules:
    """Settings ready for use; paths are given as "/a/b"."""

    executables: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    catalogs: tuple[str, ...] = ()
    unpack: tuple[Unpack, ...] = ()
    _unpackers: tuple[Callable[[str], bool], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_unpackers", tuple(globs.compile_globs([one.archive]) for one in self.unpack))

    @cached_property
    def digest(self) -> str:
        """A short name for what the settings mean: equal exactly when they mean the same."""
        lists = [self.executables, self.ignore, self.catalogs, [(one.archive, one.into) for one in self.unpack]]
        return hashlib.sha256(json.dumps(lists).encode()).hexdigest()[:16]

    def is_executable(self, path: str) -> bool:
        return self._executable(path[1:])

    def is_ignored(self, path: str) -> bool:
        return self._ignored(path[1:])

    def is_catalog(self, path: str) -> bool:
        """Whether the directory *path* is to have a catalog of its own; the root always has."""
        return path != "" and self._catalog(path[1:])

    def unpacks_into(self, path: str) -> str | None:
        """The directory for the archive at *path*; None when it is no archive or no rule names it."""
        if not path.lower().endswith(ARCHIVE_SUFFIXES):
            return None
        for one, matches in zip(self.unpack, self._unpackers, strict=True):
            if matches(path[1:]):
                return one.directory(path)
        return None

    @cached_property
    def _executable(self) -> Callable[[str], bool]:
        return globs.compile_globs(self.executables)

    @cached_property
    def _ignored(self) -> Callable[[str], bool]:
        return globs.compile_globs(self.ignore)

    @cached_property
    def _catalog(self) -> Callable[[str], bool]:
        return globs.compile_globs(self.catalogs)


def parse(raw: bytes, *, name: str = ".fondaco.toml") -> Rules:
    """The settings in a file; BadSettings with the line that is wrong."""
    if len(raw) > MAX_SETTINGS_BYTES:
        raise _bad(name, 1, f"the file has more than {MAX_SETTINGS_BYTES} bytes")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _bad(name, raw[: error.start].count(b"\n") + 1, "the file is not UTF-8") from error
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _bad(name, _toml_line(str(error), text), str(error)) from error
    try:
        told = _File.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        raise _bad(name, _line_of(text, first["loc"], first["input"]), _say(first)) from error
    return Rules(tuple(told.executables), tuple(told.ignore), tuple(told.catalogs), tuple(told.unpack))


def _toml_line(message: str, text: str) -> int:
    found = re.search(r"at line (\d+)", message)
    return int(found.group(1)) if found else text.count("\n") + 1


def _say(fault: Any) -> str:
    where = ".".join(str(part) for part in fault["loc"])
    why = "there is no such setting" if fault["type"] == "extra_forbidden" else str(fault["msg"])
    return f"{where}: {why.removeprefix('Value error, ')}"


def _line_of(text: str, location: tuple[int | str, ...], value: object) -> int:
    """The line of a setting: that of its table or name, then that of the value if it stands further down."""
    lines = text.split("\n")
    line = 0
    for depth, part in enumerate(location):
        if isinstance(part, str):
            name = re.escape(part)
            repeat = location[depth + 1] if depth + 1 < len(location) else 0
            tables = [n for n, one in enumerate(lines) if re.match(rf"\s*\[\[\s*\"?{name}\"?\s*\]\]", one)]
            if tables and isinstance(repeat, int) and repeat < len(tables):
                line = tables[repeat]
                continue
            named = re.compile(rf"\s*(?:\[\s*)?[\"']?{name}[\"']?\s*[=.\]]")
            line = next((n for n in range(line, len(lines)) if named.match(lines[n])), line)
    if isinstance(value, str) and value and isinstance(location[-1], int):
        line = next((n for n in range(line, len(lines)) if value in lines[n]), line)
    return line + 1


def _bad(name: str, line: int, why: str) -> BadSettings:
    return BadSettings(
        f"{name}, line {line}", why, "mend it and upload it again; until then the last good settings hold"
    )
