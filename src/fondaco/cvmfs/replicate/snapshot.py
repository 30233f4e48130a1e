"""One snapshot of a repository into a replica, as ``cvmfs_server snapshot`` makes it.

Order: objects → catalogs, children first → tag database, certificate, metainfo → whitelist and manifest → the files
that tell of the snapshot. Until the manifest is replaced, readers of the replica see the revision before.

A reference log is not copied: that of the source tells of revisions that a replica does not have, and without one the
reference checker is content. Source: cvmfs/swissknife_pull.cc, cvmfs/server/cvmfs_server_snapshot.sh.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from fondaco.cvmfs import manifest as manifests
from fondaco.cvmfs import trust
from fondaco.cvmfs import whitelist as whitelists
from fondaco.cvmfs.codec import decompress
from fondaco.cvmfs.digest import Digest, Suffix, object_key
from fondaco.cvmfs.errors import AlreadyExists, CvmfsError, ObjectMissing, RolledBack
from fondaco.cvmfs.fqrn import check_fqrn
from fondaco.cvmfs.history import History, Tag
from fondaco.cvmfs.manifest import Manifest
from fondaco.cvmfs.objects import MAX_METADATA_BYTES, fetch
from fondaco.cvmfs.replicate.copier import Copier, Progress, attempt
from fondaco.cvmfs.replicate.trees import TreeCopier
from fondaco.cvmfs.status import note_status, utc_date
from fondaco.cvmfs.stores.base import (
    IS_SNAPSHOTTING,
    LAST_SNAPSHOT,
    MANIFEST,
    MASTER_REPLICA,
    WHITELIST,
    ReadableStore,
    Store,
)

THREADS = 8  # that copy objects: mostly waiting for the network


@dataclass(frozen=True, slots=True, kw_only=True)
class Replicated:
    """What a snapshot copied."""

    fqrn: str
    revision: int
    root: Digest
    initial: bool  # the first snapshot in this place
    revisions: int  # root catalogs copied: the current one, tagged ones, former ones
    catalogs: int  # copied
    objects: int  # copied, catalogs among them
    bytes: int  # their stored size
    missing_tags: tuple[str, ...]  # whose revisions the source has collected


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """The verified root files of the source, as they are."""

    manifest: Manifest
    signed: bytes
    whitelist: bytes

    @classmethod
    def load(cls, source: ReadableStore, fqrn: str, public_keys: Sequence[bytes], now: datetime) -> "Offer":
        """Read and verify; errors of the chain of trust."""
        signed = source.get(MANIFEST, limit=manifests.MAX_MANIFEST_BYTES)
        whitelist = source.get(WHITELIST, limit=whitelists.MAX_WHITELIST_BYTES)
        manifest = trust.verify_chain(
            manifest=signed,
            whitelist=whitelist,
            certificate=source.get(trust.certificate_key(signed)),
            public_keys=public_keys,
            fqrn=fqrn,
            now=now,
        )
        return cls(manifest=manifest, signed=signed, whitelist=whitelist)


def replicate(
    source: ReadableStore,
    store: Store,
    fqrn: str,
    public_keys: Sequence[bytes],
    *,
    history: bool | None = None,
    threads: int = THREADS,
    clock: Callable[[], float] = time.time,
    progress: Progress | None = None,
) -> Replicated:
    """Make *store* show what *source* shows now: its current revision and all tagged ones.

    With *history* also the revisions between, back to one that the replica has; by default that is so after the first
    snapshot, as in the reference tools. AlreadyExists when *store* holds something else than a replica of *fqrn*,
    RolledBack when it had a newer revision from the source, RepositoryBusy or RepositoryMoved when another snapshot is
    made; whatever reading and verifying the source raises. The replica shows what it showed before then.
    """
    check_fqrn(fqrn)
    with store.lock():
        before = _current(store)
        _check_place(store, before, fqrn)
        if not source.exists(MASTER_REPLICA):
            raise ObjectMissing(
                f"{source.url} is no source of replicas", f"it has no {MASTER_REPLICA}", "name the stratum 0"
            )
        now = datetime.fromtimestamp(clock(), UTC)
        offer = attempt(lambda: Offer.load(source, fqrn, public_keys, now))
        if before:
            _check_forward(manifests.parse_signed(before).manifest, offer.manifest)
        return _Snapshot(source, store, offer, before, history, clock).run(threads, progress)


class _Snapshot:
    def __init__(
        self,
        source: ReadableStore,
        store: Store,
        offer: Offer,
        before: bytes,
        history: bool | None,
        clock: Callable[[], float],
    ) -> None:
        self._source = source
        self._store = store
        self._offer = offer
        self._before = before
        self._initial = not store.exists(LAST_SNAPSHOT)
        self._cut_off = store.exists(IS_SNAPSHOTTING)  # an earlier one was
        self._history = not self._initial if history is None else history
        self._clock = clock
        self._revisions = 0
        self._missing: list[str] = []

    def run(self, threads: int, progress: Progress | None) -> Replicated:
        store, manifest = self._store, self._offer.manifest
        store.replace(IS_SNAPSHOTTING, self._date())
        distrust = self._cut_off and not store.durable_at_once
        copier = Copier(self._source, store, distrust=distrust, threads=threads, progress=progress)
        trees = TreeCopier(copier)
        try:
            self._copy(copier, trees)
        except CvmfsError:
            copier.close()
            self._give_up()
            raise
        finally:
            copier.close()
        store.sync()
        self._show()
        store.replace(LAST_SNAPSHOT, self._date())
        note_status(store, "last_snapshot", self._clock())
        store.delete(IS_SNAPSHOTTING)
        return Replicated(
            fqrn=manifest.fqrn,
            revision=manifest.revision,
            root=manifest.root_catalog,
            initial=self._initial,
            revisions=self._revisions,
            catalogs=trees.catalogs,
            objects=copier.counts.copied,
            bytes=copier.counts.bytes,
            missing_tags=tuple(self._missing),
        )

    def _copy(self, copier: Copier, trees: TreeCopier) -> None:
        manifest = self._offer.manifest
        objects = [(manifest.certificate, Suffix.CERTIFICATE)]
        objects += [(manifest.metainfo, Suffix.METAINFO)] if manifest.metainfo else []
        objects += [(manifest.history, Suffix.HISTORY)] if manifest.history else []
        stored = {suffix: copier.fetch(digest, suffix) for digest, suffix in objects}
        self._revisions += trees.copy(manifest.root_catalog)
        if self._history:
            self._copy_former(trees)
        for tag in _tags(stored.get(Suffix.HISTORY)):
            if not self._copy_old(trees, tag.root):
                self._missing.append(tag.name)
        trees.finish()
        for digest, suffix in objects:
            if not copier.holds(digest, suffix):
                copier.put(digest, suffix, stored[suffix])

    def _copy_former(self, trees: TreeCopier) -> None:
        former = trees.previous.get(self._offer.manifest.root_catalog)
        while former is not None and self._copy_old(trees, former):
            former = trees.previous.get(former)

    def _copy_old(self, trees: TreeCopier, root: Digest) -> bool:
        """Copy a former revision; False when the source has collected it."""
        try:
            self._revisions += trees.copy(root)
        except ObjectMissing:
            collected = self._offer.manifest.garbage_collectable and not self._source.exists(
                object_key(root, Suffix.CATALOG)
            )
            if not collected:
                raise
            return False
        return True

    def _show(self) -> None:
        """Replace the root files; whichever order leaves no moment at which they do not fit each other."""
        manifest = self._offer.manifest
        if manifest.alternative_paths:
            for digest, suffix in _shortcuts(manifest):
                self._store.replace(f".cvmfsalt-{digest}{suffix.value}", self._store.get(object_key(digest, suffix)))
        if self._old_certificate_listed():
            self._store.replace(WHITELIST, self._offer.whitelist)
            self._replace_manifest()
        else:
            self._replace_manifest()
            self._store.replace(WHITELIST, self._offer.whitelist)

    def _old_certificate_listed(self) -> bool:
        if not self._before:
            return True
        old = manifests.parse_signed(self._before).manifest
        listed = whitelists.parse_signed(self._offer.whitelist).whitelist
        return listed.lists(fetch(self._store, old.certificate, Suffix.CERTIFICATE))

    def _replace_manifest(self) -> None:
        if self._before != self._offer.signed:
            self._store.replace(MANIFEST, self._offer.signed, previous=self._before)

    def _give_up(self) -> None:
        """Tell the next snapshot that what is there may be trusted, unless it could not be before either."""
        if not self._cut_off:
            self._store.sync()
            self._store.delete(IS_SNAPSHOTTING)

    def _date(self) -> bytes:
        return f"{utc_date(self._clock())}\n".encode()


def _current(store: Store) -> bytes:
    try:
        return store.get(MANIFEST, limit=manifests.MAX_MANIFEST_BYTES)
    except ObjectMissing:
        return b""


def _check_place(store: Store, before: bytes, fqrn: str) -> None:
    if store.exists(MASTER_REPLICA) or (before and not (store.exists(LAST_SNAPSHOT) or store.exists(IS_SNAPSHOTTING))):
        raise AlreadyExists(f"{store.url} is no replica", "a repository is published there", "name another place")
    if before:
        there = manifests.parse_signed(before).manifest.fqrn
        if there != fqrn:
            raise AlreadyExists(f"{store.url} is no replica of {fqrn}", f"it is one of {there}", "name another place")


def _check_forward(old: Manifest, new: Manifest) -> None:
    """RolledBack for what clients of the replica would refuse, or see changed under an unchanged number."""
    if new.revision < old.revision:
        why = f"the source shows revision {new.revision}, the replica has {old.revision}"
    elif new.published_at < old.published_at:
        why = f"the source's revision {new.revision} is older than what the replica has"
    elif new.revision == old.revision and new.root_catalog != old.root_catalog:
        why = f"the source shows another revision {new.revision} than before"
    else:
        return
    raise RolledBack(
        f"the replica of {new.fqrn} is not changed", why, "wait for the source's caches, or look at the source"
    )


def _tags(history: bytes | None) -> list[Tag]:
    if history is None:
        return []
    database = History.load(decompress(history, limit=MAX_METADATA_BYTES))
    try:
        return database.tags()
    finally:
        database.close()


def _shortcuts(manifest: Manifest) -> list[tuple[Digest, Suffix]]:
    """What clients read through alternative paths."""
    found = [(manifest.certificate, Suffix.CERTIFICATE), (manifest.root_catalog, Suffix.CATALOG)]
    found += [(manifest.history, Suffix.HISTORY)] if manifest.history else []
    return found + ([(manifest.metainfo, Suffix.METAINFO)] if manifest.metainfo else [])
