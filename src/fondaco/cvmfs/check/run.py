"""The whole check: root files, then the tree catalog by catalog, the objects beside it."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from fondaco.cvmfs import paths
from fondaco.cvmfs.catalog.counters import COUNTER_NAMES, Counters
from fondaco.cvmfs.catalog.database import MAX_CATALOG_BYTES
from fondaco.cvmfs.check.catalog import open_catalog
from fondaco.cvmfs.check.findings import Code, Report, Totals
from fondaco.cvmfs.check.objects import ObjectCheck
from fondaco.cvmfs.check.root_files import RootFiles
from fondaco.cvmfs.check.tree import CatalogSummary, NestedCatalog, TreeCheck
from fondaco.cvmfs.digest import Digest, Suffix
from fondaco.cvmfs.errors import MalformedData, NotInRepository
from fondaco.cvmfs.history import Tag
from fondaco.cvmfs.manifest import Manifest
from fondaco.cvmfs.stores.base import ReadableStore

THREADS = 8  # for objects: mostly waiting for the store

Progress = Callable[[Totals], None]  # what was looked at so far; called often, by one thread at a time


def check(
    store: ReadableStore,
    public_keys: Sequence[bytes],
    *,
    fqrn: str | None = None,
    tag: str | None = None,
    content: bool = False,
    now: datetime | None = None,
    progress: Progress | None = None,
    threads: int = THREADS,
) -> Report:
    """Everything that is wrong with the repository in *store*, its current tree or that of *tag*.

    *public_keys* are PEMs, *now* an aware time (this moment if left out). Without *content*, objects of files are only
    looked up; with it each is read, and its hash and size are verified. Memory: the largest catalog and some 150 bytes
    for each object. Raises ObjectMissing without a manifest, NotInRepository for an unknown tag, StoreFailed when the
    store does not answer, KeyUnusable for a public key that is none: those are no findings.
    """
    run = _Run(store, content=content, threads=threads, progress=progress)
    try:
        run.check(public_keys, fqrn, tag, now or datetime.now(UTC))
        run.objects.finish()
    finally:
        run.objects.abandon()
    run.report.totals.objects = run.objects.objects
    return run.report


@dataclass(slots=True)
class _Node:
    """A catalog in the tree of catalogs."""

    summary: CatalogSummary | None = None  # None: it could not be read
    children: list["_Node"] = field(default_factory=list)


class _Run:
    def __init__(self, store: ReadableStore, *, content: bool, threads: int, progress: Progress | None) -> None:
        self.report = Report()
        self._lock = threading.Lock()
        self._progress = progress
        self._files = RootFiles(store=store, found=self._found)
        self.objects = ObjectCheck(store, self._found, self._read, content=content, threads=threads)

    def check(self, public_keys: Sequence[bytes], fqrn: str | None, tag: str | None, now: datetime) -> None:
        manifest = self._files.manifest()
        if manifest is None:
            return
        self._files.check_trust(public_keys, fqrn or manifest.fqrn, now)
        self._files.check_metainfo(manifest)
        self._files.check_alternative_paths(manifest)
        tags = self._files.check_history(manifest)
        for wanted in self._files.check_reflog(manifest, tags):
            self.objects.want(wanted)
        self._check_tags(manifest, tags)
        self._check_tree(*_root_of(manifest, tags, tag))

    def _found(self, code: Code, path: str, message: str) -> None:
        with self._lock:
            self.report.add(code, path, message)

    def _counted(self, rows: int, size: int = 0) -> None:
        with self._lock:
            self.report.totals.entries += rows
            self.report.totals.bytes += size
            self.report.totals.objects = self.objects.objects
            if self._progress is not None:
                self._progress(self.report.totals)

    def _read(self, size: int) -> None:
        self._counted(0, size)

    # -- revisions -----------------------------------------------------------------------------------------------------

    def _check_tags(self, manifest: Manifest, tags: Sequence[Tag]) -> None:
        """Root catalogs that tags name: there, of the recorded size and revision. Each is fetched once."""
        by_root: dict[Digest, list[Tag]] = {}
        for tag in tags:
            by_root.setdefault(tag.root, []).append(tag)
        for root, names in by_root.items():
            image = self._files.fetch(root, Suffix.CATALOG, names[0].name, limit=MAX_CATALOG_BYTES)
            if image is None:
                continue
            revision = self._revision_of(image, names[0].name)
            for tag in names:
                if tag.size and tag.size != len(image):
                    self._found(
                        Code.TAG_SIZE, tag.name, f"its size is {tag.size}, the root catalog has {len(image)} bytes"
                    )
                if revision is not None and tag.revision != revision:
                    message = f"its revision is {tag.revision}, its root catalog is that of revision {revision}"
                    self._found(Code.TAG, tag.name, message)

    def _revision_of(self, image: bytes, tag: str) -> int | None:
        catalog = open_catalog(image, paths.ROOT, lambda code, message: None)
        if catalog is None:
            self._found(Code.TAG, tag, "its root catalog cannot be read")
            return None
        text = catalog.properties().get("revision", "")
        catalog.close()
        return int(text) if text.isascii() and text.isdigit() else None

    def _check_head(self, manifest: Manifest, properties: dict[str, str]) -> None:
        revision = properties.get("revision", "")
        if revision.isascii() and revision.isdigit() and int(revision) > manifest.revision:
            message = f"the root catalog is of revision {revision}, the manifest of revision {manifest.revision}"
            self._found(Code.REVISION, paths.ROOT, message)
        previous = properties.get("previous_revision")
        if previous is not None and previous.strip("0"):
            try:
                digest = Digest.parse(previous)
            except MalformedData:
                return  # noted with the properties
            self._files.check_previous(manifest, digest, Suffix.CATALOG, "root catalog")

    # -- the tree of catalogs ------------------------------------------------------------------------------------------

    def _check_tree(self, root: NestedCatalog, head: Manifest | None) -> None:
        """Catalog by catalog, parents first, one open at a time; the statistics at the end, children first."""
        top = _Node()
        order: list[_Node] = []
        waiting = [(root, top)]
        while waiting:
            reference, node = waiting.pop()
            order.append(node)
            node.summary = self._check_catalog(reference, head if node is top else None)
            if node.summary is not None:
                node.children = [_Node() for _ in node.summary.nested]
                waiting += zip(node.summary.nested, node.children, strict=True)
                node.summary.nested = []
        totals: dict[int, Counters | None] = {}
        for node in reversed(order):
            totals[id(node)] = self._compare(node, [totals.pop(id(child)) for child in node.children])

    def _check_catalog(self, reference: NestedCatalog, head: Manifest | None) -> CatalogSummary | None:
        place = reference.mountpoint
        image = self._files.fetch(reference.digest, Suffix.CATALOG, place, limit=MAX_CATALOG_BYTES)
        if image is None:
            return None
        if reference.size and reference.size != len(image):
            message = f"the catalog has {len(image)} bytes, recorded are {reference.size}"
            self._found(Code.CATALOG_SIZE, place, message)
        catalog = open_catalog(image, place, lambda code, message: self._found(code, place, message))
        if catalog is None:
            return None
        self.report.totals.catalogs += 1
        self._counted(1)  # its own root row
        try:
            if head is not None:
                self._check_head(head, catalog.properties())
            tree = TreeCheck(
                catalog,
                place,
                above=reference.row,
                found=self._found,
                want=self.objects.want,
                counted=self._counted,
            )
            return tree.run()
        except MalformedData as error:
            self._found(Code.CATALOG_UNREADABLE, place, error.why)
            return None
        finally:
            catalog.close()

    def _compare(self, node: _Node, below: list[Counters | None]) -> Counters | None:
        """Compare a catalog's statistics with what was counted; what its parent counts for it, if that is known."""
        summary = node.summary
        if summary is None:
            return None
        place = summary.mountpoint
        self._compare_half("self", place, summary.own, summary.stored[0])
        known = [counters for counters in below if counters is not None]
        if len(known) < len(below):
            return None
        subtree = Counters.sum(known)
        self._compare_half("subtree", place, subtree, summary.stored[1])
        return Counters.sum((summary.own, subtree))

    def _compare_half(self, half: str, place: str, counted: Counters, stored: Counters) -> None:
        for name in COUNTER_NAMES:
            right, there = getattr(counted, name), getattr(stored, name)
            if there not in (right, -1):
                self._found(Code.COUNTER, place, f"its counter {half}_{name} is {there}, counted are {right}")


def _root_of(manifest: Manifest, tags: Sequence[Tag], name: str | None) -> tuple[NestedCatalog, Manifest | None]:
    """The root catalog to check, and the manifest when it is the current one."""
    if name is None:
        size = manifest.root_catalog_size
        return NestedCatalog(mountpoint=paths.ROOT, digest=manifest.root_catalog, size=size, row=None), manifest
    for tag in tags:
        if tag.name == name:
            return NestedCatalog(mountpoint=paths.ROOT, digest=tag.root, size=tag.size, row=None), None
    raise NotInRepository(f"{manifest.fqrn} has no tag {name!r}", "no tag is called so", "list the tags")
