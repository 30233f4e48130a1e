"""`fondaco cvmfs mount`: a repository as a folder of this machine."""

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fondaco.cli.cvmfs.shared import Url
from fondaco.cli.options import Endpoint, Json, PublicKey, Tag

if TYPE_CHECKING:
    from fondaco.cvmfs.mount.volume import Volume

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def _bytes(text: str) -> int:
    """A size as people type it: ``4G``, ``500M``."""
    found = re.fullmatch(r"([0-9]{1,15})([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if not found or int(found[1]) == 0:
        raise typer.BadParameter(f"{text!r} is no size such as 4G or 500M")
    return int(found[1]) * _UNITS[found[2].upper()]


def mount(  # noqa: PLR0917
    url: Url,
    mountpoint: Annotated[Path, typer.Argument(metavar="MOUNTPOINT", help="Folder to mount on.")],
    pubkey: PublicKey,
    tag: Tag = None,
    cache: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of the local cache; ~/.cache/fondaco/cvmfs unless given."),
    ] = None,
    cache_size: Annotated[
        str, typer.Option(metavar="SIZE", help="What the cache may hold, such as 500M or 4G.")
    ] = "4G",
    foreground: Annotated[
        bool,
        typer.Option("--foreground/--background", help="Stay until it is unmounted, or return once it is mounted."),
    ] = True,
    allow_other: Annotated[bool, typer.Option("--allow-other", help="Let other users of this machine in.")] = False,
    magic_xattrs: Annotated[
        str,
        typer.Option(metavar="WHERE", help="List the mount's own attributes: never, rootonly or always."),
    ] = "rootonly",
    external: Annotated[
        str | None, typer.Option("--external", metavar="URL", help="Where external files of the repository are.")
    ] = None,
    endpoint: Endpoint = None,
    as_json: Json = False,
) -> None:
    """Mount a repository read-only, everything verified; needs the extra `mount`.

    A newer revision is taken over within the repository's TTL, at once on SIGHUP. Ends with SIGTERM, Ctrl-C or
    `fusermount3 -u MOUNTPOINT`. --json only makes errors JSON.
    """
    del as_json  # the outermost frame looks at it
    from fondaco.cvmfs.keys import read_public_keys
    from fondaco.cvmfs.mount.magic import Visibility
    from fondaco.cvmfs.mount.place import check_fuse, check_mountpoint

    if magic_xattrs not in {one.value for one in Visibility}:
        raise typer.BadParameter("--magic-xattrs takes never, rootonly or always")
    limit = _bytes(cache_size)
    check_fuse()
    place = check_mountpoint(mountpoint)
    keys = read_public_keys(pubkey)
    folder = (cache or _default_cache()).absolute()
    told = _Told() if foreground else _fork()
    # From here on this may be the background process: what loads threads comes after the fork.
    from fondaco import __version__
    from fondaco.cvmfs.mount.session import MountOptions
    from fondaco.cvmfs.mount.session import mount as run
    from fondaco.cvmfs.stores import open_readable

    _log(to_stderr=foreground)
    options = MountOptions(
        cache=folder,
        cache_bytes=limit,
        tag=tag,
        allow_other=allow_other,
        visibility=Visibility(magic_xattrs),
        external=open_readable(external) if external else None,
        version=__version__,
    )
    run(open_readable(url, endpoint=endpoint), place, keys, options, ready=lambda volume: told(volume, place))


class _Told:
    """Says that the mount is there; in the background, also to the command that waits for it."""

    def __init__(self, pipe: int | None = None) -> None:
        self._pipe = pipe

    def __call__(self, volume: "Volume", place: Path) -> None:
        typer.echo(f"{volume.manifest.fqrn} is mounted on {place} at revision {volume.shown}.", err=True)
        if self._pipe is None:
            return
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        os.close(nowhere)
        os.write(self._pipe, b"+")
        os.close(self._pipe)


def _fork() -> _Told:
    """Go on in the background; this process leaves with 0 once the mount is there, else with the other's exit code."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.setsid()
        return _Told(writing)
    os.close(writing)
    if os.read(reading, 1):
        raise typer.Exit
    raise typer.Exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def _default_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fondaco" / "cvmfs"


def _log(*, to_stderr: bool) -> None:
    """Where a mount tells of what goes wrong: stderr, or the system's log."""
    import logging
    import logging.handlers

    handler: logging.Handler
    if to_stderr:
        handler = logging.StreamHandler(sys.stderr)
    elif Path("/dev/log").exists():
        handler = logging.handlers.SysLogHandler("/dev/log")
    else:
        handler = logging.NullHandler()
    handler.setFormatter(logging.Formatter("fondaco: %(message)s"))
    logger = logging.getLogger("fondaco.cvmfs.mount")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
