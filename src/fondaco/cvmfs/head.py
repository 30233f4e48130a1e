"""The state that a publish begins with: the signed manifest and the two databases it names, all verified."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self

from fondaco.cvmfs import trust
from fondaco.cvmfs.digest import Digest, Suffix
from fondaco.cvmfs.errors import MalformedData, VerificationFailed
from fondaco.cvmfs.history import History
from fondaco.cvmfs.manifest import Manifest
from fondaco.cvmfs.objects import fetch
from fondaco.cvmfs.reflog import Reflog
from fondaco.cvmfs.stores.base import MANIFEST, REFLOG, WHITELIST, ReadableStore

MAX_DATABASE_BYTES = 1 << 30  # tag database and reflog; 10,000 revisions need about 3 MB


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What the store held when it was read."""

    signed: bytes  # .cvmfspublished as it is
    manifest: Manifest
    history: History
    reflog: Reflog

    @property
    def revision(self) -> int:
        return self.manifest.revision

    @classmethod
    def load(cls, store: ReadableStore, fqrn: str, public_keys: tuple[bytes, ...], now: datetime) -> Self:
        """Read and verify; VerificationFailed where a link of the chain does not hold."""
        signed = store.get(MANIFEST)
        certificate = store.get(trust.certificate_key(signed))
        manifest = trust.verify_chain(
            manifest=signed,
            whitelist=store.get(WHITELIST),
            certificate=certificate,
            public_keys=public_keys,
            fqrn=fqrn,
            now=now,
        )
        return cls(
            signed=signed,
            manifest=manifest,
            history=_history(store, manifest),
            reflog=_reflog(store, manifest),
        )

    def moved(self, signed: bytes, manifest: Manifest) -> "Head":
        """The head after a commit of its own history and reflog."""
        return replace(self, signed=signed, manifest=manifest)


def _history(store: ReadableStore, manifest: Manifest) -> History:
    if manifest.history is None:
        return History.new(manifest.fqrn)
    return History.load(fetch(store, manifest.history, Suffix.HISTORY, limit=MAX_DATABASE_BYTES))


def _reflog(store: ReadableStore, manifest: Manifest) -> Reflog:
    if manifest.reflog is None:
        raise MalformedData(
            f"{manifest.fqrn} cannot be published to",
            "its manifest names no reference log",
            "run the reference tools' `cvmfs_server check` on it once, which makes one",
        )
    image = store.get(REFLOG, limit=MAX_DATABASE_BYTES)
    actual = Digest.of(image, manifest.reflog.algorithm)
    if actual != manifest.reflog:
        raise VerificationFailed(
            f"{REFLOG} is not trusted", f"it has the hash {actual}, the manifest says {manifest.reflog}", "run check"
        )
    return Reflog.load(image)
