"""Repositories in folders, for tests that publish."""

from dataclasses import dataclass, field
from pathlib import Path

from fondaco.cvmfs.catalog.balance import Balance
from fondaco.cvmfs.chunking import ChunkSizes
from fondaco.cvmfs.codec import Codec, Zlib, decompress
from fondaco.cvmfs.digest import Algorithm, Digest, Suffix, object_key
from fondaco.cvmfs.entry import Entry
from fondaco.cvmfs.keys import KeyFileSigner
from fondaco.cvmfs.manifest import Manifest, parse_signed
from fondaco.cvmfs.mirror import MirrorOptions, mirror
from fondaco.cvmfs.publisher import Publisher
from fondaco.cvmfs.stores.base import MANIFEST
from fondaco.cvmfs.stores.local import LocalStore
from fondaco.cvmfs.transaction import Published, PublishOptions
from tests.cvmfs.catalogs import walk

FQRN = "test.example.org"
SMALL_CHUNKS = ChunkSizes(minimum=1 << 10, average=1 << 11, maximum=1 << 12)


@dataclass
class Clock:
    """A clock that moves when told."""

    now: float = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Place:
    """A repository in a folder with keys of its own."""

    folder: Path
    key_folder: Path
    clock: Clock = field(default_factory=Clock)
    sizes: ChunkSizes | None = SMALL_CHUNKS
    balance: Balance = field(default_factory=Balance)
    algorithm: Algorithm = Algorithm.SHA1
    codec: Codec = field(default_factory=Zlib)
    external: bool = False

    def __post_init__(self) -> None:
        self.store = LocalStore.create(self.folder)
        self.signer = KeyFileSigner(self.key_folder, FQRN)

    @property
    def publisher(self) -> Publisher:
        options = PublishOptions(
            sizes=self.sizes, balance=self.balance, clock=self.clock, codec=self.codec, external=self.external
        )
        return Publisher(
            store=self.store, fqrn=FQRN, signer=self.signer, public_keys=(self.signer.public_key,), options=options
        )

    def create(self) -> "Place":
        self.publisher.create(self.signer, algorithm=self.algorithm)
        return self

    def publish(
        self, folder: Path, at: str = "", *, tag: str | None = None, options: MirrorOptions | None = None
    ) -> Published | None:
        self.clock.now += 60
        with self.publisher.transaction() as transaction:
            mirror(transaction, folder, at, options=options)
            return transaction.commit(tag=tag)

    def manifest(self) -> Manifest:
        return parse_signed(self.store.get(MANIFEST)).manifest

    def image(self, digest: Digest, suffix: Suffix) -> bytes:
        return decompress(self.store.get(object_key(digest, suffix)), limit=1 << 30)

    def tree(self) -> dict[str, Entry]:
        """Every path of the newest revision; the rules of all catalogs are asserted on the way."""
        return dict(walk(_Catalogs(self), self.manifest().root_catalog))

    def content(self, entry: Entry) -> bytes:
        if not entry.chunks:
            assert entry.digest is not None
            return self.image(Digest(entry.digest), Suffix.FILE)
        return b"".join(self.image(Digest(chunk.digest), Suffix.CHUNK) for chunk in entry.chunks)

    def objects(self) -> set[str]:
        return set(self.store.list("data"))


class _Catalogs(dict[Digest, bytes]):
    def __init__(self, place: Place) -> None:
        super().__init__()
        self._place = place

    def __missing__(self, digest: Digest) -> bytes:
        self[digest] = self._place.image(digest, Suffix.CATALOG)
        return self[digest]
