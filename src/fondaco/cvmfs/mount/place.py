"""Whether a repository can be mounted here: said before anything is fetched, in one sentence each."""

import errno
import importlib.util
import os
import shutil
from pathlib import Path

from fondaco.cvmfs.errors import BadMountPoint, MountUnavailable

DEVICE = Path("/dev/fuse")


def check_fuse(device: Path = DEVICE) -> None:
    """MountUnavailable unless everything that mounting needs is there."""
    if importlib.util.find_spec("pyfuse3") is None:
        raise MountUnavailable(
            "nothing can be mounted",
            "the Python package pyfuse3 is missing",
            "run `pip install 'fondaco[mount]'`; that compiles it, which takes gcc, pkg-config and libfuse3-dev",
        )
    if not device.exists():
        raise MountUnavailable(
            "nothing can be mounted",
            f"there is no {device}",
            "load the kernel module fuse, or give the container that device",
        )
    if os.geteuid() != 0 and shutil.which("fusermount3") is None:
        raise MountUnavailable(
            "nothing can be mounted", "the program fusermount3 is missing", "install your system's package fuse3"
        )


def check_mountpoint(place: Path) -> Path:
    """The absolute path of *place*, or BadMountPoint."""
    try:
        is_folder = place.is_dir()
        mounted = place.is_mount()
    except OSError as error:
        if error.errno == errno.ENOTCONN:
            raise _bad(
                place, "what was mounted there ended without unmounting", f"run `fusermount3 -u {place}`"
            ) from error
        raise _bad(place, error.strerror or str(error), "name another folder") from error
    if not place.exists():
        raise _bad(place, "there is no such folder", "make it first")
    if not is_folder:
        raise _bad(place, "it is no folder", "name a folder")
    if mounted:
        raise _bad(place, "something is mounted there already", "unmount that, or name another folder")
    return place.resolve()


def _bad(place: Path, why: str, hint: str) -> BadMountPoint:
    return BadMountPoint(f"nothing can be mounted on {place}", why, hint)
