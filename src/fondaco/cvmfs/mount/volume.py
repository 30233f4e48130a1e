"""What a mount has: the revision it shows, nodes the kernel knows, store and cache; how a new one is taken over."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import pyfuse3
import trio

from fondaco.cvmfs import paths
from fondaco.cvmfs.catalog.opened import MAX_OPEN, OpenCatalog
from fondaco.cvmfs.errors import CvmfsError, MalformedData
from fondaco.cvmfs.manifest import DEFAULT_TTL, Manifest
from fondaco.cvmfs.mount.cache import DiskCache
from fondaco.cvmfs.mount.following import Following, Verdict, judge, pause
from fondaco.cvmfs.mount.magic import Usage
from fondaco.cvmfs.mount.nodes import Node, Nodes, directory_inode
from fondaco.cvmfs.mount.takeover import Change, changes
from fondaco.cvmfs.mount.tree import CatalogNeeded, Reference, Tree, load
from fondaco.cvmfs.stores.base import ReadableStore

CHECKPOINT_NODES = 500  # compared in one go, about 5 ms, while the kernel waits
MAX_ABSENT = 100_000  # names not found that the kernel is told of, so that a later revision can take them back
log = logging.getLogger("fondaco.cvmfs.mount")

_Result = TypeVar("_Result")


@dataclass(slots=True, kw_only=True)
class Volume:
    """The state of one mount. Used by the thread that serves the kernel."""

    manifest: Manifest
    tree: Tree
    store: ReadableStore
    cache: DiskCache
    following: Following
    environment: Mapping[bytes, bytes]  # for variables in symbolic links
    external: ReadableStore | None = None
    ttl: int = DEFAULT_TTL  # seconds; of the root catalog, as is the next
    shown: int = 0  # its revision
    tag: str | None = None  # a mount of a tag stays on it
    nodes: Nodes = field(default_factory=Nodes)
    absent: set[tuple[int, bytes]] = field(default_factory=set)  # (directory's inode, name) answered with "not there"
    usage: Usage = field(default_factory=Usage)
    wake: trio.Event = field(default_factory=trio.Event)  # look for a new revision now
    next_look: float = 0.0  # trio's clock
    _loading: dict[Reference, trio.Event] = field(default_factory=dict)

    async def asking(self, question: Callable[[], _Result]) -> _Result:
        """The answer of *question*, asked again after each catalog that it turns out to need was loaded."""
        for _ in range(4 * MAX_OPEN):
            try:
                return question()
            except CatalogNeeded as needed:
                await self._load(needed.reference)
        raise MalformedData("a path cannot be followed", "it crosses too many nested catalogs", "run check")

    async def _load(self, reference: Reference) -> None:
        under_way = self._loading.get(reference)
        if under_way is not None:
            await under_way.wait()
            return
        done = self._loading[reference] = trio.Event()
        try:
            catalog: OpenCatalog = await trio.to_thread.run_sync(load, self.store, reference, abandon_on_cancel=True)
            self.tree.catalogs.add(reference, catalog)
        finally:
            del self._loading[reference]
            done.set()

    async def follow(self) -> None:
        """Take over each new revision, for ever."""
        failures = 0
        while True:
            seconds = pause(self.ttl, failures)
            self.next_look = trio.current_time() + seconds
            with trio.move_on_after(seconds):
                await self.wake.wait()
            self.wake = trio.Event()
            try:
                await self._look()
                failures = 0
            except CvmfsError as error:
                failures += 1
                log.warning("staying at revision %d: %s", self.manifest.revision, error)

    async def _look(self) -> None:
        found = await trio.to_thread.run_sync(self.following.look, self.manifest, abandon_on_cancel=True)
        verdict = judge(self.manifest, found)
        if verdict is Verdict.OLDER:
            log.warning(
                "revision %d is published, older than the mounted %d: refused", found.revision, self.manifest.revision
            )
        if verdict is Verdict.NEWER:
            await self._take_over(found)

    async def _take_over(self, manifest: Manifest) -> None:
        """Show *manifest*'s revision. Until all that the kernel knows was compared, the old one is served."""
        old = self.tree
        new = Tree(old.catalogs, manifest.root_catalog, manifest.root_catalog_size)
        ttl, revision = await self.asking(lambda: (new.ttl(), new.revision()))
        compared: dict[int, Change] = {}
        while waiting := [node for node in self.nodes if node.ino not in compared and node.tree is old]:
            for number, node in enumerate(waiting):
                compared[node.ino] = await self.asking(partial(changes, node, old, new))
                if number % CHECKPOINT_NODES == 0:
                    await trio.lowlevel.checkpoint()
        stale = sorted(self.absent)
        altered: list[int] = []
        for node in self.nodes:
            if node.tree is old and node.ino in compared:
                self._apply(node, compared[node.ino], new, stale, altered)
        self.absent.clear()
        self.tree, self.manifest, self.ttl, self.shown = new, manifest, ttl, revision
        log.info("now at revision %d: %d names and %d inodes changed", manifest.revision, len(stale), len(altered))
        await trio.to_thread.run_sync(_invalidate, stale, altered, abandon_on_cancel=True)

    def _apply(self, node: Node, change: Change, new: Tree, stale: list[tuple[int, bytes]], altered: list[int]) -> None:
        stale += [(directory_inode(paths.parent_of(path)), paths.encode(paths.name_of(path))) for path in change.gone]
        node.aliases -= set(change.gone)
        if change.entry is None:
            return  # it keeps its tree: whoever holds it open goes on reading what it was
        if change.entry != node.entry:
            altered.append(node.ino)
        node.path, node.entry, node.tree = change.path, change.entry, new


def _invalidate(names: list[tuple[int, bytes]], inodes: list[int]) -> None:
    """Make the kernel forget; in a thread of its own, since the kernel may wait for an answer of ours meanwhile."""
    for parent, name in names:
        try:
            pyfuse3.invalidate_entry(parent, name)
        except OSError:  # it does not know the name any more
            continue
    for ino in inodes:
        try:
            pyfuse3.invalidate_inode(ino, attr_only=True)
        except OSError:
            continue
