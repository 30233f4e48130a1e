"""The whole collection: decide, mark, list, commit, remove.

The reference log without the dropped revisions and the manifest that goes with it are committed before anything is
removed: a collection that is cut off leaves objects that nothing names, and the next one removes them, because it looks
at everything the store lists. Until all catalogs are read and the store is listed, nothing has changed.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TextIO

from fondaco.cvmfs import manifest as manifests
from fondaco.cvmfs.commit import Commit, commit, recover
from fondaco.cvmfs.digest import Digest, Suffix
from fondaco.cvmfs.errors import CvmfsError, KeyUnusable, NotCollectable
from fondaco.cvmfs.gc.keep import Decision, Keep, decide
from fondaco.cvmfs.gc.lease import SweepLease
from fondaco.cvmfs.gc.mark import mark
from fondaco.cvmfs.gc.names import NAME_BYTES, NameSet, as_array, key_of_name, name_of_key, pack, unpack
from fondaco.cvmfs.head import Head
from fondaco.cvmfs.objects import fetch
from fondaco.cvmfs.publisher import Publisher
from fondaco.cvmfs.status import note_status
from fondaco.cvmfs.stores.base import LAST_SNAPSHOT, Store

BATCH = 1000  # objects removed by one request at most
LOOK = 1 << 16  # listed objects looked up at once

Progress = Callable[[int, int], None]  # catalogs read and objects listed or removed so far: more of them, their bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What a collection did, or with *dry_run* would do."""

    fqrn: str
    revision: int
    dry_run: bool
    roots_kept: int  # revisions: current, tagged, and those kept for their age
    roots_dropped: int  # revisions that the reference log knew
    catalogs: int  # read, of kept revisions
    objects_kept: int  # that kept revisions need
    objects_removed: int
    bytes_removed: int  # their stored size


@dataclass(frozen=True, slots=True)
class Garbage:
    """What nothing needs."""

    names: bytes  # packed, one behind the other
    size: int  # bytes in the store

    def __len__(self) -> int:
        return len(self.names) // NAME_BYTES

    def batches(self) -> Iterator[list[bytes]]:
        """The names, at most BATCH at once."""
        for start in range(0, len(self.names), BATCH * NAME_BYTES):
            end = min(len(self.names), start + BATCH * NAME_BYTES)
            yield [self.names[at : at + NAME_BYTES] for at in range(start, end, NAME_BYTES)]


def collect(
    publisher: Publisher,
    keep: Keep,
    *,
    force: bool = False,
    dry_run: bool = False,
    log: TextIO | None = None,
    progress: Progress | None = None,
) -> Collected:
    """Remove what the current revision, the tagged ones and those of *keep* do not need.

    *log* gets a line for each object, before it is removed. With *force*, a repository that does not allow collection
    is made one that does. NotCollectable otherwise, RepositoryBusy while somebody publishes, RepositoryMoved when
    somebody just did, KeyUnusable for another key than the manifest's; whatever reading a catalog or listing the store
    raises. In all these cases nothing was removed.
    """
    store = publisher.store
    with store.lock():
        if store.exists(LAST_SNAPSHOT):
            raise NotCollectable(
                f"{publisher.fqrn} cannot be collected here",
                "this is a replica, signed elsewhere",
                "collect the original, and make the replica anew",
            )
        recover(store)
        now = publisher.options.clock()
        head = Head.load(store, publisher.fqrn, tuple(publisher.public_keys), datetime.fromtimestamp(now, UTC))
        _check_collectable(publisher, head, force)
        tagged = [tag.root for tag in head.history.tags()]
        decision = decide(head.reflog.refs(), head.manifest, tagged, keep)
        needed = _needed(head, decision)
        told = progress or _nobody
        catalogs = mark(store, decision.roots, needed, progress=lambda count: told(count, 0))
        garbage = find_garbage(store, needed, told)
        if dry_run:
            _log_start(log, now)
            for batch in garbage.batches():
                _log(log, batch)
        elif garbage or decision.dropped:
            _remove(publisher, head, decision, garbage, log, told)
        if not dry_run:
            note_status(store, "last_gc", now)
        return Collected(
            fqrn=head.manifest.fqrn,
            revision=head.revision,
            dry_run=dry_run,
            roots_kept=len(decision.roots),
            roots_dropped=sum(reference.kind.suffix is Suffix.CATALOG for reference in decision.dropped),
            catalogs=catalogs,
            objects_kept=len(needed),
            objects_removed=len(garbage),
            bytes_removed=garbage.size,
        )


def find_garbage(store: Store, needed: NameSet, progress: Progress) -> Garbage:
    """Every object of the store that is not *needed*. What is no object of a known kind is left alone."""
    garbage, total = bytearray(), 0
    names, sizes = bytearray(), list[int]()

    def look() -> None:
        nonlocal garbage, total
        if not sizes:
            return
        array = as_array(bytes(names))
        for index in (~needed.contains(array)).nonzero()[0].tolist():
            garbage += names[index * NAME_BYTES : (index + 1) * NAME_BYTES]
            total += sizes[index]
        progress(0, sum(sizes))
        names.clear()
        sizes.clear()

    for listed in store.list_sizes("data"):
        name = name_of_key(listed.key)
        if name is not None:
            names += name
            sizes.append(listed.size)
        if len(sizes) >= LOOK:
            look()
    look()
    return Garbage(bytes(garbage), total)


def _check_collectable(publisher: Publisher, head: Head, force: bool) -> None:
    manifest = head.manifest
    if not (manifest.garbage_collectable or force):
        raise NotCollectable(
            f"{manifest.fqrn} cannot be collected",
            "its manifest says that old revisions are kept (G is 'no')",
            "Use --force, which allows it from now on.",
        )
    if fetch(publisher.store, manifest.certificate, Suffix.CERTIFICATE) != publisher.signer.certificate:
        raise KeyUnusable(
            f"{manifest.fqrn} cannot be signed",
            "the signing key is not the one of the current revision",
            "publish with the new key first, or name the key in use",
        )


def _needed(head: Head, decision: Decision) -> NameSet:
    """What is needed beside the trees of catalogs."""
    manifest, needed = head.manifest, NameSet()
    named = [(manifest.certificate, Suffix.CERTIFICATE)]
    named += [(manifest.history, Suffix.HISTORY)] if manifest.history else []
    named += [(manifest.metainfo, Suffix.METAINFO)] if manifest.metainfo else []
    named += [(reference.digest, reference.kind.suffix) for reference in decision.kept]
    for digest, suffix in named:
        needed.add(pack(digest, suffix))
    return needed


def _remove(
    publisher: Publisher, head: Head, decision: Decision, garbage: Garbage, log: TextIO | None, progress: Progress
) -> None:
    store, clock = publisher.store, publisher.options.clock
    lease = None if store.lock_excludes else SweepLease.take(store, clock)
    try:
        commit(store, _next_state(publisher, head, decision))
    except CvmfsError:
        if lease is not None:
            lease.end()  # nothing was removed yet
        raise
    _log_start(log, clock())
    for batch in garbage.batches():
        if lease is not None:
            lease.keep()
        _log(log, batch)
        store.delete_many([key_of_name(name) for name in batch])
        progress(len(batch), 0)
    if lease is not None:
        lease.end()
    _write(log, f"# Garbage Collection finished at {_log_time(clock())}\n\n")


def _next_state(publisher: Publisher, head: Head, decision: Decision) -> Commit:
    """The same revision without what is dropped. Its time moves, so that its manifest is another in any case."""
    old = head.manifest
    head.reflog.forget(decision.dropped)
    image = head.reflog.serialize()
    manifest = replace(
        old,
        reflog=Digest.of(image, old.root_catalog.algorithm),
        published_at=max(int(publisher.options.clock()), old.published_at + 1),
        garbage_collectable=True,
    )
    return Commit(base=head.signed, reflog=image, manifest=manifests.sign(manifest, publisher.signer))


def _log_start(log: TextIO | None, now: float) -> None:
    _write(log, f"# Garbage Collection started at {_log_time(now)}\n")


def _log(log: TextIO | None, names: list[bytes]) -> None:
    """As the reference collector writes it: the hash and the letter of the type."""
    objects = [unpack(name) for name in names]
    _write(log, "".join(f"{digest}{suffix.value}\n" for digest, suffix in objects))


def _write(log: TextIO | None, text: str) -> None:
    if log is not None:
        log.write(text)
        log.flush()


def _log_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%d %b %Y %H:%M:%S")


def _nobody(count: int, size: int) -> None:
    """Nobody is told."""
