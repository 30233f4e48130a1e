from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fondaco.cvmfs.digest import Algorithm, Digest
from fondaco.cvmfs.errors import KeyUnusable, LimitExceeded, MalformedData, VerificationFailed
from fondaco.cvmfs.letter import Letter
from fondaco.cvmfs.manifest import MAX_MANIFEST_BYTES, MAX_NUMBER, MAX_TTL, Manifest, parse_signed, sign, verify
from tests.cvmfs.conftest import GoldenRepository, KeyFolder

ROOT, CERTIFICATE = Digest.of(b"root"), Digest.of(b"certificate")
MINIMAL = Manifest(root_catalog=ROOT, revision=1, fqrn="test.example.org", certificate=CERTIFICATE)
FULL = Manifest(
    root_catalog=Digest.of(b"root", Algorithm.SHAKE128),
    root_catalog_size=65536,
    ttl=900,
    revision=7,
    fqrn="test.example.org",
    certificate=CERTIFICATE,
    history=Digest.of(b"history"),
    metainfo=Digest.of(b"metainfo"),
    reflog=Digest.of(b"reflog"),
    micro_catalog=Digest.of(b"micro"),
    published_at=1795338646,
    garbage_collectable=True,
    alternative_paths=True,
    extra=(("Q", "something new"), ("Z", "a|b"), ("q", "")),
)

digests = st.builds(Digest, st.binary(min_size=20, max_size=20).filter(any), st.sampled_from(Algorithm))
names = st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,20}\.[a-z.]{1,20}", fullmatch=True)
values = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=20)
extras = st.dictionaries(st.sampled_from("EFIJKOPQUVWZabcxyz"), values, max_size=4).map(lambda d: tuple(d.items()))
manifests = st.builds(
    Manifest,
    root_catalog=digests,
    root_catalog_size=st.integers(0, MAX_NUMBER),
    ttl=st.integers(0, MAX_TTL),
    revision=st.integers(0, MAX_NUMBER),
    fqrn=names,
    certificate=digests,
    history=st.none() | digests,
    metainfo=st.none() | digests,
    reflog=st.none() | digests,
    micro_catalog=st.none() | digests,
    published_at=st.integers(0, MAX_NUMBER),
    garbage_collectable=st.booleans(),
    alternative_paths=st.booleans(),
    extra=extras,
)


def why(body: bytes) -> str:
    with pytest.raises(MalformedData) as caught:
        Manifest.parse(body)
    return caught.value.why


def with_line(line: bytes) -> bytes:
    """A good body in which *line* replaces the one of its letter."""
    kept = [old for old in MINIMAL.body().splitlines(keepends=True) if old[:1] != line[:1]]
    return b"".join(kept) + line + b"\n"


def test_lines_stand_in_the_order_of_the_reference_publisher() -> None:
    assert FULL.body().decode().splitlines() == [
        f"C{Digest.of(b'root', Algorithm.SHAKE128)}",
        "B65536",
        "Rd41d8cd98f00b204e9800998ecf8427e",
        "D900",
        "S7",
        "Gyes",
        "Ayes",
        f"L{Digest.of(b'micro')}",
        "Ntest.example.org",
        f"X{CERTIFICATE}",
        f"H{Digest.of(b'history')}",
        "T1795338646",
        f"M{Digest.of(b'metainfo')}",
        f"Y{Digest.of(b'reflog')}",
        "Qsomething new",
        "Za|b",
        "q",
    ]


def test_what_is_absent_is_not_written() -> None:
    letters = [line[:1] for line in MINIMAL.body().decode().splitlines()]
    assert letters == list("CBRDSGANX")


def test_the_manifest_of_the_reference_publisher_is_written_back_byte_for_byte(golden: GoldenRepository) -> None:
    raw = (golden.root / ".cvmfspublished").read_bytes()
    signed = parse_signed(raw)
    assert signed.serialize() == raw
    assert signed.manifest.body() == signed.letter.body
    assert signed.manifest.fqrn == golden.fqrn
    assert signed.manifest.revision == 3
    assert signed.manifest.ttl == 240
    assert (golden.root / signed.manifest.root_catalog_key).exists()
    assert (golden.root / signed.manifest.certificate_key).exists()


@given(manifests)
def test_what_is_written_is_read_back(manifest: Manifest) -> None:
    assert Manifest.parse(manifest.body()) == manifest


@given(manifests, st.randoms(use_true_random=False))
def test_the_order_of_lines_does_not_matter(manifest: Manifest, random: Random) -> None:
    lines = manifest.body().splitlines(keepends=True)
    random.shuffle(lines)
    read = Manifest.parse(b"".join(lines))
    assert replace(read, extra=tuple(sorted(read.extra))) == replace(manifest, extra=tuple(sorted(manifest.extra)))


def test_the_last_of_repeated_lines_counts_but_tips_are_joined() -> None:
    body = b"S9\nZone\n" + MINIMAL.body() + b"Ztwo\nS3\nZthree\n"
    read = Manifest.parse(body)
    assert read.revision == 3
    assert read.extra == (("Z", "one|two|three"),)
    assert Manifest.parse(read.body()) == read


def test_empty_lines_are_passed_over_as_clients_do() -> None:
    assert Manifest.parse(MINIMAL.body().replace(b"\n", b"\n\n")) == MINIMAL


def test_null_hashes_of_optional_objects_mean_none() -> None:
    assert Manifest.parse(MINIMAL.body() + b"H" + b"0" * 40 + b"\n") == MINIMAL


def test_bytes_that_are_not_utf8_survive_in_unknown_lines() -> None:
    body = MINIMAL.body() + b"Q\xff\xfe\n"
    assert Manifest.parse(body).body() == body


@pytest.mark.parametrize("letter", ["C", "R", "D", "S", "N", "X"])
def test_without_a_required_line_clients_cannot_mount(letter: str) -> None:
    body = b"".join(line for line in MINIMAL.body().splitlines(keepends=True) if line[:1] != letter.encode())
    assert f"no line {letter}" in why(body)


@pytest.mark.parametrize(
    "line",
    [
        b"Ntest.example.org\r",
        b"Nother name.example.org",
        b"N",
        b"Nnodomain",
        b"N../x.example.org",
        b"C" + b"a" * 40 + b"C",  # type suffix
        b"C" + b"A" * 40,
        b"C" + b"a" * 39,
        b"C" + b"a" * 32,  # MD5
        b"C" + b"0" * 40,
        b"X" + b"0" * 40,
        b"X" + b"a" * 40 + b"X",
        b"H" + b"a" * 40 + b"H",
        b"M",
        b"Y" + b"a" * 40 + b"-sha256",
        b"L-",
        b"Rd41d8cd98f00b204e9800998ecf8427f",
        b"RD41D8CD98F00B204E9800998ECF8427E",
        b"R",
        b"S",
        b"S-1",
        b"S+1",
        b"S1 ",
        b"S 1",
        b"S1_0",
        b"S0x1",
        b"S9223372036854775808",
        b"S" + b"1" * 1000,
        "S\u0661".encode(),
        b"D4294967296",
        b"Dmany",
        b"B-1",
        b"T1.5",
        b"Gtrue",
        b"GYes",
        b"A",
        b"Qa\tb",
        b"Qa\0b",
    ],
)
def test_a_wrong_line_is_refused_with_its_number(line: bytes) -> None:
    body = with_line(line)
    last = len(body.split(b"\n")) - 1
    assert why(body).startswith(f"line {last}: ")


@pytest.mark.parametrize("line", [b"-x", b"1x", b" C", b"\xc3x", b"#", b"--"])
def test_a_line_that_begins_with_no_letter_is_refused(line: bytes) -> None:
    assert why(line + b"\n" + MINIMAL.body()).startswith("line 1: ")


@pytest.mark.parametrize(
    "change",
    [
        {"fqrn": "test.example.org\r"},
        {"fqrn": "test.example.org\nS9"},
        {"fqrn": ""},
        {"root_catalog": Digest(bytes(20))},
        {"certificate": Digest(bytes(20))},
        {"history": Digest(bytes(20))},
        {"reflog": Digest(bytes(20), Algorithm.SHAKE128)},
        {"revision": -1},
        {"revision": MAX_NUMBER + 1},
        {"ttl": MAX_TTL + 1},
        {"root_catalog_size": -1},
        {"published_at": -1},
        {"extra": (("S", "9"),)},
        {"extra": (("Q", "1"), ("Q", "2"))},
        {"extra": (("QQ", "1"),)},
        {"extra": (("", "1"),)},
        {"extra": (("-", "-"),)},
        {"extra": (("ä", "1"),)},
        {"extra": (("Q", "1\nS9"),)},
        {"extra": (("Q", "1\r"),)},
        {"extra": (("Q", "\ud800"),)},
    ],
)
def test_a_manifest_that_clients_would_refuse_cannot_be_made(change: dict[str, object]) -> None:
    with pytest.raises(MalformedData):
        replace(MINIMAL, **change)  # type: ignore[arg-type]  # one field of any type


@pytest.mark.parametrize("manifest", [MINIMAL, FULL])
def test_what_is_signed_is_verified(key_folder: KeyFolder, manifest: Manifest) -> None:
    signed = parse_signed(sign(manifest, key_folder.signer))
    assert str(signed.letter.digest).endswith(manifest.root_catalog.algorithm.text)
    assert verify(signed, key_folder.signer.certificate) == manifest


def test_signing_again_keeps_all_of_a_foreign_manifest(key_folder: KeyFolder) -> None:
    read = parse_signed(sign(FULL, key_folder.signer)).manifest
    again = parse_signed(sign(replace(read, revision=8), key_folder.signer)).manifest
    assert again == replace(FULL, revision=8)


def test_the_certificate_of_another_key_is_refused(key_folder: KeyFolder, other_keys: KeyFolder) -> None:
    signed = parse_signed(sign(MINIMAL, key_folder.signer))
    with pytest.raises(VerificationFailed, match="its certificate"):
        verify(signed, other_keys.signer.certificate)


def test_a_signature_that_does_not_fit_the_certificate_is_not_published(
    key_folder: KeyFolder, other_keys: KeyFolder
) -> None:
    """As when a vault's key was rotated under a certificate that stayed."""

    class Rotated:
        certificate = key_folder.signer.certificate
        sign_manifest = staticmethod(other_keys.signer.sign_manifest)

    with pytest.raises(KeyUnusable, match="does not belong to the certificate"):
        sign(MINIMAL, Rotated())


def test_the_bare_text_signature_of_a_whitelist_is_refused_here(key_folder: KeyFolder) -> None:
    raw = sign(MINIMAL, key_folder.signer)
    letter = Letter.parse(raw, what="the manifest", limit=MAX_MANIFEST_BYTES)
    wrong = replace(letter, signature=key_folder.signer.sign_whitelist(letter.hash_text))
    with pytest.raises(VerificationFailed):
        verify(parse_signed(wrong.serialize()), key_folder.signer.certificate)


def test_nothing_too_large_for_clients_is_written_or_read(key_folder: KeyFolder) -> None:
    rest = len(sign(replace(MINIMAL, extra=(("Q", ""),)), key_folder.signer))
    largest = replace(MINIMAL, extra=(("Q", "x" * (MAX_MANIFEST_BYTES - rest)),))
    raw = sign(largest, key_folder.signer)
    assert len(raw) == MAX_MANIFEST_BYTES
    assert parse_signed(raw).manifest == largest
    with pytest.raises(LimitExceeded):
        sign(replace(MINIMAL, extra=(("Q", "x" * (MAX_MANIFEST_BYTES - rest + 1)),)), key_folder.signer)
    with pytest.raises(MalformedData):
        parse_signed(raw + b"x")


@given(st.binary(max_size=300))
def test_any_bytes_are_a_manifest_or_malformed(raw: bytes) -> None:
    for parse in (Manifest.parse, parse_signed):
        with pytest.raises(MalformedData):
            parse(raw)


@given(data=st.data())
def test_a_mutated_file_is_malformed_or_not_trusted(key_folder: KeyFolder, data: st.DataObject) -> None:
    raw = sign(FULL, key_folder.signer)
    at, old = data.draw(st.integers(0, len(raw) - 1)), data.draw(st.integers(0, 3))
    bad = raw[:at] + data.draw(st.binary(max_size=3)) + raw[at + old :]
    if bad == raw:
        assert verify(parse_signed(bad), key_folder.signer.certificate) == FULL
        return
    with pytest.raises((MalformedData, VerificationFailed)):
        verify(parse_signed(bad), key_folder.signer.certificate)
