"""The whole chain, on a repository written by the reference tools and on one written here."""

import zlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fondaco.cvmfs import manifest as manifests
from fondaco.cvmfs import whitelist as whitelists
from fondaco.cvmfs.digest import Algorithm, Digest
from fondaco.cvmfs.errors import KeyUnusable, MalformedData, VerificationFailed, WhitelistExpired
from fondaco.cvmfs.manifest import Manifest
from fondaco.cvmfs.signing import MAX_CERTIFICATE_BYTES
from fondaco.cvmfs.trust import certificate_key, verify_chain
from fondaco.cvmfs.whitelist import Whitelist
from tests.cvmfs.conftest import GoldenRepository, KeyFolder

NOW = datetime(2026, 11, 22, 9, 10, 43, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Chain:
    """The arguments of verify_chain."""

    manifest: bytes
    whitelist: bytes
    certificate: bytes
    public_keys: tuple[bytes, ...]
    fqrn: str
    now: datetime

    def verify(self) -> Manifest:
        return verify_chain(
            manifest=self.manifest,
            whitelist=self.whitelist,
            certificate=self.certificate,
            public_keys=self.public_keys,
            fqrn=self.fqrn,
            now=self.now,
        )

    def why(self) -> str:
        with pytest.raises(VerificationFailed) as caught:
            self.verify()
        return str(caught.value)


def chain_of(
    keys: KeyFolder, *, algorithm: Algorithm = Algorithm.SHA1, certificate: bytes | None = None, fqrn: str | None = None
) -> Chain:
    stored = zlib.compress(keys.signer.certificate if certificate is None else certificate)
    manifest = Manifest(
        root_catalog=Digest.of(b"root", algorithm),
        revision=1,
        fqrn=fqrn or keys.fqrn,
        certificate=Digest.of(stored, algorithm),
    )
    listed = Whitelist.create(keys.fqrn, [keys.signer.certificate], now=NOW, algorithm=algorithm)
    return Chain(
        manifest=manifests.sign(manifest, keys.signer),
        whitelist=whitelists.sign(listed, keys.signer),
        certificate=stored,
        public_keys=(keys.signer.public_key,),
        fqrn=keys.fqrn,
        now=NOW,
    )


@pytest.fixture(scope="module")
def chain(key_folder: KeyFolder) -> Chain:
    return chain_of(key_folder)


@pytest.fixture
def reference(golden: GoldenRepository) -> Chain:
    manifest = (golden.root / ".cvmfspublished").read_bytes()
    return Chain(
        manifest=manifest,
        whitelist=(golden.root / ".cvmfswhitelist").read_bytes(),
        certificate=(golden.root / certificate_key(manifest)).read_bytes(),
        public_keys=(golden.public_key,),
        fqrn=golden.fqrn,
        now=golden.valid_at,
    )


def test_the_chain_of_the_reference_tools_holds(reference: Chain) -> None:
    manifest = reference.verify()
    assert manifest.revision == 3
    assert str(manifest.root_catalog) == "4103a4e7466393021737011732fd99ef9ca96123"


def test_the_chain_of_the_reference_tools_fails_with_another_key(reference: Chain, other_keys: KeyFolder) -> None:
    assert "no public key fits" in replace(reference, public_keys=(other_keys.signer.public_key,)).why()


def test_the_chain_of_the_reference_tools_fails_after_its_time(reference: Chain) -> None:
    for now in (datetime(2026, 12, 22, 9, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC)):
        with pytest.raises(WhitelistExpired, match="2026-12-22 09:00"):
            replace(reference, now=now).verify()
    assert replace(reference, now=datetime(2026, 12, 22, 8, 59, 59, tzinfo=UTC)).verify()


def test_the_chain_of_the_reference_tools_fails_under_another_name(reference: Chain) -> None:
    assert "not for other.example.org" in replace(reference, fqrn="other.example.org").why()


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_our_own_chain_holds(key_folder: KeyFolder, algorithm: Algorithm) -> None:
    assert chain_of(key_folder, algorithm=algorithm).verify().revision == 1


def test_one_fitting_public_key_is_enough(chain: Chain, other_keys: KeyFolder) -> None:
    assert replace(chain, public_keys=(other_keys.signer.public_key, *chain.public_keys)).verify()


def test_a_public_key_that_is_none_is_not_passed_over(chain: Chain) -> None:
    with pytest.raises(KeyUnusable):
        replace(chain, public_keys=(b"nonsense", *chain.public_keys)).verify()


def test_a_manifest_of_another_repository_with_the_same_keys_is_refused(key_folder: KeyFolder) -> None:
    assert "the manifest is not trusted: it is for other.example.org" in (
        chain_of(key_folder, fqrn="other.example.org").why()
    )


def test_a_whitelist_of_somebody_else_is_refused(chain: Chain, other_keys: KeyFolder) -> None:
    assert "the whitelist is not trusted" in replace(chain, whitelist=chain_of(other_keys).whitelist).why()


def test_a_certificate_that_is_not_listed_is_refused(chain: Chain, other_keys: KeyFolder) -> None:
    """Who can write the store but has no master key brings manifest and certificate of his own."""
    stranger = chain_of(other_keys)
    forged = replace(chain, manifest=stranger.manifest, certificate=stranger.certificate)
    assert "the whitelist does not list it" in forged.why()


def test_a_certificate_other_than_the_manifest_names_is_refused(chain: Chain, other_keys: KeyFolder) -> None:
    assert "the manifest names" in replace(chain, certificate=chain_of(other_keys).certificate).why()


def test_a_manifest_signed_by_a_key_outside_its_certificate_is_refused(chain: Chain, other_keys: KeyFolder) -> None:
    letter = manifests.parse_signed(chain.manifest).letter
    forged = replace(letter, signature=other_keys.signer.sign_manifest(letter.hash_text))
    assert "its signature was not made" in replace(chain, manifest=forged.serialize()).why()


def test_an_old_manifest_text_under_a_new_hash_is_refused(chain: Chain) -> None:
    letter = manifests.parse_signed(chain.manifest).letter
    body = letter.body.replace(b"\nS1\n", b"\nS2\n")
    forged = replace(letter, body=body, digest=Digest.of(body))
    assert "its signature was not made" in replace(chain, manifest=forged.serialize()).why()


def test_a_certificate_that_inflates_without_end_is_malformed(key_folder: KeyFolder) -> None:
    bomb = chain_of(key_folder, certificate=b" " * (100 * MAX_CERTIFICATE_BYTES))
    with pytest.raises(MalformedData, match="longer than"):
        bomb.verify()


@pytest.mark.parametrize(
    "content", [b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_a_certificate_object_that_holds_none_is_malformed(key_folder: KeyFolder, content: bytes) -> None:
    with pytest.raises(MalformedData, match="the certificate cannot be read"):
        chain_of(key_folder, certificate=content).verify()


def test_the_dates_of_the_certificate_do_not_count(key_folder: KeyFolder) -> None:
    later = NOW + timedelta(days=4000)
    chain = chain_of(key_folder)
    listed = Whitelist.create(key_folder.fqrn, [key_folder.signer.certificate], now=later)
    assert replace(chain, whitelist=whitelists.sign(listed, key_folder.signer), now=later).verify()


@given(data=st.data())
def test_any_bytes_in_any_place_are_malformed_or_not_trusted(chain: Chain, data: st.DataObject) -> None:
    place = data.draw(st.sampled_from(["manifest", "whitelist", "certificate"]))
    raw = data.draw(st.binary(max_size=400))
    broken = replace(
        chain,
        manifest=raw if place == "manifest" else chain.manifest,
        whitelist=raw if place == "whitelist" else chain.whitelist,
        certificate=raw if place == "certificate" else chain.certificate,
    )
    with pytest.raises((MalformedData, VerificationFailed)):
        broken.verify()
