"""The repository's store with the local cache in front of it: what keeps a mount alive while its server is away."""

from collections.abc import Iterator

from fondaco.cvmfs.digest import Digest, Suffix
from fondaco.cvmfs.errors import MalformedData
from fondaco.cvmfs.mount.cache import DiskCache
from fondaco.cvmfs.stores.base import MAX_OBJECT_BYTES, ReadableStore

_METADATA = {suffix.value for suffix in (Suffix.CATALOG, Suffix.HISTORY, Suffix.CERTIFICATE, Suffix.METAINFO)}


class CachingStore:
    """Keeps catalogs, tag databases and the like in their stored form. Their hash is looked at on each reading.

    Content of files is not kept here but unpacked: :mod:`fondaco.cvmfs.mount.content`.
    """

    def __init__(self, store: ReadableStore, cache: DiskCache) -> None:
        self.url = store.url
        self._store = store
        self._cache = cache

    def get(self, key: str, *, limit: int = MAX_OBJECT_BYTES) -> bytes:
        digest = metadata_digest(key)
        if digest is None:
            return self._store.get(key, limit=limit)
        name = f"{digest}{key[-1]}-stored"
        kept = self._cache.read(name)
        if kept is not None:
            if Digest.of(kept, digest.algorithm) == digest:
                return kept
            self._cache.remove(name)  # the disk changed it
        stored = self._store.get(key, limit=limit)
        if Digest.of(stored, digest.algorithm) == digest:  # else whoever asked refuses it
            self._cache.write(name, stored)
        return stored

    def stream(self, key: str) -> Iterator[bytes]:
        return self._store.stream(key)

    def exists(self, key: str) -> bool:
        return self._store.exists(key)

    def size(self, key: str) -> int | None:
        return self._store.size(key)


def metadata_digest(key: str) -> Digest | None:
    """The hash of the metadata object that lies under *key*, None for anything else."""
    if not key.startswith("data/") or key[-1] not in _METADATA:
        return None
    try:
        return Digest.parse(key[5:7] + key[8:-1])
    except MalformedData:
        return None
