"""What the demonstration runs on: a real S3 server, our web service and our worker, in one folder, on loopback."""

import logging
import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from fondaco.backends.s3 import S3Bucket
from fondaco.backends.s3_wire import S3Access
from fondaco.cvmfs import keys
from fondaco.cvmfs import manifest as manifests
from fondaco.cvmfs.keys import KeyFileSigner
from fondaco.cvmfs.publisher import Publisher
from fondaco.cvmfs.repository import Repository
from fondaco.cvmfs.stores import open_readable
from fondaco.cvmfs.stores.base import MANIFEST
from fondaco.cvmfs.stores.local import LocalStore
from fondaco.local.weed import SeaweedFS, WebhookTarget
from fondaco.software.ledger import Ledger
from fondaco.software.sync import Sync
from fondaco.software.worker import PublicRevision, Worker
from fondaco.web.app import create_app
from fondaco.web.serve import serve
from fondaco.web.site import Hook, ServedRepository, Site

FQRN = "demo.example.org"
BUCKET = "demo"
RETRIES, RETRY_SECONDS = 2, 5.0  # the server is on this machine: when it does not answer it is gone
WAITING = "waiting until no more events come"
_DOING = {"list": "listing the bucket", "read": "publishing", "publish": "signing"}


class DemoSite:
    """`with DemoSite(folder) as site:` runs all of it in that block, with an empty bucket and an empty repository."""

    def __init__(self, folder: Path) -> None:
        """Prepare a site in *folder*, which must be empty or missing."""
        self.folder = folder
        self.store_folder = folder / "repository"
        self.public_key_file = folder / "keys" / f"{FQRN}.pub"
        self._arrivals: list[float] = []
        self._running = ExitStack()
        self._worker: Worker | None = None
        self.doing = WAITING  # what the worker is at, in words

    def __enter__(self) -> Self:
        with ExitStack() as starting:  # stops what has been started when the rest does not
            self._start(starting)
            self._running = starting.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._running.close()

    def _start(self, running: ExitStack) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        running.enter_context(_logging_to(self.folder / "fondaco.log"))
        keys.generate(self.folder / "keys", FQRN)
        signer = KeyFileSigner(self.folder / "keys", FQRN)
        self.public_key = signer.public_key
        store = LocalStore.create(self.store_folder)
        publisher = Publisher(store=store, fqrn=FQRN, signer=signer, public_keys=(self.public_key,))
        publisher.create(signer)
        self.ledger = running.enter_context(Ledger(self.folder / "ledger.sqlite", FQRN))
        token = secrets.token_urlsafe()
        site = Site(
            repositories={FQRN: ServedRepository(fqrn=FQRN, store=store, bucket=BUCKET, ledger=self.ledger)},
            hook=Hook(token=token, mark=self._mark),
            faults=self.faults,
        )
        self.server_url = running.enter_context(serve(create_app(site))).url
        self.repository_url = f"{self.server_url}/cvmfs/{FQRN}"
        self._public = open_readable(self.repository_url)
        webhook = WebhookTarget(url=f"{self.server_url}/hooks/s3", token=token, path_prefixes=(f"/buckets/{BUCKET}/",))
        self._weed = running.enter_context(SeaweedFS(self.folder / "s3", webhook=webhook, buckets=[BUCKET]))
        self.bucket = self._open_bucket()
        sync = running.enter_context(Sync(self.bucket, publisher, self.ledger, progress=self._note))
        self._worker = running.enter_context(Worker(sync, look=PublicRevision(self.repository_url)))

    def _open_bucket(self) -> S3Bucket:
        weed = self._weed
        access = S3Access(
            endpoint=weed.endpoint, region=weed.region, access_key=weed.access_key, secret_key=weed.secret_key
        )
        return S3Bucket(BUCKET, access, retries=RETRIES, retry_seconds=RETRY_SECONDS)

    def _mark(self, bucket: str, changed: frozenset[str]) -> int:
        """Events arrived; those from before the worker runs are found by its first look."""
        self._arrivals.append(time.time())
        return self._worker.mark(changed) if self._worker is not None and bucket == BUCKET else 0

    def _note(self, step: str, done: int, total: int) -> None:
        self.doing = f"{_DOING[step]} {done:,} of {total:,} objects" if total else _DOING[step]

    def faults(self) -> list[str]:
        """What keeps the worker from its work right now."""
        fault = self._worker.fault() if self._worker is not None else "the worker has not started"
        return [fault] if fault else []

    def open(self) -> Repository:
        """The repository as clients see it now, verified with its public key."""
        return Repository.open(self._public, public_keys=[self.public_key], fqrn=FQRN)

    def revision(self) -> int:
        """The revision that the public address shows, looked at only: cheap enough to be asked often."""
        return manifests.parse_signed(self._public.get(MANIFEST)).manifest.revision

    def verify_running(self) -> None:
        """Raise what made a service end, if one has."""
        self._weed.verify_running()

    def last_event(self, before: float) -> float:
        """When the last event that came before that moment did, in seconds since 1970."""
        return max((moment for moment in self._arrivals if moment <= before), default=before)

    def published_at(self, revision: int) -> float | None:
        """When a revision's manifest was in place, in seconds since 1970; None until the ledger says so."""
        for _, record in self.ledger.timeline():
            if record.revision == revision:
                return record.published_at
        return None


@contextmanager
def _logging_to(file: Path) -> Iterator[None]:
    """What our services log goes to a file, not among the lines of the demonstration."""
    handler = logging.FileHandler(file, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()
