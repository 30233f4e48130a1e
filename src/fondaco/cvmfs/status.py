"""``.cvmfs_status.json``: when a repository was collected, copied and checked last.

As ``update_repo_status`` in cvmfs/server/cvmfs_server_json.sh writes it.
"""

import json
import time

from fondaco.cvmfs.errors import LimitExceeded, ObjectMissing
from fondaco.cvmfs.stores.base import STATUS, Store

MAX_STATUS_BYTES = 1 << 16  # ours; it holds a handful of times


def utc_date(seconds: float) -> str:
    """A moment as ``date --utc`` prints it: ``Sun Nov 22 09:01:48 UTC 2026``."""
    return time.strftime("%a %b %e %H:%M:%S UTC %Y", time.gmtime(seconds))


def note_status(store: Store, field: str, seconds: float) -> None:
    """Record a time in one field; the others stay. What is there and cannot be read is replaced."""
    fields: object = {}
    try:
        fields = json.loads(store.get(STATUS, limit=MAX_STATUS_BYTES))
    except (ObjectMissing, LimitExceeded, ValueError):
        fields = {}
    kept = fields if isinstance(fields, dict) else {}
    store.replace(STATUS, (json.dumps({**kept, field: utc_date(seconds)}, indent=2) + "\n").encode())
