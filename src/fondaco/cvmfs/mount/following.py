"""Which revision a mount shows: reading and verifying what is published, and deciding whether to take it over."""

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path

from fondaco.cvmfs import manifest as manifests
from fondaco.cvmfs import trust
from fondaco.cvmfs.errors import CvmfsError, ObjectMissing, StoreFailed
from fondaco.cvmfs.manifest import Manifest
from fondaco.cvmfs.stores.base import MANIFEST, WHITELIST, ReadableStore

FIRST_RETRY_SECONDS = 5.0  # after a failed look, doubled with each further one up to the repository's TTL
MIN_TTL = 1  # seconds; a repository with TTL 0 would be asked without a pause
MAX_TTL = 24 * 3600  # seconds


class Verdict(Enum):
    """What a manifest just read is, compared to the one that is mounted."""

    SAME = "same"
    NEWER = "newer"  # taken over
    OLDER = "older"  # refused: a server, or somebody on the way to it, goes back in time


def judge(mounted: Manifest, found: Manifest) -> Verdict:
    """Compare as the stock client does: a greater revision counts, unless its time of publishing went back.

    Another root catalog under the same revision changes nothing; going back needs a revision of its own.
    """
    if found.revision < mounted.revision or found.published_at < mounted.published_at:
        return Verdict.OLDER
    return Verdict.NEWER if found.revision > mounted.revision else Verdict.SAME


def pause(ttl: int, failures: int) -> float:
    """Seconds until the next look after *failures* failed ones in a row."""
    usual = float(min(max(ttl, MIN_TTL), MAX_TTL))
    return usual if failures == 0 else min(usual, FIRST_RETRY_SECONDS * 2 ** min(failures - 1, 20))


@dataclass(frozen=True, slots=True)
class Published:
    """The two signed root files, verified."""

    signed: bytes
    whitelist: bytes
    manifest: Manifest


class Following:
    """Looks at what is published. Its methods wait for the network; safe to use from any one thread at a time."""

    def __init__(self, store: ReadableStore, public_keys: Sequence[bytes], memory: Path) -> None:
        """*memory* is a folder in which the last state seen is kept, so that a mount can begin without its server."""
        self._store = store
        self._keys = tuple(public_keys)
        name = hashlib.sha256(b"\n".join((store.url.encode("utf-8", "surrogateescape"), *self._keys)))
        self._memory = memory / name.hexdigest()[:32]
        self._fqrn: str | None = None

    def look(self, mounted: Manifest) -> Manifest:
        """What is published now, verified from the public keys down; a newer state than *mounted* is remembered."""
        found = self._look()
        if judge(mounted, found.manifest) is Verdict.NEWER:
            self._keep(found)
        return found.manifest

    def begin(self) -> tuple[Manifest, str]:
        """The manifest to start with, and why it is not the server's if it is not.

        That is the last one seen, when the server does not answer or goes back behind it.
        """
        known = self._recall()
        try:
            found = self._look()
        except (StoreFailed, ObjectMissing) as error:
            if known is None:
                raise
            self._fqrn = known.fqrn
            return known, str(error)
        if known is not None and known.fqrn == found.manifest.fqrn and judge(known, found.manifest) is Verdict.OLDER:
            return known, f"revision {found.manifest.revision} is published, {known.revision} was seen before"
        self._keep(found)
        return found.manifest, ""

    def _look(self) -> Published:
        signed = self._store.get(MANIFEST, limit=manifests.MAX_MANIFEST_BYTES)
        found = self._verified(signed, self._store.get(WHITELIST))
        self._fqrn = found.manifest.fqrn
        return found

    def _keep(self, found: Published) -> None:
        content = len(found.signed).to_bytes(4, "big") + found.signed + found.whitelist
        try:
            self._memory.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self._memory.parent, delete=False) as file:
                file.write(content)
            Path(file.name).replace(self._memory)
        except OSError as error:
            raise StoreFailed(
                f"the state of {found.manifest.fqrn} cannot be kept in {self._memory.parent}",
                error.strerror or str(error),
                "free some space or name another cache",
            ) from error

    def _recall(self) -> Manifest | None:
        try:
            kept = self._memory.read_bytes()
            end = 4 + int.from_bytes(kept[:4], "big")
            return self._verified(kept[4:end], kept[end:]).manifest
        except (OSError, CvmfsError):  # never kept, expired, or its certificate left the cache: as if there were none
            return None

    def _verified(self, signed: bytes, whitelist: bytes) -> Published:
        fqrn = self._fqrn or manifests.parse_signed(signed).manifest.fqrn
        manifest = trust.verify_chain(
            manifest=signed,
            whitelist=whitelist,
            certificate=self._store.get(trust.certificate_key(signed)),
            public_keys=self._keys,
            fqrn=fqrn,
            now=datetime.now(UTC),
        )
        return Published(signed, whitelist, manifest)
