"""Keys in files, named as CernVM-FS names them: a key folder of the reference tools works here and the other way round.

========================  ============================================================  =======
``FQRN.masterkey``        signs the whitelist                                           private
``FQRN.pub``              its public half, which clients are configured with            public
``FQRN.key``              signs the manifest                                            private
``FQRN.crt``              self-signed X.509 certificate of it, listed in the whitelist  public
========================  ============================================================  =======

All PEM; private keys PKCS#8 or PKCS#1, unencrypted. Source: cvmfs/server/cvmfs_server_ssl.sh.
"""

import os
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from fondaco.cvmfs.errors import AlreadyExists, KeyUnusable, MalformedData
from fondaco.cvmfs.fqrn import check_fqrn
from fondaco.cvmfs.signing import certificate_key, public_master_key, sign_manifest_text, sign_whitelist_text

KEY_BITS = 2048  # what the reference makes; clients take any RSA key
CERTIFICATE_DAYS = 365  # as the reference; clients look at it only if the whitelist demands a CA chain
MAX_KEY_FILE_BYTES = 1 << 16
MAX_FQRN_IN_CN = 30  # characters; X.509 allows 64 in all, the reference cuts the name the same way

MASTER_KEY, PUBLIC_KEY, SIGNING_KEY, CERTIFICATE = ".masterkey", ".pub", ".key", ".crt"

_PRIVATE_MODE, _PUBLIC_MODE, _FOLDER_MODE = 0o600, 0o644, 0o700


class KeyFileSigner:
    """Signs with the private keys in a folder: a Signer, and a WhitelistSigner where the master key lies there too."""

    def __init__(self, folder: Path, fqrn: str) -> None:
        """Read signing key and certificate; KeyUnusable when one is missing or they do not belong together."""
        check_fqrn(fqrn)
        self._folder = folder
        self._fqrn = fqrn
        certificate_file, key_file = self._file(CERTIFICATE), self._file(SIGNING_KEY)
        self.certificate = _read(certificate_file)
        self._key = _private_key(key_file)
        try:
            fits = certificate_key(self.certificate) == self._key.public_key()
        except MalformedData as error:
            raise _unusable(certificate_file, error.why) from error
        if not fits:
            raise _unusable(certificate_file, f"it is not the certificate of {key_file.name}")

    def sign_manifest(self, hash_text: bytes) -> bytes:
        return sign_manifest_text(self._key, hash_text)

    def sign_whitelist(self, hash_text: bytes) -> bytes:
        return MasterKeyFile(self._folder, self._fqrn).sign_whitelist(hash_text)

    @property
    def public_key(self) -> bytes:
        """PEM of the public master key, what clients verify the whitelist with."""
        return read_public_key(self._file(PUBLIC_KEY))

    def _file(self, suffix: str) -> Path:
        return self._folder / (self._fqrn + suffix)


class MasterKeyFile:
    """Signs whitelists with the master key in a folder, which may hold nothing else: a WhitelistSigner."""

    def __init__(self, folder: Path, fqrn: str) -> None:
        check_fqrn(fqrn)
        self._master_file = folder / (fqrn + MASTER_KEY)
        self._public_file = folder / (fqrn + PUBLIC_KEY)

    def sign_whitelist(self, hash_text: bytes) -> bytes:
        return sign_whitelist_text(self._key(), hash_text)

    @property
    def public_key(self) -> bytes:
        """PEM of its public half."""
        return _public_pem(self._key())

    def _key(self) -> RSAPrivateKey:
        # Read for each signature (one a month): a master key in memory is one more place to lose it.
        if not self._master_file.exists():
            raise KeyUnusable(
                "the whitelist cannot be signed",
                f"the master key {self._master_file} does not exist",
                "run this where the master key is kept, and name its folder",
            )
        master = _private_key(self._master_file)
        if self._public_file.exists() and read_public_key(self._public_file) != _public_pem(master):
            raise _unusable(self._public_file, f"it is not the public half of {self._master_file.name}")
        return master


def read_public_key(path: Path) -> bytes:
    """The public master key in a file, as PEM in its one canonical form; KeyUnusable for anything else."""
    try:
        key = public_master_key(_read(path))
    except KeyUnusable as error:
        raise _unusable(path, error.why) from error
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def read_public_keys(path: Path) -> tuple[bytes, ...]:
    """The public keys of a ``.pub`` file, or of all those in a folder; one that fits is enough to trust a whitelist."""
    files = sorted(path.glob("*" + PUBLIC_KEY)) if path.is_dir() else [path]
    if not files:
        raise _unusable(path, f"no *{PUBLIC_KEY} file is in it")
    return tuple(read_public_key(file) for file in files)


def generate(folder: Path, fqrn: str, *, now: datetime | None = None) -> None:
    """Make the four key files of a new repository, durably.

    *folder* is made if it is absent. AlreadyExists when one of the files is there: no key is ever overwritten.
    """
    check_fqrn(fqrn)
    suffixes = (MASTER_KEY, SIGNING_KEY, CERTIFICATE, PUBLIC_KEY)
    for suffix in suffixes:
        path = folder / (fqrn + suffix)
        if os.path.lexists(path):
            raise _exists(path)
    master, key = generate_private_key(65537, KEY_BITS), generate_private_key(65537, KEY_BITS)
    certificate = _self_signed(key, fqrn, now or datetime.now(UTC))
    contents = (_private_pem(master), _private_pem(key), certificate, _public_pem(master))
    modes = (_PRIVATE_MODE, _PRIVATE_MODE, _PUBLIC_MODE, _PUBLIC_MODE)
    written: list[Path] = []
    try:
        _make_folder(folder)
        for suffix, content, mode in zip(suffixes, contents, modes, strict=True):
            path = folder / (fqrn + suffix)
            _create(path, content, mode, written)
        _sync_folder(folder)
    except OSError as error:
        for path in written:
            with suppress(OSError):
                path.unlink()
        if isinstance(error, FileExistsError):
            raise _exists(Path(error.filename)) from error
        raise KeyUnusable(
            f"keys for {fqrn} cannot be written to {folder}", error.strerror or str(error), "name another folder"
        ) from error


def _create(path: Path, content: bytes, mode: int, written: list[Path]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE_MODE)
    written.append(path)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)  # whatever the umask is
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def _make_folder(folder: Path) -> None:
    if folder.is_dir():
        return
    folder.mkdir(mode=_FOLDER_MODE, parents=True)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _self_signed(key: RSAPrivateKey, fqrn: str, now: datetime) -> bytes:
    shown = fqrn if len(fqrn) <= MAX_FQRN_IN_CN else fqrn[:MAX_FQRN_IN_CN] + "[...]"
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{shown} CernVM-FS Release Managers")])
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now,
        not_valid_after=now + timedelta(days=CERTIFICATE_DAYS),
    )
    return builder.sign(key, SHA256()).public_bytes(Encoding.PEM)


def _private_key(path: Path) -> RSAPrivateKey:
    try:
        key = load_pem_private_key(_read(path), password=None)
    except TypeError as error:
        raise _unusable(path, "it is encrypted; a passphrase cannot be asked for here") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _unusable(path, "it is no private key in PEM form") from error
    if not isinstance(key, RSAPrivateKey):
        raise _unusable(path, "it is not an RSA key")
    return key


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_KEY_FILE_BYTES + 1)
    except FileNotFoundError as error:
        raise _unusable(path, "it does not exist") from error
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from error
    if len(content) > MAX_KEY_FILE_BYTES:
        raise _unusable(path, f"it is longer than {MAX_KEY_FILE_BYTES} bytes")
    return content


def _private_pem(key: RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _public_pem(key: RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _unusable(path: Path, why: str) -> KeyUnusable:
    return KeyUnusable(f"{path} cannot be used", why, "name the right file or folder, see `fondaco cvmfs --help`")


def _exists(path: Path) -> AlreadyExists:
    return AlreadyExists(f"{path} exists already", "keys are never overwritten", "use another folder, or move it away")
