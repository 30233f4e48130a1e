"""Wall time, CPU time and memory of whole processes, and the spread of repeated measurements.

Memory is looked at in a run of its own, because looking costs time: the proportional set sizes of the process and all
its children together, so that what they share counts once.
"""

import math
import os
import re
import statistics
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SAMPLE_SECONDS = 0.01
Command = Sequence[str | Path]


class MeasuredProcessFailed(Exception):
    """A process that was measured ended with an error; its output is the message."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a process and its children took."""

    wall: float  # seconds
    cpu: float  # seconds, user and system
    output: str = ""


def run(command: Command, *, environment: Mapping[str, str] | None = None) -> Cost:
    """Run a whole process, its start and end included. Pages that others made dirty are written before it begins."""
    os.sync()
    started = time.perf_counter()
    process = _start(command, environment)
    output = _output(process)
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    _succeeded(command, process.returncode, output)
    return Cost(wall=wall, cpu=used.ru_utime + used.ru_stime, output=output)


def peak_memory(command: Command, *, environment: Mapping[str, str] | None = None) -> int:
    """The most memory, in bytes, that a process and its children held together, seen every few milliseconds."""
    process = _start(command, environment)
    peak = 0

    def watch() -> None:
        nonlocal peak
        while process.poll() is None:
            peak = max(peak, sum(_proportional_bytes(pid) for pid in _with_children(process.pid)))
            time.sleep(SAMPLE_SECONDS)

    watcher = threading.Thread(target=watch)
    watcher.start()
    output = _output(process)
    watcher.join()
    _succeeded(command, process.returncode, output)
    return peak


def _start(command: Command, environment: Mapping[str, str] | None) -> subprocess.Popen[bytes]:
    words = [str(word) for word in command]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment)


def _output(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    with process.stdout as output:
        return output.read().decode(errors="replace")


def _succeeded(command: Command, code: int, output: str) -> None:
    if code != 0:
        raise MeasuredProcessFailed(f"{' '.join(map(str, command))} left with {code}:\n{output}")


def _with_children(pid: int) -> Iterator[int]:
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found = children.read_text().split()
        except (FileNotFoundError, ProcessLookupError):  # ended meanwhile
            continue
        for child in found:
            yield from _with_children(int(child))


def _proportional_bytes(pid: int) -> int:
    try:
        found = re.search(r"^Pss:\s+(\d+) kB$", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    except (FileNotFoundError, ProcessLookupError):  # ended meanwhile
        return 0
    return int(found[1]) << 10 if found else 0


def median(costs: Sequence[Cost]) -> Cost:
    """The middle of several runs, each figure by itself."""
    return Cost(wall=statistics.median(cost.wall for cost in costs), cpu=statistics.median(cost.cpu for cost in costs))


def quantile(values: Sequence[float], part: float) -> float:
    """The value below which *part* of them lie: the nearest rank, so always one that was measured."""
    ordered = sorted(values)
    return ordered[math.ceil(part * len(ordered)) - 1]


def stored_bytes(folder: Path) -> int:
    """Bytes in all files below a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
