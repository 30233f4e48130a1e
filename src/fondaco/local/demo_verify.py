"""Comparing what a repository shows with the folder that was uploaded, through the signed chain."""

import hashlib
import stat
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from fondaco.cvmfs.entry import Entry
from fondaco.cvmfs.paths import AUTO_MARKER, CATALOG_MARKER
from fondaco.cvmfs.repository import Snapshot
from fondaco.local import demo_tree
from fondaco.local.demo_tree import Item
from fondaco.local.errors import DemoFailedError

READERS = 4  # each waits for the network in turn
BLOCK_BYTES = 1 << 20
SHOWN_DIFFERENCES = 5

Progress = Callable[[int, int], None]  # files and bytes since the last call


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What was compared and found equal."""

    files: int
    links: int
    executables: int
    bytes: int


def entries(snapshot: Snapshot) -> dict[str, Entry]:
    """Every file and link of a revision; directories and the marks of nested catalogs are the repository's own."""
    return {
        path: entry
        for path, entry in snapshot.walk()
        if not entry.is_dir and entry.name not in (CATALOG_MARKER, AUTO_MARKER)
    }


def differences(shown: Mapping[str, Entry], wanted: Iterable[Item]) -> list[str]:
    """Where names, kinds, sizes, modes, times and link targets are not those of the folder; contents are not read."""
    expected = {item.path: item for item in wanted}
    found = [f"{path} should not be there" for path in shown.keys() - expected.keys()]
    for path, item in expected.items():
        why = _difference(shown.get(path), item)
        if why:
            found.append(f"{path} {why}")
    return sorted(found)


def _difference(entry: Entry | None, item: Item) -> str | None:
    if entry is None:
        return "is missing"
    if item.target is not None:
        same = entry.is_symlink and entry.symlink == item.target
        return None if same else f"is no link to {item.target!r}"
    if not entry.is_regular:
        return "is no file"
    pairs = (
        ("size", entry.size, item.size),
        ("mode", f"{stat.S_IMODE(entry.mode):o}", f"{item.mode:o}"),
        ("time", entry.mtime_ns, item.mtime_ns),
    )
    return next((f"has {name} {is_} instead of {should}" for name, is_, should in pairs if is_ != should), None)


def verify(snapshot: Snapshot, folder: Path, progress: Progress) -> Verified:
    """Read every file of the revision and compare all of it with *folder*; DemoFailedError at any difference."""
    wanted = list(demo_tree.items(folder))
    wrong = differences(entries(snapshot), wanted)
    files = [item for item in wanted if item.target is None]

    def compare(item: Item) -> str | None:
        same = _sha256(snapshot, item.path) == demo_tree.sha256(folder, item)
        progress(1, item.size)
        return None if same else f"{item.path} has other content"

    with ThreadPoolExecutor(READERS, thread_name_prefix="verify") as pool:
        wrong += [found for found in pool.map(compare, files if not wrong else []) if found]
    if wrong:
        shown = "; ".join(wrong[:SHOWN_DIFFERENCES])
        raise DemoFailedError(
            "the repository does not show what was uploaded", f"{len(wrong)} differences: {shown}", "This is a defect."
        )
    return Verified(
        files=len(files),
        links=len(wanted) - len(files),
        executables=sum(1 for item in files if item.mode & 0o111),
        bytes=sum(item.size for item in files),
    )


def _sha256(snapshot: Snapshot, path: str) -> str:
    digest = hashlib.sha256()
    with snapshot.open(path) as content:
        while block := content.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
