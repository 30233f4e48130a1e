import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fondaco.cvmfs.digest import Algorithm, Digest
from fondaco.cvmfs.errors import (
    BadName,
    KeyUnusable,
    LimitExceeded,
    MalformedData,
    VerificationFailed,
    WhitelistExpired,
)
from fondaco.cvmfs.letter import Letter
from fondaco.cvmfs.signing import fingerprint
from fondaco.cvmfs.whitelist import MAX_WHITELIST_BYTES, SignedWhitelist, Whitelist, parse_signed, sign, verify
from tests.cvmfs.conftest import GoldenRepository, KeyFolder

FQRN = "test.example.org"
NOW = datetime(2026, 11, 22, 9, 10, 43, 999_999, tzinfo=UTC)
HEX = "084e9a6bcf9717dce051906169803ed2e0407ce7"
COLONS = "08:4E:9A:6B:CF:97:17:DC:E0:51:90:61:69:80:3E:D2:E0:40:7C:E7"
HEAD = b"20261122091043\nE20261222091043\nNtest.example.org\n"
LISTED = Whitelist(
    fqrn=FQRN,
    issued_at=datetime(2026, 11, 22, 9, 10, 43, tzinfo=UTC),
    expires_at=datetime(2026, 12, 22, 9, 10, 43, tzinfo=UTC),
    fingerprints=(Digest.parse(HEX),),
)

digests = st.builds(Digest, st.binary(min_size=20, max_size=20), st.sampled_from(Algorithm))
times = st.datetimes(timezones=st.just(UTC)).map(lambda time: time.replace(microsecond=0))
whitelists = st.builds(
    Whitelist,
    fqrn=st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,20}\.[a-z.]{1,20}", fullmatch=True),
    issued_at=times,
    expires_at=times,
    fingerprints=st.lists(digests, max_size=4).map(tuple),
    pkcs7=st.booleans(),
    ca_chain=st.booleans(),
)


@pytest.fixture(scope="module")
def file(key_folder: KeyFolder) -> bytes:
    return sign(LISTED, key_folder.signer)


def signed_by(keys: KeyFolder, whitelist: Whitelist = LISTED) -> SignedWhitelist:
    return parse_signed(sign(whitelist, keys.signer))


def check(signed: SignedWhitelist, *keys: KeyFolder, fqrn: str = FQRN, now: datetime = NOW) -> Whitelist:
    return verify(signed, public_keys=[key.signer.public_key for key in keys], fqrn=fqrn, now=now)


def test_lines_are_those_of_the_reference() -> None:
    assert LISTED.body() == HEAD + COLONS.encode() + b"\n"


def test_the_algorithm_follows_the_fingerprint_in_upper_case() -> None:
    shake = replace(LISTED, fingerprints=(Digest.parse(HEX + "-shake128"),))
    assert shake.body() == HEAD + COLONS.encode() + b"-SHAKE128\n"


def test_the_whitelist_of_the_reference_is_written_back_byte_for_byte(golden: GoldenRepository) -> None:
    raw = (golden.root / ".cvmfswhitelist").read_bytes()
    signed = parse_signed(raw)
    assert signed.whitelist == replace(LISTED, fqrn=golden.fqrn)
    assert signed.whitelist.body() == signed.letter.body
    assert signed.serialize() == raw
    assert verify(signed, public_keys=[golden.public_key], fqrn=golden.fqrn, now=golden.valid_at) == signed.whitelist


@given(whitelists)
def test_what_is_written_is_read_back(whitelist: Whitelist) -> None:
    assert Whitelist.parse(whitelist.body()) == whitelist


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_a_new_whitelist_lists_the_certificate_and_holds_for_its_life(
    key_folder: KeyFolder, algorithm: Algorithm
) -> None:
    certificate = key_folder.signer.certificate
    whitelist = Whitelist.create(FQRN, [certificate], now=NOW, life=timedelta(days=30), algorithm=algorithm)
    assert whitelist.issued_at == datetime(2026, 11, 22, 9, 10, 43, tzinfo=UTC)
    assert whitelist.expires_at == datetime(2026, 12, 22, 9, 10, 43, tzinfo=UTC)
    assert whitelist.fingerprints == (fingerprint(certificate, algorithm),)
    signed = signed_by(key_folder, whitelist)
    assert signed.letter.digest.algorithm is algorithm
    assert check(signed, key_folder).lists(certificate)


def test_times_of_any_zone_are_written_in_utc(key_folder: KeyFolder) -> None:
    local = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert Whitelist.create(FQRN, [], now=local).body() == HEAD


def test_a_certificate_that_is_not_listed_is_told_apart(key_folder: KeyFolder, other_keys: KeyFolder) -> None:
    whitelist = Whitelist.create(FQRN, [key_folder.signer.certificate], now=NOW)
    assert whitelist.lists(key_folder.signer.certificate)
    assert not whitelist.lists(other_keys.signer.certificate)
    assert not LISTED.lists(key_folder.signer.certificate)


def test_several_certificates_may_sign(key_folder: KeyFolder, other_keys: KeyFolder) -> None:
    certificates = [key_folder.signer.certificate, other_keys.signer.certificate]
    whitelist = Whitelist.parse(Whitelist.create(FQRN, certificates, now=NOW).body())
    assert all(whitelist.lists(certificate) for certificate in certificates)


@pytest.mark.parametrize(
    "line",
    [
        COLONS,
        COLONS.lower(),
        HEX,
        HEX.upper(),
        COLONS + " # the build machine",
        COLONS + "\tcomment",
        COLONS + "#comment",
        COLONS[:20] + ":" + COLONS[20:],
    ],
)
def test_fingerprints_are_read_as_clients_read_them(line: str) -> None:
    assert Whitelist.parse(HEAD + line.encode() + b"\n") == LISTED


@pytest.mark.parametrize("name", ["-shake128", "-SHAKE128", "-ShAkE128"])
def test_the_algorithm_is_read_in_any_case(name: str) -> None:
    body = HEAD + (COLONS + name + " remark").encode() + b"\n"
    assert Whitelist.parse(body).fingerprints == (Digest.parse(HEX + "-shake128"),)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"# remark",
        b" " + COLONS.encode(),
        COLONS.encode()[:-1],
        COLONS.encode() + b"0",
        COLONS.encode() + b"-MD5",
        (COLONS + "-sha\u212ae128").encode(),  # KELVIN SIGN, whose lower case is k
        b"\xff\0",
        b"Vpkcs8",
        b"Ntest.example.org",
    ],
)
def test_other_lines_list_nobody(line: bytes) -> None:
    assert Whitelist.parse(HEAD + line + b"\n" + COLONS.encode() + b"\n") == LISTED


@pytest.mark.parametrize(
    ("flags", "pkcs7", "ca_chain"),
    [
        (b"Vpkcs7\n", True, False),
        (b"Wcachain\n", False, True),
        (b"Vpkcs7\nWcachain\n", True, True),
        (b"Wcachain\nVpkcs7\n", False, True),
    ],
)
def test_flags_stand_in_one_order_behind_the_name(flags: bytes, pkcs7: bool, ca_chain: bool) -> None:
    whitelist = Whitelist.parse(HEAD + flags + COLONS.encode() + b"\n")
    assert whitelist == replace(LISTED, pkcs7=pkcs7, ca_chain=ca_chain)


@pytest.mark.parametrize(("flag", "why"), [("pkcs7", "PKCS#7"), ("ca_chain", "certificate authorities")])
def test_a_whitelist_that_demands_more_than_a_master_key_is_not_trusted(
    key_folder: KeyFolder, flag: str, why: str
) -> None:
    whitelist = Whitelist(
        fqrn=FQRN,
        issued_at=LISTED.issued_at,
        expires_at=LISTED.expires_at,
        fingerprints=LISTED.fingerprints,
        pkcs7=flag == "pkcs7",
        ca_chain=flag == "ca_chain",
    )
    with pytest.raises(VerificationFailed, match=why):
        check(signed_by(key_folder, whitelist), key_folder)


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (b"", 1),
        (b"\n", 1),
        (b"20261122091043\n", 1),
        (b"20261122091043\nE20261222091043\n", 2),
        (b"2026112209104\nE20261222091043\nNa.b\n", 1),
        (b"202611220910433\nE20261222091043\nNa.b\n", 1),
        (b"20261322091043\nE20261222091043\nNa.b\n", 1),
        (b"xxxxxxxxxxxxxx\nE20261222091043\nNa.b\n", 1),
        (b"20261122091043\n20261222091043\nNa.b\n", 2),
        (b"20261122091043\nE2026122209104\nNa.b\n", 2),
        (b"20261122091043\nE20260230091043\nNa.b\n", 2),
        (b"20261122091043\nE20261222241043\nNa.b\n", 2),
        (b"20261122091043\nE20261222091060\nNa.b\n", 2),
        (b"20261122091043\nE00001222091043\nNa.b\n", 2),
        ("20261122091043\nE2026122209104\u0663\nNa.b\n".encode(), 2),
        (b"20261122091043\nE20261222091043\na.b\n", 3),
        (b"20261122091043\nE20261222091043\nNa b.c\n", 3),
        (b"20261122091043\nE20261222091043\nNa.b\r\n", 3),
        (b"20261122091043\nE20261222091043\nN\n", 3),
        (b"20261122091043\r\nE20261222091043\nNa.b\n", 1),
    ],
)
def test_a_wrong_line_is_refused_with_its_number(body: bytes, line: int) -> None:
    with pytest.raises(MalformedData) as caught:
        Whitelist.parse(body)
    assert caught.value.why.startswith(f"line {line}: ")


def test_any_of_several_public_keys_may_fit(key_folder: KeyFolder, other_keys: KeyFolder) -> None:
    signed = signed_by(key_folder)
    assert check(signed, other_keys, key_folder) == LISTED
    assert check(signed, key_folder, other_keys) == LISTED


def test_another_master_key_is_refused(key_folder: KeyFolder, other_keys: KeyFolder) -> None:
    with pytest.raises(VerificationFailed, match="no public key fits"):
        check(signed_by(other_keys), key_folder)


def test_without_public_keys_nothing_is_verified(key_folder: KeyFolder) -> None:
    with pytest.raises(KeyUnusable, match="no public key was given"):
        check(signed_by(key_folder))


def test_another_repository_is_refused(key_folder: KeyFolder) -> None:
    with pytest.raises(VerificationFailed, match=r"for test\.example\.org, not for other\.example\.org"):
        check(signed_by(key_folder), key_folder, fqrn="other.example.org")


def test_names_are_compared_exactly(key_folder: KeyFolder) -> None:
    with pytest.raises(VerificationFailed):
        check(signed_by(key_folder), key_folder, fqrn=FQRN.upper())


@pytest.mark.parametrize(
    ("now", "holds"),
    [
        (datetime(2026, 12, 22, 8, 59, 59, 999_999, tzinfo=UTC), True),
        (datetime(2026, 12, 22, 9, 0, 0, tzinfo=UTC), False),
        (datetime(2026, 12, 22, 9, 10, 42, tzinfo=UTC), False),
        (datetime(2026, 12, 22, 9, 10, 44, tzinfo=UTC), False),
        (datetime(2026, 12, 21, 23, 59, 59, tzinfo=UTC), True),
        (datetime(2027, 1, 1, 0, 0, 0, tzinfo=UTC), False),
        (datetime(2026, 12, 22, 14, 29, 59, tzinfo=timezone(timedelta(hours=5, minutes=30))), True),
        (datetime(2026, 12, 22, 14, 30, 0, tzinfo=timezone(timedelta(hours=5, minutes=30))), False),
        (datetime(2020, 1, 1, tzinfo=UTC), True),  # the time of creation does not count
    ],
)
def test_it_ends_with_the_hour_before_the_hour_it_expires_in(key_folder: KeyFolder, now: datetime, holds: bool) -> None:
    signed = signed_by(key_folder)
    if holds:
        assert check(signed, key_folder, now=now) == LISTED
        return
    with pytest.raises(WhitelistExpired, match="ended at 2026-12-22 09:00 UTC"):
        check(signed, key_folder, now=now)


@given(now=times, expires=times)
def test_expiry_is_the_clients_comparison_of_year_month_day_and_hour(now: datetime, expires: datetime) -> None:
    before = (now.year, now.month, now.day, now.hour) < (expires.year, expires.month, expires.day, expires.hour)
    assert (now < replace(LISTED, expires_at=expires).valid_until) == before


def test_an_expired_forgery_is_called_a_forgery(key_folder: KeyFolder, other_keys: KeyFolder) -> None:
    with pytest.raises(VerificationFailed) as caught:
        check(signed_by(other_keys), key_folder, now=datetime(2030, 1, 1, tzinfo=UTC))
    assert not isinstance(caught.value, WhitelistExpired)


def test_the_signature_form_of_a_manifest_is_refused_here(key_folder: KeyFolder, tmp_path: Path) -> None:
    letter = signed_by(key_folder).letter
    (tmp_path / "text").write_bytes(letter.hash_text)
    master = key_folder.path / f"{FQRN}.masterkey"
    command = ["openssl", "dgst", "-sha1", "-sign", master, tmp_path / "text"]
    with_digest_info = subprocess.run(command, check=True, capture_output=True).stdout
    with pytest.raises(VerificationFailed, match="no public key fits"):
        check(parse_signed(replace(letter, signature=with_digest_info).serialize()), key_folder)


def test_openssl_recovers_the_hash_of_the_text(key_folder: KeyFolder, tmp_path: Path) -> None:
    letter = signed_by(key_folder).letter
    (tmp_path / "signature").write_bytes(letter.signature)
    public = key_folder.path / f"{FQRN}.pub"
    command = ["openssl", "pkeyutl", "-verifyrecover", "-pubin", "-inkey", public, "-in", tmp_path / "signature"]
    assert subprocess.run(command, check=True, capture_output=True).stdout == str(Digest.of(letter.body)).encode()


def test_a_bad_name_is_not_written() -> None:
    with pytest.raises(BadName):
        Whitelist.create("a.b\nVpkcs7", [], now=NOW)
    with pytest.raises(BadName):
        replace(LISTED, fqrn="a.b\nVpkcs7").body()


def test_nothing_too_large_is_written_or_read(key_folder: KeyFolder) -> None:
    with pytest.raises(LimitExceeded):
        sign(replace(LISTED, fingerprints=LISTED.fingerprints * 1200), key_folder.signer)
    with pytest.raises(MalformedData, match="longer than"):
        parse_signed(HEAD + b"x" * MAX_WHITELIST_BYTES)


@given(st.binary(max_size=300) | st.binary(max_size=100).map(lambda tail: HEAD + tail))
def test_any_bytes_are_a_whitelist_or_malformed(raw: bytes) -> None:
    for parse in (Whitelist.parse, lambda raw: parse_signed(raw).whitelist):
        try:
            whitelist = parse(raw)
        except MalformedData:
            continue
        assert raw.startswith(HEAD)
        assert whitelist.fqrn == FQRN


@given(data=st.data())
def test_a_mutated_file_is_malformed_or_not_trusted(key_folder: KeyFolder, file: bytes, data: st.DataObject) -> None:
    at, old = data.draw(st.integers(0, len(file) - 1)), data.draw(st.integers(0, 3))
    bad = file[:at] + data.draw(st.binary(max_size=3)) + file[at + old :]
    if bad == file:
        assert check(parse_signed(bad), key_folder) == LISTED
        return
    with pytest.raises((MalformedData, VerificationFailed)):
        check(parse_signed(bad), key_folder)


def test_a_changed_text_with_its_hash_mended_is_not_trusted(key_folder: KeyFolder) -> None:
    letter = signed_by(key_folder).letter
    body = letter.body.replace(b"E2026", b"E2036")
    forged = Letter(body=body, digest=Digest.of(body), signature=letter.signature)
    with pytest.raises(VerificationFailed, match="no public key fits"):
        check(parse_signed(forged.serialize()), key_folder)
