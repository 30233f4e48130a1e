"""One mount from its beginning to its end by SIGTERM, SIGINT or unmounting; SIGHUP looks for a new revision at once."""

import logging
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyfuse3
import trio

from fondaco.cvmfs.errors import MountUnavailable
from fondaco.cvmfs.mount.cache import DEFAULT_LIMIT, DiskCache
from fondaco.cvmfs.mount.following import Following
from fondaco.cvmfs.mount.handles import Fetcher
from fondaco.cvmfs.mount.magic import Visibility
from fondaco.cvmfs.mount.operations import Operations
from fondaco.cvmfs.mount.stored import CachingStore
from fondaco.cvmfs.mount.tree import Catalogs, Tree
from fondaco.cvmfs.mount.volume import Volume
from fondaco.cvmfs.mount.xattr import Xattrs
from fondaco.cvmfs.repository import Repository
from fondaco.cvmfs.stores.base import ReadableStore

log = logging.getLogger("fondaco.cvmfs.mount")


@dataclass(frozen=True, kw_only=True)
class MountOptions:
    """How a repository is mounted."""

    cache: Path  # folder
    cache_bytes: int = DEFAULT_LIMIT
    tag: str | None = None  # None: the newest revision, followed
    allow_other: bool = False  # other users too
    visibility: Visibility = Visibility.ROOTONLY
    external: ReadableStore | None = None
    version: str = ""  # for user.version


def mount(
    store: ReadableStore,
    mountpoint: Path,
    public_keys: Sequence[bytes],
    options: MountOptions,
    *,
    ready: Callable[[Volume], None],
) -> None:
    """Mount, call *ready* once the mount answers, and return when it was ended.

    Raises what reading the repository raises, and MountUnavailable where FUSE refuses. Only from the main thread.
    """
    trio.run(_mount, store, mountpoint, tuple(public_keys), options, ready)


async def _mount(
    store: ReadableStore,
    mountpoint: Path,
    public_keys: tuple[bytes, ...],
    options: MountOptions,
    ready: Callable[[Volume], None],
) -> None:
    volume = await _open(store, public_keys, options)
    async with trio.open_nursery() as nursery:
        xattrs = Xattrs(
            volume,
            visibility=options.visibility,
            version=options.version,
            public_keys=public_keys,
            external=options.external.url if options.external else "",
        )
        operations = Operations(volume, Fetcher(volume.cache, volume.usage, nursery), xattrs)
        try:
            pyfuse3.init(operations, str(mountpoint), _fuse_options(volume, allow_other=options.allow_other))
        except RuntimeError as error:
            raise MountUnavailable(
                f"{volume.manifest.fqrn} cannot be mounted on {mountpoint}",
                str(error),
                "the lines above are from FUSE; you need access to /dev/fuse, and user_allow_other in /etc/fuse.conf "
                "to let others in",
            ) from error
        try:
            with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
                nursery.start_soon(_heed, signals, volume)
                if volume.tag is None:
                    nursery.start_soon(volume.follow)
                ready(volume)
                await pyfuse3.main()
        finally:
            pyfuse3.close(unmount=True)
            operations.close()
            nursery.cancel_scope.cancel()
    volume.tree.catalogs.close()


async def _open(store: ReadableStore, public_keys: tuple[bytes, ...], options: MountOptions) -> Volume:
    cache = DiskCache(options.cache, options.cache_bytes)
    caching = CachingStore(store, cache)
    following = Following(caching, public_keys, options.cache / "repositories")
    manifest, why = following.begin()
    if why:
        log.warning("starting with revision %d as it was seen last: %s", manifest.revision, why)
    snapshot = Repository(caching, manifest).at(options.tag)
    size = manifest.root_catalog_size if snapshot.root == manifest.root_catalog else 0
    tree = Tree(Catalogs(), snapshot.root, size)
    volume = Volume(
        manifest=manifest,
        tree=tree,
        store=caching,
        cache=cache,
        following=following,
        environment=os.environb,
        external=options.external,
        tag=options.tag,
    )
    volume.ttl, volume.shown = await volume.asking(lambda: (tree.ttl(), tree.revision()))
    root, mountpoint = await volume.asking(tree.root_row)
    node = volume.nodes.at("", root, mountpoint, tree)
    if node is not None:
        volume.nodes.reference(node)  # the kernel never lets go of the root
    return volume


def _fuse_options(volume: Volume, *, allow_other: bool) -> set[str]:
    options = set(pyfuse3.default_options)
    options |= {"ro", "nodev", "nosuid", f"fsname={volume.manifest.fqrn}", "subtype=fondaco"}
    return options | ({"allow_other"} if allow_other else set())


async def _heed(signals: object, volume: Volume) -> None:
    async for number in signals:  # type: ignore[attr-defined]  # trio's receiver has no public type
        if number == signal.SIGHUP:
            volume.wake.set()
        else:
            pyfuse3.terminate()
