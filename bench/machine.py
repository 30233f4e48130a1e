"""What a figure was measured on."""

import os
import platform
import re
import zlib
from pathlib import Path

from fondaco import __version__


def machine(folder: Path) -> dict[str, str | int | float]:
    """CPU, cores, memory, system, the file system of *folder*, and the versions that matter."""
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / (1 << 30), 1),
        "system": f"{platform.system()} {platform.release()}",
        "filesystem": _filesystem(folder),
        "python": platform.python_version(),
        "zlib": zlib.ZLIB_RUNTIME_VERSION,
        "fondaco": __version__,
        "load": round(os.getloadavg()[0], 1),  # of the minute before: above 0.5 others were at work too
    }


def _cpu() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def _filesystem(folder: Path) -> str:
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    here = folder.resolve()
    fitting = [(len(fields[1]), fields[2]) for fields in mounts if here.is_relative_to(fields[1])]
    return max(fitting)[1] if fitting else "unknown"
