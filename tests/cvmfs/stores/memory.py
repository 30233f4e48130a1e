"""A store in memory that remembers what it was asked for."""

from collections.abc import Iterator

from fondaco.cvmfs.digest import Digest, Suffix, object_key
from fondaco.cvmfs.errors import LimitExceeded, ObjectMissing
from fondaco.cvmfs.stores.base import MAX_OBJECT_BYTES


class MemoryStore:
    """A readable store over `files`."""

    url = "memory:"

    def __init__(self, *, block: int = 1000) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self._block = block

    def add(self, stored: bytes, digest: Digest | None = None, suffix: Suffix = Suffix.FILE) -> Digest:
        """Store an object under its hash, or under a wrong one."""
        digest = digest or Digest.of(stored)
        self.files[object_key(digest, suffix)] = stored
        return digest

    def get(self, key: str, *, limit: int = MAX_OBJECT_BYTES) -> bytes:
        self.asked.append(key)
        if key not in self.files:
            raise ObjectMissing(f"no {key}")
        if len(self.files[key]) > limit:
            raise LimitExceeded(f"{key} is too large")
        return self.files[key]

    def stream(self, key: str) -> Iterator[bytes]:
        data = self.get(key)
        for start in range(0, len(data), self._block):
            yield data[start : start + self._block]

    def exists(self, key: str) -> bool:
        return key in self.files

    def size(self, key: str) -> int | None:
        return len(self.files[key]) if key in self.files else None
