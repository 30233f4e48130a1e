"""Trees of catalogs in memory, for tests that walk over them."""

import hashlib
import zlib
from collections.abc import Mapping

from fondaco.cvmfs import paths
from fondaco.cvmfs.catalog.balance import Balance
from fondaco.cvmfs.catalog.tree import CatalogTree
from fondaco.cvmfs.digest import Digest, Suffix
from fondaco.cvmfs.entry import Chunk, Content, Entry, directory, regular
from fondaco.cvmfs.objects import fetch
from fondaco.cvmfs.walking import CatalogChain
from tests.cvmfs.stores.memory import MemoryStore

WIDE = Balance()
NARROW = Balance(maximum=5, minimum=2, merge_below=1)
EMPTY = Content(size=0, digest=hashlib.sha1(b"empty").digest())


def file(path: str, text: str = "x", **attributes: int) -> Entry:
    digest = hashlib.sha1(text.encode()).digest()
    return regular(paths.name_of(path), Content(size=len(text), digest=digest), **attributes)  # type: ignore[arg-type]


def chunked(path: str, *parts: str) -> Entry:
    chunks, offset = [], 0
    for part in parts:
        chunks.append(Chunk(offset, len(part), hashlib.sha1(part.encode()).digest()))
        offset += len(part)
    return regular(paths.name_of(path), Content(size=offset, digest=None, chunks=tuple(chunks)))


class Trees:
    """Catalogs in a store in memory."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self._revision = 0

    def make(self, entries: Mapping[str, Entry], *, balance: Balance = WIDE, base: Digest | None = None) -> Digest:
        """A root catalog of exactly *entries* (and their parents), made anew or by changing *base*."""
        self._revision += 1
        if base is None:
            tree = CatalogTree.empty(directory(""))
        else:
            tree = CatalogTree.load(base, lambda digest: fetch(self.store, digest, Suffix.CATALOG))
            wanted = {above for path in entries for above in (*paths.ancestors(path), path)}
            for path in self.paths(base):
                if path and path not in wanted and paths.name_of(path)[:6] != ".cvmfs":
                    tree.remove(path)
        for path in sorted(entries):
            tree.put(path, entries[path])
        tree.arrange(balance, lambda: EMPTY, 0)
        stored = tree.seal(self._put, revision=self._revision, now=1_700_000_000 + self._revision, ttl=240)
        if stored is None:
            assert base is not None
            return base
        return stored.root

    def paths(self, root: Digest) -> list[str]:
        found, waiting = [], [paths.ROOT]
        with self.chain(root) as chain:
            while waiting:
                path = waiting.pop()
                found.append(path)
                for row in list(chain.enter(path).rows(path)):
                    (waiting if row.is_dir else found).append(f"{path}/{row.name}")
        return found

    def chain(self, root: Digest) -> CatalogChain:
        return CatalogChain(self.store, root)

    def _put(self, image: bytes) -> Digest:
        return self.store.add(zlib.compress(image), suffix=Suffix.CATALOG)
