"""Which keys to look at when some may have changed: they themselves, and those whose fate depends on them."""

from collections.abc import Iterator
from dataclasses import dataclass

from fondaco.cvmfs import paths
from fondaco.software.keys import LINK_SUFFIX, place
from fondaco.software.ledger import Ledger
from fondaco.software.records import Known
from fondaco.software.refusal import Reason, Refusal
from fondaco.software.rules import Rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What has to be looked at."""

    keys: frozenset[str]
    known: Known  # the ledger's rows of exactly these keys
    outside: frozenset[str]  # of these keys, without trailing '/', those that other keys want to be directories


def question(wanted: set[str], prefix: str, ledger: Ledger, rules: Rules) -> Question | None:
    """What to look at for *wanted*; None when only a sweep can tell, because archives come in."""
    if _touches_archives(wanted, prefix, ledger, rules):
        return None
    near = {other for key in wanted for other in _neighbours(key, prefix)}
    rows = ledger.rows(wanted | near)
    keys = frozenset(wanted | rows.keys())
    stems = {form for key in keys for form in _stems(key)} - {prefix.removesuffix("/")}
    outside = frozenset(stem for stem in stems if ledger.makes_directory(stem, besides=keys))
    return Question(keys=keys, known=Known({}, rows), outside=outside)


def _neighbours(key: str, prefix: str) -> Iterator[str]:
    """Keys that may be published, or no longer, because of what happens to *key*: files above it, its twins."""
    for stem in _stems(key):
        for above in [*paths.ancestors(stem[len(prefix) :]), stem[len(prefix) :]]:
            if above:
                yield prefix + above
                yield prefix + above + LINK_SUFFIX


def _stems(key: str) -> set[str]:
    """The keys without trailing '/' that the path of *key* has as a file, a marker or a link."""
    plain = key.removesuffix("/")
    return {plain, plain.removesuffix(LINK_SUFFIX)}


def _touches_archives(wanted: set[str], prefix: str, ledger: Ledger, rules: Rules) -> bool:
    """Whether an archive comes, goes or changes, or a key lies where one is unpacked: then much may depend on it."""
    archives = ledger.archives()
    if not rules.unpack and not archives:
        return False
    into = {row.path for row in archives}
    keys = {row.key for row in archives}
    if wanted & keys or any(row.reason is Reason.ARCHIVE_CLASH for row in archives):
        return True
    for key in wanted:
        judged = place(key, prefix)
        if isinstance(judged, Refusal):
            continue
        path = judged.path.removesuffix(LINK_SUFFIX)
        if not judged.is_directory and rules.unpacks_into(judged.path) is not None:
            return True
        if into & {judged.path, path, *paths.ancestors(judged.path)}:
            return True
        if any(paths.is_below(directory, path) for directory in into):
            return True
    return False
