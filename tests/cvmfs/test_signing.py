"""The signatures, each checked against the openssl program, which is what the reference tools sign and verify with."""

import subprocess
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from fondaco.cvmfs import signing
from fondaco.cvmfs.digest import Algorithm, Digest
from fondaco.cvmfs.errors import KeyUnusable, MalformedData
from tests.cvmfs.conftest import GoldenRepository, KeyFolder

HASH_TEXTS = [str(Digest.of(b"text", algorithm)).encode() for algorithm in Algorithm]
TEXT = HASH_TEXTS[0]


def openssl(*arguments: str | Path) -> bytes:
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True).stdout


@pytest.fixture
def file_of(tmp_path: Path) -> Callable[[str, bytes], Path]:
    def write(name: str, content: bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


@pytest.mark.parametrize("text", HASH_TEXTS)
def test_openssl_verifies_our_manifest_signature(
    key_folder: KeyFolder, file_of: Callable[[str, bytes], Path], text: bytes
) -> None:
    public = openssl("x509", "-in", key_folder.path / f"{key_folder.fqrn}.crt", "-noout", "-pubkey")
    signature = key_folder.signer.sign_manifest(text)
    out = openssl(
        *("dgst", "-sha1", "-verify", file_of("pub", public)),
        *("-signature", file_of("signature", signature), file_of("text", text)),
    )
    assert out == b"Verified OK\n"


@pytest.mark.parametrize("text", HASH_TEXTS)
def test_openssl_recovers_the_bare_text_from_our_whitelist_signature(
    key_folder: KeyFolder, file_of: Callable[[str, bytes], Path], text: bytes
) -> None:
    signature = file_of("signature", key_folder.signer.sign_whitelist(text))
    public = key_folder.path / f"{key_folder.fqrn}.pub"
    assert openssl("pkeyutl", "-verifyrecover", "-pubin", "-inkey", public, "-in", signature) == text
    padded = ("pkeyutl", "-verifyrecover", "-pubin", "-inkey", public, "-pkeyopt", "rsa_padding_mode:none")
    assert openssl(*padded, "-in", signature) == b"\0\1" + b"\xff" * (256 - 3 - len(text)) + b"\0" + text


@pytest.mark.parametrize("text", HASH_TEXTS)
def test_signatures_of_openssl_are_ours_byte_for_byte(
    key_folder: KeyFolder, file_of: Callable[[str, bytes], Path], text: bytes
) -> None:
    """PKCS#1 v1.5 has no randomness: the same key and text give the same signature."""
    keys, file = key_folder.path / key_folder.fqrn, file_of("text", text)
    assert openssl("dgst", "-sha1", "-sign", f"{keys}.key", file) == key_folder.signer.sign_manifest(text)
    assert openssl("pkeyutl", "-sign", "-inkey", f"{keys}.masterkey", "-in", file) == (
        key_folder.signer.sign_whitelist(text)
    )


def test_each_signature_fits_only_its_text_its_key_and_its_place(key_folder: KeyFolder, other_keys: KeyFolder) -> None:
    signer, other = key_folder.signer, other_keys.signer
    manifest, whitelist = signer.sign_manifest(TEXT), signer.sign_whitelist(TEXT)
    assert signing.manifest_signature_fits(signer.certificate, TEXT, manifest)
    assert not signing.manifest_signature_fits(signer.certificate, HASH_TEXTS[1], manifest)
    assert not signing.manifest_signature_fits(other.certificate, TEXT, manifest)
    assert signing.whitelist_signature_fits(signer.public_key, TEXT, whitelist)
    assert not signing.whitelist_signature_fits(signer.public_key, HASH_TEXTS[1], whitelist)
    assert not signing.whitelist_signature_fits(other.public_key, TEXT, whitelist)


def test_one_form_is_refused_in_place_of_the_other() -> None:
    key = rsa.generate_private_key(65537, 2048)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    assert signing.whitelist_signature_fits(public, TEXT, signing.sign_whitelist_text(key, TEXT))
    assert not signing.whitelist_signature_fits(public, TEXT, signing.sign_manifest_text(key, TEXT))


def test_a_whitelist_signature_is_no_manifest_signature(
    key_folder: KeyFolder, file_of: Callable[[str, bytes], Path]
) -> None:
    raw = openssl("pkeyutl", "-sign", "-inkey", key_folder.path / f"{key_folder.fqrn}.key", "-in", file_of("t", TEXT))
    assert not signing.manifest_signature_fits(key_folder.signer.certificate, TEXT, raw)


@given(data=st.data())
@settings(max_examples=60)
def test_a_mutated_signature_never_fits(key_folder: KeyFolder, data: st.DataObject) -> None:
    signer = key_folder.signer
    for sign, fits, key in (
        (signer.sign_manifest, signing.manifest_signature_fits, signer.certificate),
        (signer.sign_whitelist, signing.whitelist_signature_fits, signer.public_key),
    ):
        good = sign(TEXT)
        bad = data.draw(
            st.binary(max_size=600)
            | st.builds(lambda at, bit, good=good: _flipped(good, at, bit), st.integers(0, 255), st.integers(0, 7))
            | st.builds(lambda end, good=good: good[:end], st.integers(0, 255))
            | st.builds(lambda tail, good=good: good + tail, st.binary(min_size=1, max_size=9))
        )
        assert not fits(key, TEXT, bad)


def _flipped(raw: bytes, at: int, bit: int) -> bytes:
    return raw[:at] + bytes([raw[at] ^ 1 << bit]) + raw[at + 1 :]


@pytest.mark.parametrize("text", [b"", b"hello", b"0" * 39, b"0" * 40 + b"\n", b"A" * 40, b"\xff" * 40, b"0" * 41])
def test_nothing_but_a_hash_text_is_signed(key_folder: KeyFolder, text: bytes) -> None:
    """A bare-text signature over chosen bytes could pass for any other signature of that key."""
    with pytest.raises(MalformedData):
        key_folder.signer.sign_whitelist(text)
    with pytest.raises(MalformedData):
        key_folder.signer.sign_manifest(text)


def test_fingerprint_is_what_openssl_says(key_folder: KeyFolder) -> None:
    line = openssl("x509", "-in", key_folder.path / f"{key_folder.fqrn}.crt", "-noout", "-fingerprint", "-sha1")
    shown = line.decode().strip().partition("=")[2]
    assert str(signing.fingerprint(key_folder.signer.certificate)) == shown.replace(":", "").lower()


def test_keys_that_are_not_rsa_are_refused() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(KeyUnusable, match="not RSA"):
        signing.public_master_key(public)


def test_a_certificate_with_another_kind_of_key_is_refused(file_of: Callable[[str, bytes], Path]) -> None:
    key = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    request = ("req", "-x509", "-new", "-subj", "/CN=x", "-days", "1")
    certificate = openssl(*request, "-key", file_of("key", key))
    with pytest.raises(MalformedData, match="not RSA"):
        signing.certificate_key(certificate)


def test_the_certificate_of_the_reference_tools_is_read(golden: GoldenRepository) -> None:
    """It is X.509 version 1, which libraries have grown suspicious of."""
    stored = golden.root / "data/9d/7776fbfa39987dc15f6be62e7fe24e0c1c0142X"
    certificate = zlib.decompress(stored.read_bytes())
    assert signing.certificate_key(certificate).key_size == 2048
    listed = "08:4E:9A:6B:CF:97:17:DC:E0:51:90:61:69:80:3E:D2:E0:40:7C:E7"
    assert str(signing.fingerprint(certificate)) == listed.replace(":", "").lower()


def test_a_certificate_with_the_serial_number_zero_is_taken_as_clients_take_it(key_folder: KeyFolder) -> None:
    key = key_folder.path / f"{key_folder.fqrn}.key"
    certificate = openssl("req", "-x509", "-new", "-key", key, "-set_serial", "0", "-subj", "/CN=zero")
    assert signing.load_certificate(certificate).subject.rfc4514_string() == "CN=zero"
    assert signing.manifest_signature_fits(certificate, TEXT, key_folder.signer.sign_manifest(TEXT))


def pem_like(label: str) -> st.SearchStrategy[bytes]:
    body = st.text("ABCDabcd0123+/=\n", max_size=200).map(str.encode)
    return st.builds(
        lambda text: f"-----BEGIN {label}-----\n".encode() + text + f"-----END {label}-----\n".encode(), body
    )


@given(st.binary(max_size=200) | pem_like("CERTIFICATE"))
def test_any_bytes_are_a_certificate_or_malformed(raw: bytes) -> None:
    with pytest.raises(MalformedData):
        signing.certificate_key(raw)


@given(st.binary(max_size=200) | pem_like("PUBLIC KEY") | pem_like("RSA PUBLIC KEY"))
def test_any_bytes_are_a_public_key_or_unusable(raw: bytes) -> None:
    with pytest.raises(KeyUnusable):
        signing.public_master_key(raw)


@given(at=st.integers(0, 2000), value=st.integers(0, 255))
def test_a_damaged_certificate_is_malformed_or_another_one(key_folder: KeyFolder, at: int, value: int) -> None:
    good = key_folder.signer.certificate
    at %= len(good)
    bad = good[:at] + bytes([value]) + good[at + 1 :]
    with suppress(MalformedData):
        signing.certificate_key(bad)
        signing.fingerprint(bad)


def test_an_oversized_certificate_is_refused_before_parsing() -> None:
    with pytest.raises(MalformedData, match="longer than"):
        signing.load_certificate(b" " * (signing.MAX_CERTIFICATE_BYTES + 1))
