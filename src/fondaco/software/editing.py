"""Putting entries into a repository's tree as a bucket implies them: directories come and go with what is in them."""

from collections.abc import Callable, Iterable, Iterator, Set
from typing import Protocol

from fondaco.cvmfs import entry, paths
from fondaco.cvmfs.entry import Content, Entry
from fondaco.cvmfs.errors import BadChange
from fondaco.cvmfs.paths import AUTO_MARKER, CATALOG_MARKER
from fondaco.software.posix import DIRECTORY_MODE
from fondaco.software.records import Removal, Treatment


class Tree(Protocol):
    """The part of a transaction that changes paths; for one thread."""

    def lookup(self, path: str) -> Entry | None: ...

    def children(self, path: str) -> Iterator[Entry]: ...

    def put(self, path: str, entry: Entry, /) -> bool: ...

    def remove(self, path: str) -> bool: ...

    def store_whole(self, data: bytes) -> Content: ...


class Editor:
    """One change: first puts, then catalogs, then removals, then `finish`. What was put is never removed again."""

    def __init__(self, tree: Tree, doomed: Iterable[Removal], is_marked: Callable[[str], bool]) -> None:
        """*doomed*: what goes; *is_marked*: whether a key in the bucket stands for a directory or marker file."""
        self._tree = tree
        self._doomed_files = {one.path for one in doomed if one.treatment.is_file}
        self._is_marked = is_marked
        self._written: set[str] = set()  # paths put by this change
        self._directories: set[str] = set()  # paths known to be directories
        self._made: dict[str, int] = {}  # directories made because of what is below → its newest time
        self._shrunk: set[str] = set()  # directories that lost something
        self.removed = 0  # paths

    # -- putting -------------------------------------------------------------------------------------------------------

    def put(self, path: str, made: Entry) -> None:
        """Make *path* show *made*, with the directories above it. BadChange, BadPath as `Transaction.put`."""
        self._make_parents(path, made.mtime_ns)
        self._tree.put(path, made)
        self._written.add(path)
        if made.is_dir:
            self._directories.add(path)
            self._made.pop(path, None)  # its time is told, not implied

    def put_tree(self, top: str, entries: Iterable[tuple[str, Entry]]) -> None:
        """Make the directory *top* hold exactly *entries*."""
        for path, made in entries:
            self.put(path, made)
        self.clear(top)

    def _make_parents(self, path: str, mtime_ns: int) -> None:
        for above in paths.ancestors(path):
            if above == paths.ROOT:
                continue
            if above in self._made:
                self._made[above] = max(self._made[above], mtime_ns)
            if above in self._directories:
                continue
            there = self._tree.lookup(above)
            if there is None or not there.is_dir:
                if there is not None and above not in self._doomed_files:
                    raise BadChange(
                        f"nothing can be published below {above!r}", "it is no directory", "remove it first"
                    )
                self._put_directory(above, mtime_ns)
                self._made[above] = mtime_ns
            self._directories.add(above)

    def _put_directory(self, path: str, mtime_ns: int) -> None:
        self._tree.put(path, entry.directory(paths.name_of(path), mode=DIRECTORY_MODE, mtime_ns=mtime_ns))

    # -- catalogs ------------------------------------------------------------------------------------------------------

    def nest(self, path: str) -> None:
        """Give the directory *path*, if there is one, a catalog of its own."""
        there = self._tree.lookup(path)
        marker = f"{path}/{CATALOG_MARKER}"
        if there is None or not there.is_dir:
            return
        if self._tree.lookup(marker) is None or (marker in self._doomed_files and marker not in self._written):
            self._tree.put(marker, entry.regular(CATALOG_MARKER, self._tree.store_whole(b"")))
            self._written.add(marker)

    def flatten(self, path: str) -> None:
        """Take back what `nest` did, unless the bucket has the marker too."""
        marker = f"{path}/{CATALOG_MARKER}"
        if marker not in self._written and not self._is_marked(marker):
            self._remove_file(marker)

    # -- removing ------------------------------------------------------------------------------------------------------

    def remove(self, removal: Removal) -> None:
        """Take away what was published for a key, unless something else was put there."""
        if removal.treatment is Treatment.DIRECTORY:
            self._shrunk.add(removal.path)
        elif removal.treatment is Treatment.ARCHIVE:
            self.clear(removal.path)
            self._shrunk.add(removal.path)
        elif removal.path not in self._written:
            self._remove_file(removal.path)

    def clear(self, top: str) -> None:
        """Remove everything below *top* that was not put by this change."""
        for child in list(self._tree.children(top)):
            path = f"{top}/{child.name}"
            if child.is_dir:
                self.clear(path)
                self._shrunk.add(path)
            elif path not in self._written and not self._is_automatic(top, child.name):
                self._remove_file(path)

    def _remove_file(self, path: str) -> None:
        there = self._tree.lookup(path)
        if there is not None and not there.is_dir and self._tree.remove(path):
            self.removed += 1
            self._shrunk.add(paths.parent_of(path))

    def _is_automatic(self, top: str, name: str) -> bool:
        """Whether that file was made by cutting catalogs automatically."""
        return name == AUTO_MARKER or (name == CATALOG_MARKER and self._tree.lookup(f"{top}/{AUTO_MARKER}") is not None)

    # -- ending --------------------------------------------------------------------------------------------------------

    def finish(self, nested: Set[str]) -> frozenset[str]:
        """Date the directories that were made, drop those that became empty; which of those dropped were *nested*."""
        for path, mtime_ns in self._made.items():
            there = self._tree.lookup(path)
            if there is not None and there.mtime_ns != mtime_ns:
                self._put_directory(path, mtime_ns)
        dropped = set()
        for path in sorted(self._shrunk, key=lambda path: -path.count("/")):
            while path != paths.ROOT and self._is_empty(path, nested) and not self._is_marked(path):
                self._tree.remove(path)
                self.removed += 1
                dropped.add(path)
                path = paths.parent_of(path)  # noqa: PLW2901 - the walk goes upwards
        return frozenset(dropped & nested)

    def _is_empty(self, path: str, nested: Set[str]) -> bool:
        """Whether the directory *path* exists and holds nothing but markers of catalogs that we made ourselves."""
        there = self._tree.lookup(path)
        if there is None or not there.is_dir or path in self._written:
            return False
        names = {child.name for child in self._tree.children(path)}
        if path in nested or AUTO_MARKER in names:
            names -= {CATALOG_MARKER, AUTO_MARKER}
        return not names
