"""A bucket in memory (`fondaco.backends.bucket.Bucket`) that can be made to fail."""

import hashlib
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from fondaco.backends.bucket import ObjectInfo
from fondaco.backends.errors import BackendError, BucketMissing, KeyMissing, ObjectChanged

BLOCK = 1000  # bytes; small, so that content comes in several blocks


@dataclass(frozen=True)
class Stored:
    info: ObjectInfo
    content: bytes


@dataclass
class Stream:
    info: ObjectInfo
    content: bytes
    fails: BackendError | None = None

    def __iter__(self) -> Iterator[bytes]:
        for start in range(0, len(self.content), BLOCK):
            yield self.content[start : start + BLOCK]
            if self.fails is not None:
                raise self.fails


@dataclass
class FakeBucket:
    """Time goes on by a second with each write, so that versions differ as they do in a store."""

    name: str = "bucket"
    objects: dict[str, Stored] = field(default_factory=dict)
    missing: bool = False
    listing_fails: BackendError | None = None  # after the first object
    opening_fails: dict[str, BackendError] = field(default_factory=dict)
    reading_fails: dict[str, BackendError] = field(default_factory=dict)
    before_open: Callable[[str], None] | None = None
    opened: list[str] = field(default_factory=list)  # keys, in order
    looked: list[str] = field(default_factory=list)
    listed: int = 0
    now: int = 1_700_000_000

    def put(self, key: str, content: bytes = b"", metadata: Mapping[str, str] | None = None) -> None:
        self.now += 1
        etag = hashlib.md5(content, usedforsecurity=False).hexdigest()
        self.objects[key] = Stored(ObjectInfo(key, len(content), etag, self.now, dict(metadata or {})), content)

    def delete(self, key: str) -> None:
        self.objects.pop(key, None)

    def exists(self) -> bool:
        return not self.missing

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        self._need_bucket()
        self.listed += 1
        for key, stored in reversed(list(self.objects.items())):
            if key.startswith(prefix):
                yield ObjectInfo(key, stored.info.size, stored.info.etag, stored.info.modified)
                if self.listing_fails is not None:
                    raise self.listing_fails
        if self.listing_fails is not None:
            raise self.listing_fails

    def head(self, key: str) -> ObjectInfo:
        self.looked.append(key)
        return self._stored(key).info

    def open(self, key: str) -> Stream:
        self.opened.append(key)
        if self.before_open is not None:
            self.before_open(key)
        stored = self._stored(key)
        if key in self.opening_fails:
            raise self.opening_fails[key]
        return Stream(stored.info, stored.content, self.reading_fails.get(key))

    def open_seekable(self, info: ObjectInfo) -> io.BufferedReader:
        stored = self._stored(info.key)
        if stored.info != info:
            raise ObjectChanged("changed")
        return io.BufferedReader(io.BytesIO(stored.content))  # type: ignore[arg-type]  # a raw file to whoever reads it

    def _stored(self, key: str) -> Stored:
        if self.missing or key not in self.objects:
            raise KeyMissing(f"no {key}")
        return self.objects[key]

    def _need_bucket(self) -> None:
        if self.missing:
            raise BucketMissing("no bucket")
