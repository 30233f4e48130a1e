"""How much lies where in a tree: from the statistics of whole catalogs where that is enough, from rows where not."""

from collections.abc import Iterator
from dataclasses import dataclass

from fondaco.cvmfs import paths
from fondaco.cvmfs.catalog.counters import Counters
from fondaco.cvmfs.catalog.opened import OpenCatalog
from fondaco.cvmfs.catalog.row import Row
from fondaco.cvmfs.walking import CatalogChain, noting_directories


@dataclass(slots=True, kw_only=True)
class Usage:
    """What a path and all below it amount to. Each name of a hard-linked file counts."""

    path: str
    size: int = 0  # bytes of regular files as users see them, neither compressed nor deduplicated
    files: int = 0  # regular
    directories: int = 0  # the path itself included
    symlinks: int = 0
    specials: int = 0

    @property
    def entries(self) -> int:
        return self.files + self.directories + self.symlinks + self.specials

    def add(self, other: "Usage") -> None:
        self.size += other.size
        self.files += other.files
        self.directories += other.directories
        self.symlinks += other.symlinks
        self.specials += other.specials

    def count(self, row: Row) -> None:
        """Add one row that is no directory."""
        if row.is_regular:
            self.files += 1
            self.size += row.size
        elif row.kind == "symlink":
            self.symlinks += 1
        else:
            self.specials += 1


def measure(chain: CatalogChain, top: str = paths.ROOT, *, depth: int = 0) -> Iterator[Usage]:
    """The usage of *top* and of the directories at most *depth* levels below it, inner ones first.

    A nested catalog that begins at the last level or deeper is not walked: its statistics say everything.
    """
    first = chain.lookup(top)
    if not first.is_dir:
        usage = Usage(path=top)
        usage.count(first)
        yield usage
        return
    waiting = [(top, 0, False)]
    under_way: list[Usage] = []  # of the directories from the top to the current one
    while waiting:
        path, level, done = waiting.pop()
        if done:
            usage = under_way.pop()
            if under_way:
                under_way[-1].add(usage)
            if level <= depth:
                yield usage
            continue
        usage = Usage(path=path, directories=1)
        under_way.append(usage)
        waiting.append((path, level, True))
        catalog = chain.enter(path)
        counted = _counted(catalog, path) if level >= depth else None
        if counted is not None:
            under_way[-1] = counted
            continue
        below: list[str] = []
        for row in noting_directories(catalog.rows(path), path, below):
            if not row.is_dir:
                usage.count(row)
        waiting += [(inner, level + 1, False) for inner in reversed(below)]


def _counted(catalog: OpenCatalog, path: str) -> Usage | None:
    """What the statistics of *catalog* say about *path*; None when it does not begin there, or has none."""
    if catalog.mountpoint != path:
        return None
    own, below = catalog.database.counters()
    if own.dir < 1:  # its own root row would be one
        return None
    total = Counters.sum((own, below))
    return Usage(
        path=path,
        size=total.file_size,
        files=total.regular,
        directories=total.dir - total.nested,  # a mountpoint has a row in both its catalogs
        symlinks=total.symlink,
        specials=total.special,
    )
