"""Whitelists signed again, and keys exchanged."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fondaco.cvmfs.errors import KeyUnusable, LimitExceeded, VerificationFailed, WhitelistExpired
from fondaco.cvmfs.keys import MasterKeyFile
from fondaco.cvmfs.repository import Repository
from fondaco.cvmfs.resigning import Renewal, change_certificate, renew_whitelist
from fondaco.cvmfs.signing import fingerprint
from fondaco.cvmfs.stores.base import MANIFEST, WHITELIST
from fondaco.cvmfs.whitelist import Whitelist, parse_signed, sign
from tests.cvmfs.conftest import KeyFolder
from tests.cvmfs.repositories import FQRN, Place

DAY = 86_400


@pytest.fixture
def place(tmp_path: Path, key_folder: KeyFolder) -> Place:
    folder = tmp_path / "keys"
    shutil.copytree(key_folder.path, folder)
    return Place(tmp_path / "repository", folder).create()


def renewal(place: Place, *, days: int = 30, folder: Path | None = None) -> Renewal:
    master = MasterKeyFile(folder or place.key_folder, FQRN)
    return Renewal(
        master=master,
        public_keys=(place.signer.public_key,),
        now=datetime.fromtimestamp(place.clock.now, UTC),
        life=timedelta(days=days),
    )


def files(place: Place) -> dict[str, bytes]:
    return {key: place.store.get(key) for key in place.store.list("")}


def test_an_expired_whitelist_is_signed_again_and_nothing_else_changes(place: Place) -> None:
    before = files(place)
    place.clock.now += 31 * DAY
    with pytest.raises(WhitelistExpired), place.publisher.held():
        pass
    renewed = renew_whitelist(place.store, FQRN, renewal(place, days=7))
    with place.publisher.held() as head:
        assert head.revision == 1
    assert renewed.expires_at == datetime.fromtimestamp(place.clock.now, UTC) + timedelta(days=7)
    after = files(place)
    assert {key for key in after if after[key] != before.get(key)} == {WHITELIST}
    old, new = parse_signed(before[WHITELIST]).whitelist, parse_signed(after[WHITELIST]).whitelist
    assert new == renewed
    assert new.fingerprints == old.fingerprints


def test_the_master_key_alone_is_enough(place: Place, tmp_path: Path) -> None:
    safe = tmp_path / "safe"
    safe.mkdir()
    shutil.copy(place.key_folder / f"{FQRN}.masterkey", safe)
    renew_whitelist(place.store, FQRN, renewal(place, folder=safe))


def test_a_missing_master_key_is_named(place: Place, tmp_path: Path) -> None:
    before = files(place)
    with pytest.raises(KeyUnusable, match=r"masterkey does not exist\. run this where the master key is kept"):
        renew_whitelist(place.store, FQRN, renewal(place, folder=tmp_path / "nowhere"))
    assert files(place) == before


def test_a_master_key_of_another_repository_is_refused(place: Place, other_keys: KeyFolder) -> None:
    before = files(place)
    with pytest.raises(KeyUnusable, match="no public key fits"):
        renew_whitelist(place.store, FQRN, renewal(place, folder=other_keys.path))
    assert files(place) == before


def test_a_whitelist_that_somebody_else_put_there_gets_no_signature(place: Place, other_keys: KeyFolder) -> None:
    now = datetime.fromtimestamp(place.clock.now, UTC)
    forged = Whitelist.create(FQRN, [other_keys.signer.certificate], now=now)
    place.store.replace(WHITELIST, sign(forged, other_keys.signer))
    with pytest.raises(VerificationFailed, match="no public key fits"):
        renew_whitelist(place.store, FQRN, renewal(place))


@pytest.mark.parametrize("days", [0, -1, 4000])
def test_an_unreasonable_life_is_refused(place: Place, days: int) -> None:
    with pytest.raises(LimitExceeded, match="choose 1 to 3650 days"):
        renew_whitelist(place.store, FQRN, renewal(place, days=days))


def test_a_new_key_signs_from_now_on_and_the_old_one_no_more(place: Place, other_keys: KeyFolder) -> None:
    before, root = files(place), place.manifest().root_catalog
    old = place.signer.certificate
    place.clock.now += 40 * DAY
    changed = changed_keys(place, other_keys)
    renewed = change_certificate(changed.publisher, renewal(place))
    assert renewed.fingerprints == (fingerprint(other_keys.signer.certificate),)
    assert fingerprint(old) not in parse_signed(place.store.get(WHITELIST)).whitelist.fingerprints
    with changed.publisher.held() as head:
        assert (head.revision, head.manifest.root_catalog) == (1, root)
    assert {key for key in files(place) if key.startswith("data/") and key in before} == {
        key for key in before if key.startswith("data/")
    }
    assert change_certificate(changed.publisher, renewal(place)).fingerprints == renewed.fingerprints, "again: no harm"


def test_a_key_that_the_whitelist_does_not_know_publishes_nothing(place: Place, other_keys: KeyFolder) -> None:
    """It would be signed, and no client could mount it."""
    before = files(place)
    with pytest.raises(KeyUnusable, match="resign --new-certificate"), changed_keys(place, other_keys).publisher.held():
        pass
    assert files(place) == before


def changed_keys(place: Place, other: KeyFolder) -> Place:
    for suffix in (".key", ".crt"):
        shutil.copy(other.path / (FQRN + suffix), place.key_folder)
    return Place(place.folder, place.key_folder, clock=place.clock)


def test_an_exchange_of_keys_can_be_read_after_each_step(
    place: Place, other_keys: KeyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = changed_keys(place, other_keys)
    steps: list[str] = []
    replace = type(changed.store).replace

    def watched(store: object, key: str, data: bytes, *, previous: bytes | None = None) -> None:
        replace(store, key, data, previous=previous)  # type: ignore[arg-type]
        if key in (MANIFEST, WHITELIST):
            now = datetime.fromtimestamp(place.clock.now, UTC)
            Repository.open(changed.store, public_keys=(place.signer.public_key,), now=now)
            steps.append(key)

    monkeypatch.setattr(type(changed.store), "replace", watched)
    change_certificate(changed.publisher, renewal(place))
    assert steps == [WHITELIST, MANIFEST, WHITELIST]
