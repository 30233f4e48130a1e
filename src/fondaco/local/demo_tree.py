"""The tree that the demonstration uploads: Python's standard library, copied so that it can be changed.

Objects carry modes and times as rclone writes them (`rclone sync --metadata --links`).
"""

import hashlib
import os
import shutil
import stat
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fondaco.software.keys import DEFAULT_PREFIX, LINK_SUFFIX

ENOUGH_FILES = 2_000  # some systems split the library up; installed packages fill up what is missing
PYTHON = f"lib/python{sys.version_info.major}.{sys.version_info.minor}"
SCRIPT = "#!/bin/sh\necho 'Hello from CernVM-FS'\n"
NANO = 1_000_000_000
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "site-packages", "dist-packages", "*.pyc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A file or a link as it lies on the disk."""

    path: str  # "/lib/python3.11/os.py"
    size: int  # bytes
    mode: int  # permissions; 0 for a link, which has none of its own
    mtime_ns: int  # nanoseconds since 1970
    target: str | None = None  # where a link points to; None for a file

    @property
    def key(self) -> str:
        """The object's key in the bucket."""
        return DEFAULT_PREFIX + self.path[1:] + (LINK_SUFFIX if self.target is not None else "")

    @property
    def metadata(self) -> dict[str, str]:
        """The object's metadata as rclone writes them."""
        told = {"mtime": f"{self.mtime_ns // NANO}.{self.mtime_ns % NANO:09d}"}
        return told if self.target is not None else told | {"mode": f"{stat.S_IFREG | self.mode:o}"}


def make_tree(folder: Path) -> None:
    """Fill *folder*: the library, a script, links in all the ways people use them."""
    _copy(Path(sysconfig.get_path("stdlib")), folder / PYTHON)
    _fill_up(folder / PYTHON / "site-packages", sum(1 for _ in items(folder)))
    programs = folder / "bin"
    programs.mkdir()
    (programs / "hello").write_text(SCRIPT)
    (programs / "hello").chmod(0o755)
    (programs / "greet").symlink_to("hello")
    (programs / "json-tool.py").symlink_to(f"../{PYTHON}/json/tool.py")
    (folder / "lib" / "python3").symlink_to(PYTHON.removeprefix("lib/"))


def items(folder: Path) -> Iterator[Item]:
    """Every file and link below *folder*."""
    for here, folders, names in os.walk(folder):
        links = [name for name in folders if Path(here, name).is_symlink()]
        for name in sorted([*names, *links]):
            yield item(folder, Path(here, name))


def item(folder: Path, file: Path) -> Item:
    """One file or link below *folder*."""
    status = file.lstat()
    path = f"/{file.relative_to(folder)}"
    if stat.S_ISLNK(status.st_mode):
        target = os.readlink(file)  # noqa: PTH115 - Path.readlink would tidy "./x" up
        return Item(path=path, size=len(os.fsencode(target)), mode=0, mtime_ns=status.st_mtime_ns, target=target)
    return Item(path=path, size=status.st_size, mode=stat.S_IMODE(status.st_mode) & 0o777, mtime_ns=status.st_mtime_ns)


def content(folder: Path, one: Item) -> bytes:
    """What its object holds."""
    return os.fsencode(one.target) if one.target is not None else (folder / one.path[1:]).read_bytes()


def sha256(folder: Path, one: Item) -> str:
    """Of a file's content."""
    with (folder / one.path[1:]).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What a person did to the tree after the first upload."""

    changed: tuple[Item, ...]
    added: tuple[Item, ...]
    removed: tuple[Item, ...]


def change(folder: Path) -> Changes:
    """Change contents and a mode, add a file and links, turn a link around, delete a file and a link."""
    library = folder / PYTHON
    gone = [item(folder, file) for file in (library / "antigravity.py", folder / "bin" / "json-tool.py")]
    for one in gone:
        (folder / one.path[1:]).unlink()
    with (library / "this.py").open("a") as file:
        file.write("\n# Changed by the demonstration.\n")
    (folder / "bin" / "hello").write_text(SCRIPT.replace("Hello", "Hello again"))
    program = library / "timeit.py"
    program.chmod(stat.S_IMODE(program.stat().st_mode) ^ 0o111)  # executable in some libraries, not in others
    (folder / "bin" / "greet").unlink()
    (folder / "bin" / "greet").symlink_to(f"../{PYTHON}/this.py")
    notes = folder / "share" / "notes"
    notes.mkdir(parents=True)
    (notes / "ünïcode & spaces.txt").write_text("A name with more than letters.\n")
    (notes / "latest").symlink_to("ünïcode & spaces.txt")
    return Changes(
        changed=_all(folder, (f"{PYTHON}/this.py", "bin/hello", f"{PYTHON}/timeit.py", "bin/greet")),
        added=_all(folder, ("share/notes/ünïcode & spaces.txt", "share/notes/latest")),
        removed=tuple(gone),
    )


def _all(folder: Path, paths: Iterable[str]) -> tuple[Item, ...]:
    return tuple(item(folder, folder / path) for path in paths)


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target, symlinks=True, ignore=_LEFT_OUT)
    for here, _, _ in os.walk(target, topdown=False):  # a bucket has no empty directories
        if not os.listdir(here):  # noqa: PTH208 - os.walk gives texts
            Path(here).rmdir()


def _fill_up(folder: Path, present: int) -> None:
    for package in sorted(Path(sysconfig.get_path("purelib")).iterdir()):
        if present >= ENOUGH_FILES:
            return
        if package.is_dir() and package.name != "__pycache__":
            _copy(package, folder / package.name)
            present += sum(1 for _ in items(folder / package.name))
