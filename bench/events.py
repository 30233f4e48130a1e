"""From a PUT at a real S3 server to the manifest that shows it: event, debounce, publish, all on this machine."""

import time
from collections.abc import Sequence
from contextlib import suppress

from bench.measure import quantile
from bench.rows import Figure, Row, Setting
from fondaco.cvmfs.errors import NotInRepository
from fondaco.local.demo_site import DemoSite

PUTS = 20
POLL_SECONDS = 0.01
PATIENCE_SECONDS = 30.0


class NotPublished(Exception):
    """An object that was put did not appear."""


def single_puts(setting: Setting) -> Sequence[Figure]:
    """One object after another, each after the one before is visible; counted from the answer to the PUT."""
    published, visible = [], []
    with DemoSite(setting.folder / "site") as site:
        for number in range(PUTS):
            site.bucket.put(f"cvmfs/dir/file{number:02d}.txt", b"content %d" % number, {"mode": "0644"})
            put = time.time()
            revision, seen = _appeared(site, f"/dir/file{number:02d}.txt")
            visible.append(seen - put)
            published.append(_published(site, revision) - put)
    return (
        Figure(label="published p50", value=quantile(published, 0.5), unit="s", budget=2),
        Figure(label="published p95", value=quantile(published, 0.95), unit="s", budget=5),
        Figure(label="visible p50", value=quantile(visible, 0.5), unit="s"),
        Figure(label="visible p95", value=quantile(visible, 0.95), unit="s"),
    )


def _appeared(site: DemoSite, path: str) -> tuple[int, float]:
    """The revision that shows *path* through the public address, and when it was first read."""
    began, known = time.time(), 0
    while time.time() < began + PATIENCE_SECONDS:
        revision = site.revision()
        if revision != known:
            now, known = time.time(), revision
            with suppress(NotInRepository):
                site.open().head.lookup(path)
                return known, now
        time.sleep(POLL_SECONDS)
    raise NotPublished(f"{path} was not visible within {PATIENCE_SECONDS:g} s; the repository is at revision {known}")


def _published(site: DemoSite, revision: int) -> float:
    began = time.time()
    while time.time() < began + PATIENCE_SECONDS:
        moment = site.published_at(revision)
        if moment is not None:
            return moment
        time.sleep(POLL_SECONDS)
    raise NotPublished(f"the ledger does not know revision {revision}")


ROWS = (
    Row(
        name="put-to-published",
        title=f"bucket PUT to published: {PUTS} single objects through SeaweedFS, debounce included",
        measure=single_puts,
    ),
)
