"""Signing a repository again: its whitelist for a longer time, or everything with a new key."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from fondaco.cvmfs import whitelist as whitelists
from fondaco.cvmfs.digest import Digest
from fondaco.cvmfs.errors import KeyUnusable, LimitExceeded, VerificationFailed
from fondaco.cvmfs.publisher import Publisher
from fondaco.cvmfs.signing import WhitelistSigner, fingerprint
from fondaco.cvmfs.stores.base import WHITELIST, Store
from fondaco.cvmfs.whitelist import DEFAULT_LIFE, Whitelist

MAX_LIFE = timedelta(days=3650)  # ours: what outlives its keepers protects nobody


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    """How a whitelist is signed again."""

    master: WhitelistSigner
    public_keys: Sequence[bytes]  # PEM; one of them must have signed the present whitelist
    now: datetime  # aware
    life: timedelta = DEFAULT_LIFE


def renew_whitelist(store: Store, fqrn: str, renewal: Renewal) -> Whitelist:
    """Sign the whitelist again, expired or not, for the same certificates; the new one. Nothing else changes.

    VerificationFailed when the present one was not signed with the master key: whoever put it there, its certificates
    must not get a signature unseen. KeyUnusable without the master key, RepositoryMoved when it changes meanwhile.
    """
    return _renew(store, fqrn, renewal, lambda present: present.fingerprints)


def change_certificate(publisher: Publisher, renewal: Renewal) -> Whitelist:
    """Let the publisher's certificate sign from now on and no other one any more; the new whitelist.

    In three steps, after each of which the repository can be mounted: the whitelist lists the new certificate too, the
    manifest is signed with it, the whitelist lists it alone. Revision and files stay as they are.
    """
    certificate = publisher.signer.certificate

    def both(present: Whitelist) -> tuple[Digest, ...]:
        new = _fingerprint(present, certificate)
        return (*(listed for listed in present.fingerprints if listed != new), new)

    _renew(publisher.store, publisher.fqrn, renewal, both)
    with publisher.held() as head:
        now = publisher.now(head)
        publisher.recorder(head).record(head, root=None, now=now, edit=lambda _history, _here: None)
        # Still held: nobody may sign with the old key between this and the last step.
        return _renew(publisher.store, publisher.fqrn, renewal, lambda present: (_fingerprint(present, certificate),))


def _renew(store: Store, fqrn: str, renewal: Renewal, listed: Callable[[Whitelist], tuple[Digest, ...]]) -> Whitelist:
    if not timedelta(hours=1) <= renewal.life <= MAX_LIFE:
        raise LimitExceeded(
            "the whitelist was not signed", f"it would hold for {renewal.life}", f"choose 1 to {MAX_LIFE.days} days"
        )
    stored = store.get(WHITELIST)
    signed = whitelists.parse_signed(stored)
    present = whitelists.verify(  # whether its time is over does not matter here
        signed, public_keys=renewal.public_keys, fqrn=fqrn, now=datetime.min.replace(tzinfo=UTC)
    )
    start = renewal.now.astimezone(UTC).replace(microsecond=0)
    renewed = replace(present, issued_at=start, expires_at=start + renewal.life, fingerprints=listed(present))
    raw = whitelists.sign(renewed, renewal.master)
    try:
        whitelists.verify(whitelists.parse_signed(raw), public_keys=renewal.public_keys, fqrn=fqrn, now=renewal.now)
    except VerificationFailed as error:
        raise KeyUnusable(
            "the whitelist was not signed", error.why, "name the master key of this repository"
        ) from error
    store.replace(WHITELIST, raw, previous=stored)
    return renewed


def _fingerprint(present: Whitelist, certificate: bytes) -> Digest:
    """The certificate's, with the hash algorithm that the whitelist uses."""
    algorithms = [listed.algorithm for listed in present.fingerprints]
    return fingerprint(certificate, algorithms[0]) if algorithms else fingerprint(certificate)
