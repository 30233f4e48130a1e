"""The chain of trust, from the public key that a client is configured with to the current revision.

1. The whitelist is signed by one of the public keys, is for this repository and has not expired.
2. The manifest is for this repository.
3. The certificate object is the one the manifest names (its hash), and the whitelist lists it.
4. The certificate's key signed the manifest.

What the manifest names (catalogs, tags) is then trusted by its hash. A certificate's own dates do not count: it is a
key container, and the whitelist says how long it may be used. Nothing here reads a network, a disk or a clock.
Source: ``DoVerify`` in cvmfs/manifest_fetch.cc.
"""

from collections.abc import Sequence
from datetime import datetime

from fondaco.cvmfs import manifest as manifests
from fondaco.cvmfs import whitelist as whitelists
from fondaco.cvmfs.codec import decompress
from fondaco.cvmfs.digest import Digest
from fondaco.cvmfs.errors import LimitExceeded, MalformedData, VerificationFailed
from fondaco.cvmfs.manifest import Manifest
from fondaco.cvmfs.signing import MAX_CERTIFICATE_BYTES


def certificate_key(manifest: bytes) -> str:
    """Where the certificate lies that a manifest not verified yet names, to fetch it for :func:`verify_chain`."""
    return manifests.parse_signed(manifest).manifest.certificate_key


def verify_chain(
    *,
    manifest: bytes,
    whitelist: bytes,
    certificate: bytes,
    public_keys: Sequence[bytes],
    fqrn: str,
    now: datetime,
) -> Manifest:
    """The verified manifest.

    *manifest* and *whitelist* are the root files, *certificate* is the object as it is stored (compressed),
    *public_keys* are PEMs of which one must fit, *now* is an aware time. Raises WhitelistExpired, VerificationFailed
    or MalformedData naming the link that failed and why; KeyUnusable for a public key that is none.
    """
    listed = whitelists.verify(whitelists.parse_signed(whitelist), public_keys=public_keys, fqrn=fqrn, now=now)
    signed = manifests.parse_signed(manifest)
    if signed.manifest.fqrn != fqrn:
        raise VerificationFailed(
            "the manifest is not trusted",
            f"it is for {signed.manifest.fqrn}, not for {fqrn}",
            "check the repository's name and address",
        )
    pem = _certificate(certificate, signed.manifest.certificate)
    if not listed.lists(pem):
        raise VerificationFailed(
            "the certificate is not trusted",
            "the whitelist does not list it",
            "have the whitelist signed again for the certificate in use",
        )
    return manifests.verify(signed, pem)


def _certificate(stored: bytes, expected: Digest) -> bytes:
    actual = Digest.of(stored, expected.algorithm)
    if actual != expected:
        raise VerificationFailed(
            "the certificate is not trusted",
            f"its object has the hash {actual}, the manifest names {expected}",
            "fetch it again or from another place",
        )
    try:
        return decompress(stored, limit=MAX_CERTIFICATE_BYTES)
    except LimitExceeded as error:
        raise MalformedData(
            "the certificate cannot be read", f"it is longer than {MAX_CERTIFICATE_BYTES} bytes", "sign again"
        ) from error
