"""Many changes at once: where a listing is cheaper than looking at each key, the folder is listed."""

import pytest

from fondaco.software.sync import FEW_LOOKS
from tests.software.conftest import Service


@pytest.mark.parametrize(("changed", "listings", "looks"), [(FEW_LOOKS, 0, FEW_LOOKS), (FEW_LOOKS + 1, 1, 0)])
def test_after_a_large_upload_the_folder_is_listed(service: Service, changed: int, listings: int, looks: int) -> None:
    service.bucket.put("cvmfs/first", b"first")
    service.sync.sweep()
    service.bucket.listed = 0
    keys = [f"cvmfs/new/{number}" for number in range(changed)]
    for key in keys:
        service.bucket.put(key, b"new")
    outcome = service.sync.run_once(keys)
    assert (service.bucket.listed, len(service.bucket.looked)) == (listings, looks)
    assert outcome.published is not None
    assert service.files() == {"/first": b"first"} | {key.removeprefix("cvmfs"): b"new" for key in keys}


def test_in_a_large_folder_the_keys_are_looked_at(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    service.bucket.put("cvmfs/first", b"first")
    service.sync.sweep()
    service.bucket.listed = 0
    monkeypatch.setattr(service.ledger, "counts", lambda: {"published": 1_000_000})
    keys = [f"cvmfs/new/{number}" for number in range(FEW_LOOKS + 1)]
    for key in keys:
        service.bucket.put(key, b"new")
    assert service.sync.run_once(keys).published is not None
    assert (service.bucket.listed, len(service.bucket.looked)) == (0, FEW_LOOKS + 1)
