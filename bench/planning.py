"""The plan over a large bucket of which nothing changed, in a process of its own: `python -m bench.planning LEDGER`."""

import json
import resource
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.measure import run
from bench.rows import Figure, Row, Setting
from fondaco.backends.bucket import ObjectInfo
from fondaco.software.ledger import Ledger
from fondaco.software.plan import fingerprint, plan
from fondaco.software.records import Row as LedgerRow
from fondaco.software.records import Scope
from fondaco.software.rules import Rules

FQRN = "bench.example.org"
KEYS = 1_000_000
PREFIX = "cvmfs/"
SCOPE = Scope(prefix=PREFIX, whole=True)


def listing() -> Iterator[ObjectInfo]:
    """Keys as software has them: 100 to a directory, 60 bytes each; made one by one, as an answer is parsed."""
    for number in range(KEYS):
        key = f"{PREFIX}releases/2026.{number // 50_000:02d}/lib/package{number // 100:05d}/module_{number:07d}.py"
        yield ObjectInfo(key, 4_000 + number % 1_000, f"{number:032x}", 1_790_000_000 + number)


def nothing_changed(setting: Setting) -> Sequence[Figure]:
    """From opening the ledger to the plan; the time to make the listing alone is taken off."""
    file = setting.folder / "ledger.sqlite"
    with Ledger(file, FQRN) as ledger:
        ledger.record(
            rows=(
                LedgerRow(key=info.key, fingerprint=fingerprint(info), path="/" + info.key.removeprefix(PREFIX))
                for info in listing()
            )
        )
    found = [json.loads(run([sys.executable, "-m", "bench.planning", file]).output) for _ in range(setting.runs)]
    middle = sorted(found, key=lambda one: one["seconds"])[len(found) // 2]
    return (
        Figure(label="wall", value=middle["seconds"], unit="s", budget=5),
        Figure(label="peak memory", value=middle["peak"], unit="B", budget=500e6),
        Figure(label="keys a second", value=KEYS / middle["seconds"], unit=""),
    )


def _measured(file: Path) -> dict[str, float]:
    started = time.perf_counter()
    deque(listing(), maxlen=0)
    listed = time.perf_counter()
    with Ledger(file, FQRN) as ledger:
        made = plan(listing(), ledger.known(), Rules(), SCOPE)
    ended = time.perf_counter()
    assert made.is_empty
    assert made.unchanged == KEYS
    return {
        "seconds": (ended - listed) - (listed - started),
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10,
    }


ROWS = (
    Row(name="plan", title="plan over 1,000,000 keys, nothing changed, beyond the listing", measure=nothing_changed),
)

if __name__ == "__main__":
    print(json.dumps(_measured(Path(sys.argv[1]))))
