"""The two signatures of a repository, and what makes them.

Both are RSA with PKCS#1 v1.5 type-1 padding over the ASCII text of a hash. Clients refuse one in place of the other:

- manifest: RSASSA-PKCS1-v1_5 with SHA-1, that is the padded DigestInfo of SHA-1(text), whatever hash the text shows;
  checked with the key in the repository's certificate;
- whitelist: the padded text itself, without DigestInfo (``openssl pkeyutl -sign``); checked with a public master key.

Source: ``SignatureManager::Sign``, ``Verify`` and ``VerifyRsa`` in cvmfs/crypto/signature.cc.
"""

import warnings
from typing import Protocol

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import NoDigestInfo
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_public_key
from cryptography.utils import CryptographyDeprecationWarning

from fondaco.cvmfs.digest import Algorithm, Digest
from fondaco.cvmfs.errors import KeyUnusable, MalformedData

MAX_CERTIFICATE_BYTES = 1 << 16  # PEM; real ones have about 1 KiB

_MANIFEST_HASH = hashes.SHA1()  # noqa: S303  # the format's, hard-wired in clients for every repository


class Signer(Protocol):
    """Signs manifests. Safe to use from several threads."""

    @property
    def certificate(self) -> bytes:
        """PEM of the X.509 certificate whose key signs."""
        ...

    def sign_manifest(self, hash_text: bytes) -> bytes:
        """The manifest signature over *hash_text*; KeyUnusable when the key cannot be used."""
        ...


class WhitelistSigner(Protocol):
    """Signs whitelists with a master key. Safe to use from several threads."""

    def sign_whitelist(self, hash_text: bytes) -> bytes:
        """The whitelist signature over *hash_text*; KeyUnusable when the key cannot be used."""
        ...


def sign_manifest_text(key: RSAPrivateKey, hash_text: bytes) -> bytes:
    """The manifest signature; MalformedData for anything but a hash text, so that a key signs nothing else."""
    return key.sign(_hash_text(hash_text), PKCS1v15(), _MANIFEST_HASH)


def sign_whitelist_text(key: RSAPrivateKey, hash_text: bytes) -> bytes:
    """The whitelist signature; MalformedData for anything but a hash text."""
    return key.sign(_hash_text(hash_text), PKCS1v15(), NoDigestInfo())


def manifest_signature_fits(certificate: bytes, hash_text: bytes, signature: bytes) -> bool:
    """Whether the key in *certificate* (PEM) made this manifest signature; MalformedData for no usable certificate."""
    try:
        certificate_key(certificate).verify(signature, hash_text, PKCS1v15(), _MANIFEST_HASH)
    except InvalidSignature:
        return False
    return True


def whitelist_signature_fits(public_key: bytes, hash_text: bytes, signature: bytes) -> bool:
    """Whether the master key of *public_key* (PEM) made this whitelist signature; KeyUnusable for no public key."""
    try:
        signed = public_master_key(public_key).recover_data_from_signature(signature, PKCS1v15(), NoDigestInfo())
    except InvalidSignature:
        return False
    return signed == hash_text


def fingerprint(certificate: bytes, algorithm: Algorithm = Algorithm.SHA1) -> Digest:
    """The hash of the certificate's DER form, by which whitelists name it; MalformedData for no certificate."""
    return Digest.of(load_certificate(certificate).public_bytes(Encoding.DER), algorithm)


def load_certificate(pem: bytes) -> x509.Certificate:
    """Parse a PEM certificate; MalformedData for anything else. Its serial number may be any, as for the clients."""
    if len(pem) > MAX_CERTIFICATE_BYTES:
        raise _no_certificate(f"it is longer than {MAX_CERTIFICATE_BYTES} bytes")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)
            return x509.load_pem_x509_certificate(pem)
    except (ValueError, x509.InvalidVersion) as error:
        raise _no_certificate("it is no X.509 certificate in PEM form") from error


def certificate_key(pem: bytes) -> RSAPublicKey:
    """The RSA key in a PEM certificate; MalformedData for no certificate or another kind of key."""
    try:
        key = load_certificate(pem).public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _no_certificate(f"its key cannot be used: {error}") from error
    if not isinstance(key, RSAPublicKey):
        raise _no_certificate("its key is not RSA")
    return key


def public_master_key(pem: bytes) -> RSAPublicKey:
    """The RSA key in a PEM ``.pub``; KeyUnusable for anything else."""
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyUnusable(
            "the public key cannot be used", "it is no PEM file that begins with BEGIN PUBLIC KEY", "name the .pub file"
        ) from error
    if not isinstance(key, RSAPublicKey):
        raise KeyUnusable("the public key cannot be used", "it is not RSA", "name the repository's .pub file")
    return key


def _hash_text(text: bytes) -> bytes:
    Digest.parse(text.decode("ascii", "backslashreplace"))
    return text


def _no_certificate(why: str) -> MalformedData:
    return MalformedData("the certificate cannot be read", why, "run check; sign the repository again")
