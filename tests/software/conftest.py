"""A bucket in memory and a real repository in a folder, with keys that are made once."""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fondaco.cvmfs import keys
from fondaco.cvmfs.chunking import ChunkSizes
from fondaco.cvmfs.entry import Entry
from fondaco.cvmfs.paths import AUTO_MARKER
from fondaco.cvmfs.publisher import Publisher
from fondaco.cvmfs.repository import Repository
from fondaco.cvmfs.stores.local import LocalStore
from fondaco.cvmfs.transaction import PublishOptions
from fondaco.software.ledger import Ledger
from fondaco.software.sync import Outcome, Sync, SyncOptions
from tests.software.fake_bucket import FakeBucket

FQRN = "sync.example.org"
SIZES = ChunkSizes(minimum=4096, average=8192, maximum=16384)
START = 1_700_000_000.0


@dataclass
class Clock:
    """Seconds since 1970, moved by hand."""

    now: float = START

    def __call__(self) -> float:
        return self.now


@dataclass
class Service:
    """One bucket, one repository, and the sync between them."""

    folder: Path
    publisher: Publisher
    public_key: bytes
    bucket: FakeBucket = field(default_factory=FakeBucket)
    clock: Clock = field(default_factory=Clock)
    pauses: list[float] = field(default_factory=list)
    ledger: Ledger = field(init=False)
    sync: Sync = field(init=False)

    def __post_init__(self) -> None:
        self.new_ledger()

    def new_ledger(self) -> None:
        self.ledger = Ledger(":memory:", FQRN)
        self.with_options()

    def with_options(self, **options: object) -> None:
        if hasattr(self, "sync"):
            self.sync.close()
        told = SyncOptions(threads=2, clock=self.clock, pause=self.pauses.append, **options)  # type: ignore[arg-type]
        self.sync = Sync(self.bucket, self.publisher, self.ledger, told)

    def repository(self) -> Repository:
        return Repository.open(self.folder.as_uri(), public_keys=[self.public_key])

    @property
    def revision(self) -> int:
        with self.publisher.transaction() as tx:
            return tx.head.revision

    def tree(self) -> dict[str, Entry]:
        """Every path below the root with its entry, what cutting catalogs made left out."""
        found: dict[str, Entry] = {}
        with self.publisher.transaction() as tx:
            left = [""]
            while left:
                top = left.pop()
                inside = list(tx.children(top))
                automatic = any(child.name == AUTO_MARKER for child in inside)
                for child in inside:
                    if automatic and child.name.startswith(".cvmfs"):
                        continue
                    found[f"{top}/{child.name}"] = child
                    if child.is_dir:
                        left.append(f"{top}/{child.name}")
        return found

    def files(self) -> dict[str, bytes]:
        """Every regular file with its content, read through the verified chain, links as "-> target"."""
        snapshot = self.repository().head
        return {
            path: f"-> {entry.symlink}".encode() if entry.is_symlink else snapshot.read(path)
            for path, entry in self.tree().items()
            if not entry.is_dir
        }

    def refusals(self) -> dict[str, str]:
        return {row.key.removeprefix("cvmfs/"): str(row.reason) for row in self.ledger.refusals()}


@pytest.fixture(scope="session")
def signer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sync-keys")
    keys.generate(folder, FQRN)
    return folder


MakeService = Callable[[], Service]


@pytest.fixture
def make_service(signer_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[MakeService, None, None]:
    made: list[Service] = []

    def make() -> Service:
        folder = tmp_path_factory.mktemp("repository")
        signer = keys.KeyFileSigner(signer_folder, FQRN)
        publisher = Publisher(
            store=LocalStore.create(folder),
            fqrn=FQRN,
            signer=signer,
            public_keys=(signer.public_key,),
            options=PublishOptions(sizes=SIZES),
        )
        publisher.create(signer)
        made.append(Service(folder, publisher, signer.public_key))
        return made[-1]

    yield make
    for service in made:
        service.sync.close()
        service.ledger.close()


@pytest.fixture
def service(make_service: MakeService) -> Service:
    return make_service()


def put(service: Service, key: str, content: bytes = b"", **metadata: str) -> None:
    service.bucket.put(f"cvmfs/{key}", content, metadata)


def delete(service: Service, key: str) -> None:
    service.bucket.delete(f"cvmfs/{key}")


def run(service: Service, *keys: str) -> Outcome:
    return service.sync.run_once([f"cvmfs/{key}" for key in keys])


def seeded(service: Service) -> Service:
    """Past the first sweep, so that events are looked at one by one."""
    put(service, "first", b"first")
    service.sync.sweep()
    service.bucket.listed = 0
    return service


class Killed(BaseException):
    """The process ends here."""


def killed(*_: object, **__: object) -> None:
    raise Killed
