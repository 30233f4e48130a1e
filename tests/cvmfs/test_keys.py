import os
import stat
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from fondaco.cvmfs import keys, signing
from fondaco.cvmfs.errors import AlreadyExists, BadName, KeyUnusable
from tests.cvmfs.conftest import GoldenRepository, KeyFolder

FQRN = "test.example.org"
SUFFIXES = (".masterkey", ".pub", ".key", ".crt")
TEXT = b"0" * 40


@pytest.fixture
def folder(key_folder: KeyFolder, tmp_path: Path) -> Path:
    """A copy of the keys that a test may spoil."""
    for suffix in SUFFIXES:
        path = tmp_path / (FQRN + suffix)
        path.write_bytes((key_folder.path / path.name).read_bytes())
    return tmp_path


def pem(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey,
    form: PrivateFormat = PrivateFormat.PKCS8,
    encryption: KeySerializationEncryption | None = None,
) -> bytes:
    return key.private_bytes(Encoding.PEM, form, encryption or NoEncryption())


def use(folder: Path, *, whitelist: bool) -> None:
    signer = keys.KeyFileSigner(folder, FQRN)
    if whitelist:
        signer.sign_whitelist(TEXT)


def reason(folder: Path, *, whitelist: bool = False) -> str:
    with pytest.raises(KeyUnusable) as caught:
        use(folder, whitelist=whitelist)
    assert caught.value.hint
    return str(caught.value)


def test_generated_files_have_the_names_and_rights_of_a_key_folder(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "keys"
    old = os.umask(0o077)
    try:
        keys.generate(folder, FQRN)
    finally:
        os.umask(old)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == {
        FQRN + ".masterkey": 0o600,
        FQRN + ".key": 0o600,
        FQRN + ".crt": 0o644,
        FQRN + ".pub": 0o644,
    }
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert (folder / f"{FQRN}.pub").read_text().startswith("-----BEGIN PUBLIC KEY-----\n")


def test_generated_keys_sign_both_forms(key_folder: KeyFolder) -> None:
    signer = key_folder.signer
    assert signing.manifest_signature_fits(signer.certificate, TEXT, signer.sign_manifest(TEXT))
    assert signing.whitelist_signature_fits(signer.public_key, TEXT, signer.sign_whitelist(TEXT))


def test_the_certificate_is_named_and_dated_as_the_reference_names_it(tmp_path: Path) -> None:
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    long = "a-very-long-repository-name.software.example.org"
    keys.generate(tmp_path, long, now=now)
    certificate = x509.load_pem_x509_certificate((tmp_path / f"{long}.crt").read_bytes())
    assert certificate.subject == certificate.issuer
    assert certificate.subject.rfc4514_string() == "CN=a-very-long-repository-name.so[...] CernVM-FS Release Managers"
    assert certificate.not_valid_before_utc == now
    assert certificate.not_valid_after_utc == now + timedelta(days=365)
    certificate.verify_directly_issued_by(certificate)


def test_a_short_name_is_in_the_certificate_whole(key_folder: KeyFolder) -> None:
    certificate = x509.load_pem_x509_certificate(key_folder.signer.certificate)
    assert certificate.subject.rfc4514_string() == f"CN={FQRN} CernVM-FS Release Managers"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_no_key_is_ever_overwritten(tmp_path: Path, suffix: str) -> None:
    present = tmp_path / (FQRN + suffix)
    present.write_bytes(b"precious")
    with pytest.raises(AlreadyExists, match=suffix):
        keys.generate(tmp_path, FQRN)
    assert [path.name for path in tmp_path.iterdir()] == [present.name]
    assert present.read_bytes() == b"precious"


def test_a_dangling_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / f"{FQRN}.key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(AlreadyExists):
        keys.generate(tmp_path, FQRN)
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_that_appears_meanwhile_is_kept_and_the_rest_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rival = tmp_path / f"{FQRN}.crt"
    make = keys.generate_private_key

    def rival_writes_first(exponent: int, bits: int) -> rsa.RSAPrivateKey:
        rival.write_bytes(b"theirs")
        return make(exponent, bits)

    monkeypatch.setattr(keys, "generate_private_key", rival_writes_first)
    with pytest.raises(AlreadyExists, match=r"\.crt"):
        keys.generate(tmp_path, FQRN)
    assert [path.name for path in tmp_path.iterdir()] == [rival.name]
    assert rival.read_bytes() == b"theirs"


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(KeyUnusable, match="file/keys"):
        keys.generate(tmp_path / "file" / "keys", FQRN)


def test_a_bad_repository_name_reaches_no_file(tmp_path: Path) -> None:
    with pytest.raises(BadName):
        keys.generate(tmp_path, "../evil.example.org")
    with pytest.raises(BadName):
        keys.KeyFileSigner(tmp_path, "../evil.example.org")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".key", ".masterkey"])
def test_keys_of_older_openssl_are_read(folder: Path, suffix: str) -> None:
    """PKCS#1, "BEGIN RSA PRIVATE KEY": what `openssl genrsa` wrote before version 3."""
    path = folder / (FQRN + suffix)
    traditional = subprocess.run(
        ["openssl", "rsa", "-traditional", "-in", path], check=True, capture_output=True
    ).stdout
    assert traditional.startswith(b"-----BEGIN RSA PRIVATE KEY-----")
    path.write_bytes(traditional)
    keys.KeyFileSigner(folder, FQRN).sign_whitelist(TEXT)


def test_keys_made_as_the_reference_makes_them_are_read(tmp_path: Path) -> None:
    """The commands of create_master_key and create_cert in cvmfs_server_ssl.sh."""
    base = str(tmp_path / FQRN)
    for command in (
        ("genrsa", "-out", f"{base}.masterkey", "2048"),
        ("rsa", "-in", f"{base}.masterkey", "-pubout", "-out", f"{base}.pub"),
        ("genrsa", "-out", f"{base}.key", "2048"),
        (
            "req",
            "-new",
            "-subj",
            f"/CN={FQRN} CernVM-FS Release Managers",
            "-key",
            f"{base}.key",
            "-out",
            f"{base}.csr",
        ),
        ("x509", "-req", "-days", "365", "-in", f"{base}.csr", "-signkey", f"{base}.key", "-out", f"{base}.crt"),
    ):
        subprocess.run(["openssl", *command], check=True, capture_output=True)
    signer = keys.KeyFileSigner(tmp_path, FQRN)
    assert signing.manifest_signature_fits(signer.certificate, TEXT, signer.sign_manifest(TEXT))
    assert signing.whitelist_signature_fits(signer.public_key, TEXT, signer.sign_whitelist(TEXT))


def test_the_master_key_may_be_kept_elsewhere(folder: Path) -> None:
    (folder / f"{FQRN}.masterkey").unlink()
    keys.KeyFileSigner(folder, FQRN).sign_manifest(TEXT)
    assert "the whitelist cannot be signed" in reason(folder, whitelist=True)


@pytest.mark.parametrize("suffix", [".key", ".crt"])
def test_a_missing_file_is_named(folder: Path, suffix: str) -> None:
    (folder / (FQRN + suffix)).unlink()
    assert f"{FQRN}{suffix} cannot be used: it does not exist" in reason(folder)


@pytest.mark.parametrize("suffix", [".key", ".crt", ".masterkey"])
def test_an_unreadable_file_is_named(folder: Path, suffix: str) -> None:
    path = folder / (FQRN + suffix)
    path.unlink()
    path.mkdir()  # a missing permission would not stop root, under whom tests may run
    assert "Is a directory" in reason(folder, whitelist=True)


@pytest.mark.parametrize("suffix", [".key", ".masterkey"])
@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_an_encrypted_key_is_named_as_such(folder: Path, suffix: str, form: PrivateFormat) -> None:
    key = rsa.generate_private_key(65537, 2048)
    (folder / (FQRN + suffix)).write_bytes(pem(key, form, BestAvailableEncryption(b"secret")))
    assert "encrypted" in reason(folder, whitelist=True)


@pytest.mark.parametrize("suffix", [".key", ".masterkey"])
def test_another_kind_of_key_is_refused(folder: Path, suffix: str) -> None:
    (folder / (FQRN + suffix)).write_bytes(pem(ec.generate_private_key(ec.SECP256R1())))
    assert "not an RSA key" in reason(folder, whitelist=True)


@pytest.mark.parametrize("suffix", [".key", ".crt", ".masterkey", ".pub"])
@pytest.mark.parametrize("content", [b"", b"nonsense", b"\xff\0", b"x" * (keys.MAX_KEY_FILE_BYTES + 1)])
def test_nonsense_is_refused(folder: Path, suffix: str, content: bytes) -> None:
    (folder / (FQRN + suffix)).write_bytes(content)
    assert suffix in reason(folder, whitelist=True)


def test_a_certificate_of_another_key_is_refused(folder: Path, other_keys: KeyFolder) -> None:
    (folder / f"{FQRN}.crt").write_bytes(other_keys.signer.certificate)
    assert "not the certificate of" in reason(folder)


def test_a_public_key_of_another_master_key_is_refused(folder: Path, other_keys: KeyFolder) -> None:
    (folder / f"{FQRN}.pub").write_bytes(other_keys.signer.public_key)
    assert "not the public half" in reason(folder, whitelist=True)


def test_key_and_certificate_exchanged_are_refused(folder: Path) -> None:
    key, certificate = folder / f"{FQRN}.key", folder / f"{FQRN}.crt"
    key_bytes = key.read_bytes()
    key.write_bytes(certificate.read_bytes())
    certificate.write_bytes(key_bytes)
    assert "X.509" in reason(folder) or "private key" in reason(folder)


def test_public_keys_come_from_a_file_or_all_files_of_a_folder(
    folder: Path, other_keys: KeyFolder, golden: GoldenRepository
) -> None:
    (folder / "other.example.org.pub").write_bytes(other_keys.signer.public_key)
    (folder / "golden.example.org.pub").write_bytes(golden.public_key)
    own = keys.KeyFileSigner(folder, FQRN).public_key
    assert keys.read_public_keys(folder / f"{FQRN}.pub") == (own,)
    assert keys.read_public_keys(folder) == (golden.public_key, other_keys.signer.public_key, own)


def test_a_folder_without_public_keys_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyUnusable, match=r"no \*\.pub"):
        keys.read_public_keys(tmp_path)


def test_a_private_key_is_not_taken_for_a_public_one(folder: Path) -> None:
    with pytest.raises(KeyUnusable, match="BEGIN PUBLIC KEY"):
        keys.read_public_keys(folder / f"{FQRN}.masterkey")
