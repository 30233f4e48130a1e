"""The demonstration: a bucket becomes a CernVM-FS repository on this machine, step by step, every step checked.

What is shown while it runs is the observer's matter; what was found is in the report.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fondaco.cvmfs.check import Totals, check
from fondaco.cvmfs.repository import Repository
from fondaco.cvmfs.stores.local import LocalStore
from fondaco.local import demo_tree
from fondaco.local.demo_site import FQRN, WAITING, DemoSite
from fondaco.local.demo_tree import Item
from fondaco.local.demo_verify import Progress, Verified, differences, entries, verify
from fondaco.local.errors import DemoFailedError

UPLOADERS = 8  # requests at once, as rclone and the AWS tools do
VISIBLE_SECONDS = 120.0  # five on an idle machine with two cores; the rest is for a busy one
POLL_SECONDS = 0.05


class Observer(Protocol):
    """Who is told what happens."""

    def step(self, title: str, *, size: int = 0) -> AbstractContextManager["Step"]:
        """Begin a step; *size* bytes are to be counted while it runs, 0 when nothing is."""
        ...


class Step(Protocol):
    """A step under way."""

    def count(self, files: int, size: int, /) -> None:
        """So many more files and bytes are done."""
        ...

    def now(self, text: str) -> None:
        """What is going on in it at this moment."""
        ...

    def result(self, text: str) -> None:
        """What came of it, instead of the title."""
        ...


@dataclass(frozen=True, kw_only=True)
class Round:
    """One upload and its way to the world; times in seconds since it began."""

    name: str
    objects: int  # put or deleted
    bytes: int
    uploaded: float  # the last request was answered
    seen: float  # the last event arrived
    published: float  # the manifest that shows all of it was signed and put in place
    visible: float  # that manifest was read through the public address
    revision: int


@dataclass(frozen=True, kw_only=True)
class Report:
    """What the demonstration did and found."""

    fqrn: str
    repository_url: str
    rounds: tuple[Round, ...]
    verified: Verified
    verify_seconds: float
    check_seconds: float
    total_seconds: float


def demonstrate(site: DemoSite, tree: Path, observer: Observer, *, began: float) -> Report:
    """Run all steps on a started site, beginning with an empty folder *tree*; *began* is on the monotonic clock.

    DemoFailedError, or the error of the service that failed.
    """
    with observer.step("copying Python's standard library") as step:
        demo_tree.make_tree(tree)
        wanted = list(demo_tree.items(tree))
        step.result(f"a tree to upload: Python's library, {_described(wanted)}")
    first = _round(site, tree, observer, "first upload", wanted, ())
    changes = demo_tree.change(tree)
    second = _round(site, tree, observer, "changes", (*changes.changed, *changes.added), changes.removed)
    size = sum(item.size for item in wanted)
    started = time.monotonic()
    verified = _verify(site, tree, observer, size)
    verified_at = time.monotonic()
    _check(site, observer, size)
    checked_at = time.monotonic()
    return Report(
        fqrn=FQRN,
        repository_url=site.repository_url,
        rounds=(first, second),
        verified=verified,
        verify_seconds=verified_at - started,
        check_seconds=checked_at - verified_at,
        total_seconds=checked_at - began,
    )


def _round(
    site: DemoSite, tree: Path, observer: Observer, name: str, put: Sequence[Item], removed: Sequence[Item]
) -> Round:
    before, site.doing = site.open().revision, WAITING
    size = sum(item.size for item in put)
    began = time.time()
    with observer.step(f"{name}: to the bucket", size=size) as step:
        upload(site, tree, put, removed, step.count)
        uploaded = time.time()
        step.result(f"{name}: {len(put):,} objects put, {len(removed)} deleted")
    with observer.step(f"{name}: waiting for its revision") as step:
        repository, published, visible = _wait(site, tree, before, lambda: step.now(f"{name}: {site.doing}"))
        step.result(f"{name}: revision {repository.revision} shows exactly the uploaded tree")
    return Round(
        name=name,
        objects=len(put) + len(removed),
        bytes=size,
        uploaded=uploaded - began,
        seen=site.last_event(published) - began,
        published=published - began,
        visible=visible - began,
        revision=repository.revision,
    )


def upload(site: DemoSite, tree: Path, put: Sequence[Item], removed: Sequence[Item], progress: Progress) -> None:
    """Bring the bucket to what the folder holds, several requests at once."""

    def one(item: Item) -> None:
        content = demo_tree.content(tree, item)
        site.bucket.put(item.key, content, item.metadata)
        progress(1, len(content))

    with ThreadPoolExecutor(UPLOADERS, thread_name_prefix="upload") as pool:
        try:
            for done in [pool.submit(one, item) for item in put]:
                done.result()
            for deleted in [pool.submit(site.bucket.delete, item.key) for item in removed]:
                deleted.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            site.verify_running()  # its end says more than the request that failed
            raise


def _wait(site: DemoSite, tree: Path, before: int, tell: Callable[[], None]) -> tuple[Repository, float, float]:
    """The first revision after *before* that shows the whole folder; when it was published, and when it was seen."""
    wanted = list(demo_tree.items(tree))
    deadline = time.monotonic() + VISIBLE_SECONDS
    repository, visible, wrong = site.open(), time.time(), [f"there is no revision after {before}"]
    looked_at = before
    while True:
        if repository.revision != looked_at:
            looked_at = repository.revision
            wrong = differences(entries(repository.head), wanted)
        published = site.published_at(looked_at)  # the ledger is written after the manifest
        if not wrong and published is not None:
            return repository, published, visible
        site.verify_running()
        if time.monotonic() > deadline:
            raise DemoFailedError(
                f"the upload was not visible within {VISIBLE_SECONDS:g} s",
                "; ".join([*site.faults(), f"revision {looked_at}", *wrong[:3]]),
                "Run it again with --keep and look into the folder.",
            )
        tell()
        time.sleep(POLL_SECONDS)
        if site.revision() != looked_at:
            repository, visible = site.open(), time.time()


def _verify(site: DemoSite, tree: Path, observer: Observer, size: int) -> Verified:
    with observer.step("verifying over HTTP", size=size) as step:
        found = verify(site.open().head, tree, step.count)
        step.result(f"verified over HTTP: {found.files:,} files ({found.executables} executable), {found.links} links")
    return found


def _check(site: DemoSite, observer: Observer, size: int) -> None:
    with observer.step("checking all objects", size=size) as step:
        read = 0

        def count(totals: Totals) -> None:
            nonlocal read
            step.count(0, totals.bytes - read)
            read = totals.bytes

        report = check(LocalStore(site.store_folder), [site.public_key], content=True, progress=count)
        if report.findings:
            first = report.findings[0]
            raise DemoFailedError(
                "the repository has faults",
                f"{len(report.findings)} found, the first: {first.path or '/'}: {first.message}",
                "This is a defect.",
            )
        step.result("checked: signatures, catalogs, every object; no problem found")


def _described(wanted: Sequence[Item]) -> str:
    files = [item for item in wanted if item.target is None]
    size = sum(item.size for item in files)
    return f"{len(files):,} files, {len(wanted) - len(files)} links, {size / 1e6:.0f} MB"
