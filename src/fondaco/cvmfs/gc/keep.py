"""Which revisions are kept: a decision over values, without a store.

As the reference collector decides (cvmfs/garbage_collection, cvmfs/catalog_traversal.h): the current revision and every
tagged one always; of the others those that were published within a time, the one that was current when that time began,
and so many of the newest. Times are those of the reference log. Tag databases, certificates and metainfos go when they
are older than every revision kept for its age.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fondaco.cvmfs.digest import Digest
from fondaco.cvmfs.manifest import Manifest
from fondaco.cvmfs.reflog import Reference, RefKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """What is kept beside the current revision and the tagged ones; what either field asks for stays."""

    revisions: int = 0  # so many of the newest before the current one
    since: int | None = None  # seconds since 1970: what clients could see at that time or later


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What becomes of what the reference log knows."""

    roots: tuple[Digest, ...]  # root catalogs whose trees are kept, the current one first; each once
    kept: tuple[Reference, ...]  # of the reference log
    dropped: tuple[Reference, ...]


def decide(references: Sequence[Reference], manifest: Manifest, tagged: Iterable[Digest], keep: Keep) -> Decision:
    """Sort *references* (in the order of their recording) into kept and dropped; *tagged* are root catalogs."""
    catalogs = [reference for reference in references if reference.kind is RefKind.CATALOG]
    history = [reference for reference in _by_age(catalogs, keep) if reference.digest != manifest.root_catalog]
    trunk = [manifest.root_catalog, *(reference.digest for reference in history)]
    roots = tuple(dict.fromkeys((*trunk, *tagged)))
    times = {reference.digest: reference.timestamp for reference in catalogs}
    oldest = min(times.get(root, manifest.published_at) for root in trunk)
    needed = {manifest.certificate, manifest.history, manifest.metainfo, *roots}

    def stays(reference: Reference) -> bool:
        old = reference.kind is RefKind.CATALOG or reference.timestamp < oldest
        return reference.digest in needed or not old

    return Decision(
        roots=roots,
        kept=tuple(reference for reference in references if stays(reference)),
        dropped=tuple(reference for reference in references if not stays(reference)),
    )


def _by_age(catalogs: Sequence[Reference], keep: Keep) -> list[Reference]:
    """What the times alone keep, the current revision among it or not."""
    ages = sorted(((reference.timestamp, place) for place, reference in enumerate(catalogs)), reverse=True)
    newest_first = [catalogs[place] for _, place in ages]
    count = keep.revisions + 1 if keep.revisions else 0  # the newest of all is the current one
    if keep.since is not None:
        within = sum(reference.timestamp >= keep.since for reference in newest_first)
        count = max(count, within + 1)
    return newest_first[:count]
