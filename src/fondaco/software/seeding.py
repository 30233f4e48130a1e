"""A ledger out of a repository's tree: for a ledger that was lost, or a repository that had content before."""

from collections.abc import Callable, Iterator

from fondaco.cvmfs.entry import Entry
from fondaco.cvmfs.paths import AUTO_MARKER, CATALOG_MARKER, ROOT
from fondaco.software.keys import key_of
from fondaco.software.records import Row, Treatment


def rows_of_tree(children: Callable[[str], Iterator[Entry]], prefix: str) -> Iterator[Row]:
    """One row per file and empty directory, for the key it would have, of a version that is not known.

    The next sweep then reads what the bucket has and removes what it does not have.
    """
    left = [ROOT]
    while left:
        top = left.pop()
        inside = list(children(top))
        names = {child.name for child in inside}
        automatic = {AUTO_MARKER, CATALOG_MARKER} if AUTO_MARKER in names else set()
        for child in inside:
            path = f"{top}/{child.name}"
            if child.is_dir:
                left.append(path)
            elif child.name not in automatic:
                yield Row(key=key_of(path, prefix), fingerprint="", path=path)
        if not names - automatic and top != ROOT:
            yield Row(key=key_of(top, prefix) + "/", fingerprint="", path=top, treatment=Treatment.DIRECTORY)
