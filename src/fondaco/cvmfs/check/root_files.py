"""The files at a repository's root and the databases the manifest names: signatures, tags, reference log."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from fondaco.cvmfs import manifest as manifests
from fondaco.cvmfs import trust
from fondaco.cvmfs import whitelist as whitelists
from fondaco.cvmfs.check.findings import Code
from fondaco.cvmfs.check.objects import Found, WantedObject
from fondaco.cvmfs.digest import Digest, Suffix, object_key
from fondaco.cvmfs.errors import (
    LimitExceeded,
    MalformedData,
    ObjectMissing,
    VerificationFailed,
    WhitelistExpired,
)
from fondaco.cvmfs.history import History, Tag
from fondaco.cvmfs.manifest import Manifest
from fondaco.cvmfs.objects import MAX_METADATA_BYTES, fetch
from fondaco.cvmfs.reflog import Reference, RefKind, Reflog
from fondaco.cvmfs.sqlite_image import FAULTS, open_image
from fondaco.cvmfs.stores.base import LAST_SNAPSHOT, MANIFEST, REFLOG, WHITELIST, ReadableStore

# Only replicas have it. Their reference log is their own, of what they copied; the manifest does not know its hash.
MAX_METAINFO_BYTES = 1 << 20  # of JSON

_BRANCH = re.compile(r"[a-zA-Z0-9_.@/-]*")  # cvmfs/sanitizer.h, BranchSanitizer


@dataclass(frozen=True, slots=True, kw_only=True)
class RootFiles:
    """Where to look, and where to report to."""

    store: ReadableStore
    found: Found

    def manifest(self) -> Manifest | None:
        """The manifest, trusted or not; None when it cannot be read. ObjectMissing when there is none."""
        try:
            return manifests.parse_signed(self.store.get(MANIFEST, limit=manifests.MAX_MANIFEST_BYTES)).manifest
        except (MalformedData, LimitExceeded) as error:
            self.found(Code.MANIFEST, MANIFEST, error.why)
            return None

    def check_trust(self, public_keys: Sequence[bytes], fqrn: str, now: datetime) -> None:
        """Note the link of the chain that does not hold; with an expired whitelist, another one too.

        KeyUnusable for a public key that is none: that is the caller's fault.
        """
        try:
            signed, whitelist = self.store.get(MANIFEST), self.store.get(WHITELIST)
            certificate = self.store.get(trust.certificate_key(signed))
        except ObjectMissing as error:
            self.found(Code.UNTRUSTED, MANIFEST, error.what)
            return

        def verify(when: datetime) -> None:
            trust.verify_chain(
                manifest=signed,
                whitelist=whitelist,
                certificate=certificate,
                public_keys=public_keys,
                fqrn=fqrn,
                now=when,
            )

        try:
            try:
                verify(now)
            except WhitelistExpired as error:
                self.found(Code.WHITELIST_EXPIRED, WHITELIST, error.why)
                verify(whitelists.parse_signed(whitelist).whitelist.issued_at)
        except WhitelistExpired:
            return  # it was issued expired: said already
        except (VerificationFailed, MalformedData) as error:
            self.found(Code.UNTRUSTED, MANIFEST, f"{error.what}: {error.why}")

    def is_replica(self) -> bool:
        return self.store.exists(LAST_SNAPSHOT)

    def check_metainfo(self, manifest: Manifest) -> None:
        if manifest.metainfo is None:
            return
        raw = self.fetch(manifest.metainfo, Suffix.METAINFO, MANIFEST, limit=MAX_METAINFO_BYTES)
        if raw is None:
            return
        try:
            if not isinstance(json.loads(raw), dict):
                self.found(Code.METAINFO, MANIFEST, "the metainfo is no JSON object")
        except (ValueError, RecursionError) as error:
            self.found(Code.METAINFO, MANIFEST, f"the metainfo is no JSON: {error}")

    def check_alternative_paths(self, manifest: Manifest) -> None:
        """The shortcuts that the manifest promises (A) for the first objects that a client reads."""
        if not manifest.alternative_paths:
            return
        for digest, suffix in ((manifest.certificate, Suffix.CERTIFICATE), (manifest.root_catalog, Suffix.CATALOG)):
            name = f".cvmfsalt-{digest}{suffix.value}"
            if not self.store.exists(name):
                self.found(Code.ALTERNATIVE_PATH, name, "the manifest promises it, but it is not there")

    def check_history(self, manifest: Manifest) -> list[Tag]:
        """The tags, as far as they can be read."""
        if manifest.history is None:
            return []
        image = self.fetch(manifest.history, Suffix.HISTORY, MANIFEST)
        if image is None:
            return []
        try:
            self._check_branches(image)
            history = History.load(image)
            try:
                if history.fqrn != manifest.fqrn:
                    self.found(Code.HISTORY, MANIFEST, f"the tag database belongs to {history.fqrn!r:.100}")
                tags, previous = history.tags(), history.previous_revision
            finally:
                history.close()
        except MalformedData as error:
            self.found(Code.HISTORY, MANIFEST, f"the tag database cannot be read: {error.why}")
            return []
        if previous is not None:
            self.check_previous(manifest, previous, Suffix.HISTORY, "tag database")
        for tag in tags:
            if tag.name == "trunk" and tag.root != manifest.root_catalog:
                self.found(
                    Code.TAG, "trunk", f"it names {tag.root}, the current root catalog is {manifest.root_catalog}"
                )
        return tags

    def _check_branches(self, image: bytes) -> None:
        connection = open_image(image, "tag database")
        try:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
            if "branches" not in tables:
                return  # of an older schema, which knows no branches
            initial = dict(connection.execute("SELECT branch, initial_revision FROM branches").fetchall())
            tags = connection.execute("SELECT name, branch, revision FROM tags").fetchall()
        except FAULTS as error:
            raise MalformedData("the tag database cannot be read", str(error), "publish again") from error
        finally:
            connection.close()
        for branch in initial:
            if not isinstance(branch, str) or not _BRANCH.fullmatch(branch):
                self.found(Code.BRANCH, MANIFEST, f"{branch!r:.100} cannot be the name of a branch")
        for name, branch, revision in tags:
            if branch not in initial:
                self.found(Code.BRANCH, str(name), f"the tag is on the branch {branch!r:.100}, which does not exist")
            elif isinstance(revision, int) and revision < (initial[branch] or 0):
                self.found(Code.BRANCH, str(name), f"its revision {revision} is older than its branch {branch!r}")
        for branch in initial.keys() - {branch for _, branch, _ in tags}:
            self.found(Code.BRANCH, MANIFEST, f"no tag is on the branch {branch!r:.100}")

    def check_previous(self, manifest: Manifest, previous: Digest, suffix: Suffix, what: str) -> None:
        """The revision before must be there, unless it may have been collected or was never replicated."""
        if manifest.garbage_collectable or self.is_replica() or self.store.exists(object_key(previous, suffix)):
            return
        key = object_key(previous, suffix)
        self.found(Code.PREVIOUS_REVISION, MANIFEST, f"the {what} names its predecessor {key}, which is not there")

    def check_reflog(self, manifest: Manifest, tags: list[Tag]) -> list[WantedObject]:
        """The objects that the reference log promises."""
        try:
            image = self.store.get(REFLOG)
        except ObjectMissing:
            if manifest.reflog is not None and not self.is_replica():
                self.found(Code.REFLOG, REFLOG, "it is not there, but the manifest names it")
            return []
        if manifest.reflog is None:
            self.found(
                Code.REFLOG, REFLOG, "the manifest does not name its hash: the reference tools refuse to publish"
            )
            return []
        actual = Digest.of(image, manifest.reflog.algorithm)
        if actual != manifest.reflog and not self.is_replica():
            self.found(Code.REFLOG, REFLOG, f"it has the hash {actual}, the manifest says {manifest.reflog}")
            return []
        try:
            reflog = Reflog.load(image)
            try:
                owner, references = reflog.fqrn, reflog.refs()
            finally:
                reflog.close()
        except MalformedData as error:
            self.found(Code.REFLOG, REFLOG, f"it cannot be read: {error.why}")
            return []
        if owner != manifest.fqrn:
            self.found(Code.REFLOG, REFLOG, f"it belongs to {owner!r:.100}")
        self._check_complete(manifest, tags, references)
        return [
            WantedObject(digest=reference.digest, suffix=reference.kind.suffix, path=REFLOG) for reference in references
        ]

    def _check_complete(self, manifest: Manifest, tags: list[Tag], references: list[Reference]) -> None:
        needed = [
            (RefKind.CATALOG, manifest.root_catalog, "the current root catalog"),
            (RefKind.CERTIFICATE, manifest.certificate, "the certificate"),
            (RefKind.HISTORY, manifest.history, "the tag database"),
            (RefKind.METAINFO, manifest.metainfo, "the metainfo"),
            *((RefKind.CATALOG, tag.root, f"the root catalog of tag {tag.name!r}") for tag in tags),
        ]
        present = {(reference.kind, reference.digest) for reference in references}
        for kind, digest, what in needed:
            if digest is not None and (kind, digest) not in present:
                self.found(Code.REFLOG_INCOMPLETE, REFLOG, f"{what} {digest} is not in it")

    def fetch(self, digest: Digest, suffix: Suffix, path: str, *, limit: int = MAX_METADATA_BYTES) -> bytes | None:
        """The content of an object named at *path*, None (and noted) when it cannot be had."""
        try:
            return fetch(self.store, digest, suffix, limit=limit)
        except ObjectMissing:
            self.found(Code.OBJECT_MISSING, path, f"the store has no {object_key(digest, suffix)}")
        except (VerificationFailed, MalformedData, LimitExceeded) as error:
            self.found(Code.OBJECT_DAMAGED, path, f"{object_key(digest, suffix)}: {error.why}")
        return None
