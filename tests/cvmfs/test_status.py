"""The status file."""

import json
from pathlib import Path

import pytest

from fondaco.cvmfs.status import MAX_STATUS_BYTES, note_status, utc_date
from fondaco.cvmfs.stores.base import STATUS
from fondaco.cvmfs.stores.local import LocalStore


def test_a_time_is_written_as_the_reference_tools_write_it() -> None:
    assert utc_date(1_795_338_108) == "Sun Nov 22 09:01:48 UTC 2026"
    assert utc_date(1_793_552_461) == "Sun Nov  1 17:01:01 UTC 2026"


def test_other_fields_stay(tmp_path: Path) -> None:
    store = LocalStore.create(tmp_path)
    note_status(store, "last_gc", 0)
    store.replace(STATUS, store.get(STATUS).replace(b"{", b'{"check_status": "succeeded",'))
    note_status(store, "last_snapshot", 1)
    note_status(store, "last_gc", 2)
    assert json.loads(store.get(STATUS)) == {
        "check_status": "succeeded",
        "last_gc": "Thu Jan  1 00:00:02 UTC 1970",
        "last_snapshot": "Thu Jan  1 00:00:01 UTC 1970",
    }


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff", b" " * (MAX_STATUS_BYTES + 1)])
def test_what_cannot_be_read_is_replaced(tmp_path: Path, content: bytes) -> None:
    store = LocalStore.create(tmp_path)
    store.replace(STATUS, content)
    note_status(store, "last_gc", 0)
    assert json.loads(store.get(STATUS)) == {"last_gc": "Thu Jan  1 00:00:00 UTC 1970"}
