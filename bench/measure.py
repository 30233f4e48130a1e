"""Wall time, CPU time and memory of whole processes, and the spread of repeated measurements."""

import math
import os
import statistics
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


class MeasuredProcessFailed(Exception):
    """A process that was measured ended with an error; its output is the message."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a process and its children took."""

    wall: float  # seconds
    cpu: float  # seconds, user and system
    peak: int  # bytes of resident memory; the largest process where there are several
    output: str = ""


def run(command: Sequence[str | Path], *, environment: dict[str, str] | None = None) -> Cost:
    """Run a whole process, its start and end included. Pages that others made dirty are written before it begins."""
    os.sync()
    started = time.perf_counter()
    process = subprocess.Popen(
        [str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment
    )
    assert process.stdout is not None
    output = process.stdout.read().decode(errors="replace")
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    if process.returncode != 0:
        raise MeasuredProcessFailed(f"{' '.join(map(str, command))} left with {process.returncode}:\n{output}")
    return Cost(wall=wall, cpu=used.ru_utime + used.ru_stime, peak=used.ru_maxrss << 10, output=output)


def median(costs: Sequence[Cost]) -> Cost:
    """The middle of several runs, each figure by itself."""
    return Cost(
        wall=statistics.median(cost.wall for cost in costs),
        cpu=statistics.median(cost.cpu for cost in costs),
        peak=int(statistics.median(cost.peak for cost in costs)),
    )


def quantile(values: Sequence[float], part: float) -> float:
    """The value below which *part* of them lie: the nearest rank, so always one that was measured."""
    ordered = sorted(values)
    return ordered[math.ceil(part * len(ordered)) - 1]


def stored_bytes(folder: Path) -> int:
    """Bytes in all files below a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
