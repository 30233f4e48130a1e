"""A plan over a folder of 1,000,000 keys of which none changed: seconds and memory beyond the listing.

    python bench/plan.py [KEYS]

The listing is made up, as the objects that a page of a real one is parsed into; what it costs by itself is taken off.
"""

import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from fondaco.backends.bucket import ObjectInfo
from fondaco.software.ledger import Ledger
from fondaco.software.plan import fingerprint, plan
from fondaco.software.records import Row, Scope
from fondaco.software.rules import Rules

PREFIX = "cvmfs/"
FILES_PER_DIRECTORY = 50


def listing(keys: int) -> Iterator[ObjectInfo]:
    for number in range(keys):
        directory = number // FILES_PER_DIRECTORY
        key = f"{PREFIX}releases/{directory % 100:03d}/package-{directory:06d}/module_{number:07d}.py"
        yield ObjectInfo(key, number % 100_000, f"{number:032x}", 1_767_225_600 + number)


def main() -> None:
    keys = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as folder, Ledger(Path(folder) / "ledger", "bench.example.org") as ledger:
        rows = (Row(key=one.key, fingerprint=fingerprint(one), path="/" + one.key[6:]) for one in listing(keys))
        started = time.perf_counter()
        ledger.record(rows=rows)
        written = time.perf_counter() - started

        started = time.perf_counter()
        for _ in listing(keys):
            pass
        listed = time.perf_counter() - started

        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        started = time.perf_counter()
        known = ledger.known()
        loaded = time.perf_counter() - started
        made = plan(listing(keys), known, Rules(), Scope(prefix=PREFIX, whole=True))
        planned = time.perf_counter() - started
    assert made.is_empty
    assert made.unchanged == keys
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"keys                         {keys:12,}")
    print(f"ledger written               {written:12.2f} s")
    print(f"listing made up              {listed:12.2f} s")
    print(f"ledger loaded                {loaded:12.2f} s")
    print(f"ledger and plan, no listing  {planned - listed:12.2f} s  (budget 5)")
    print(f"peak memory of the process   {peak / 1024:12.0f} MiB (budget 477; {before / 1024:.0f} before)")


if __name__ == "__main__":
    main()
