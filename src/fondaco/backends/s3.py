"""A bucket on any S3 service: content through obstore, keys through `s3_wire` exactly as the store has them.

What obstore 0.12 was seen to do, and the tests hold: it never decompresses `Content-Encoding: gzip`; it goes on with
a cut-off answer by `Range` and gives up when that answer has another entity tag, so that what arrives is one version;
an answer that stays short is an error.
"""

import io
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

import obstore
from obstore.exceptions import (
    BaseError,
    InvalidPathError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import S3Store

from fondaco.backends.bucket import BLOCK_BYTES, ObjectInfo
from fondaco.backends.errors import AccessDenied, BackendError, KeyMissing, ObjectChanged, RequestRefused, Unavailable
from fondaco.backends.s3_wire import (
    BACKOFF_SECONDS,
    CONNECT_SECONDS,
    LONGEST_BACKOFF_SECONDS,
    READ_SECONDS,
    RETRIES,
    S3Access,
    S3Wire,
    failure,
    plain_etag,
)

if TYPE_CHECKING:
    from obstore import GetOptions, GetResult

RETRY_SECONDS = 60.0  # no retry begins later than this after the first try
MAX_TRANSFER = timedelta(
    days=7
)  # obstore's own bound for a whole answer is 30 s; silence is what ends ours (READ_SECONDS)
SEEK_BUFFER_BYTES = 1 << 20  # one range request per so many bytes read in a row
_STANDARD = frozenset(
    {"content-disposition", "content-encoding", "content-language", "content-type", "cache-control", "storage-class"}
)


class S3Bucket:
    """One bucket (`fondaco.backends.bucket.Bucket`), with writing for demonstrations and tests."""

    def __init__(
        self, name: str, access: S3Access, *, retries: int = RETRIES, retry_seconds: float = RETRY_SECONDS
    ) -> None:
        self.name = name
        self._wire = S3Wire(name, access, retries=retries)
        self._store = S3Store(
            name,
            endpoint=access.endpoint,
            region=access.region,
            virtual_hosted_style_request=False,
            client_options={
                "allow_http": access.endpoint.startswith("http://"),
                "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
                "read_timeout": timedelta(seconds=READ_SECONDS),
                "timeout": MAX_TRANSFER,
            },
            retry_config={
                "max_retries": retries,
                "retry_timeout": timedelta(seconds=retry_seconds),
                "backoff": {
                    "init_backoff": timedelta(seconds=BACKOFF_SECONDS),
                    "max_backoff": timedelta(seconds=LONGEST_BACKOFF_SECONDS),
                    "base": 2,
                },
            },
            **_keys(access),
        )

    def exists(self) -> bool:
        return self._wire.exists()

    def create(self) -> None:
        """Make the bucket; one that is ours already is fine."""
        self._wire.create()

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        return self._wire.list(prefix)

    def head(self, key: str) -> ObjectInfo:
        if key.endswith("/"):
            # SeaweedFS answers HEAD of `dir/` for the object `dir` and for a mere directory too: the listing decides.
            listed = next(self._wire.list(key, page_keys=1, most=1), None)
            if listed is None or listed.key != key:
                raise failure(404, b"", self.name, key)
        return self._wire.head(key)

    def open(self, key: str) -> "S3Stream":
        return S3Stream(self, key, self._get(key, {}))

    def open_seekable(self, info: ObjectInfo) -> io.BufferedReader:
        return io.BufferedReader(_Ranges(self, info), SEEK_BUFFER_BYTES)

    def read_range(self, info: ObjectInfo, start: int, end: int) -> bytes:
        """Bytes [start, end) of that version; ObjectChanged when it is no longer the present one."""
        answer = self._get(info.key, {"range": (start, end)})
        if plain_etag(answer.meta["e_tag"]) != info.etag or answer.meta["size"] != info.size:
            raise _changed(self.name, info.key)
        try:
            return bytes(answer.bytes())
        except BaseError as error:
            raise self.translated(error, info.key) from error

    def put(self, key: str, content: bytes, metadata: dict[str, str] | None = None) -> None:
        """Write an object. Markers (`dir/`) are written only by the stock tools."""
        try:
            obstore.put(self._store, key, content, attributes=metadata)
        except (BaseError, ValueError) as error:
            raise self.translated(error, key) from error

    def delete(self, key: str) -> None:
        """Remove an object; absent is fine."""
        answer = self._wire.request("DELETE", key)
        if answer.status not in (200, 204, 404):
            raise failure(answer.status, answer.data, self.name, key)

    def translated(self, error: Exception, key: str) -> BackendError:
        """obstore's error in the words of this room."""
        what = f"the object {key!r} in {self.name!r}"
        why = str(error).splitlines()[0][:300] if str(error) else type(error).__name__
        if isinstance(error, FileNotFoundError):
            return KeyMissing(f"{what} does not exist", "", "look again: it may have been deleted")
        if isinstance(error, PermissionDeniedError | UnauthenticatedError):
            return AccessDenied(f"{what} is closed to us", why, "check the access keys and the bucket's policy")
        if isinstance(error, PreconditionError) or "status code: 412" in why:
            return _changed(self.name, key)
        if isinstance(error, ValueError | InvalidPathError) or "status code: 4" in why:
            return RequestRefused(f"{what} cannot be read", why, "see the object store's message")
        return Unavailable(f"{what} could not be read", why, "try again later")

    def _get(self, key: str, options: "GetOptions") -> "GetResult":
        try:
            return obstore.get(self._store, key, options=options)
        except (BaseError, OSError, ValueError) as error:
            raise self.translated(error, key) from error


class S3Stream:
    """An object being read (`fondaco.backends.bucket.ObjectStream`)."""

    def __init__(self, bucket: S3Bucket, key: str, answer: "GetResult") -> None:
        self.info = _info(key, answer)
        self._bucket = bucket
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        left = self.info.size
        try:
            for block in self._answer.stream(min_chunk_size=min(BLOCK_BYTES, max(1, left))):
                left -= len(block)
                yield bytes(block)
        except (BaseError, OSError) as error:
            raise self._bucket.translated(error, self.info.key) from error
        if left != 0:
            raise Unavailable(
                f"the object {self.info.key!r} could not be read whole",
                f"{self.info.size} bytes were announced, {self.info.size - left} came",
                "try again later",
            )


class _Ranges(io.RawIOBase):
    """One version of an object as a raw seekable file."""

    def __init__(self, bucket: S3Bucket, info: ObjectInfo) -> None:
        super().__init__()
        self._bucket = bucket
        self._info = info
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._info.size}[whence]
        if base + offset < 0:
            raise ValueError(f"position {base + offset} lies before the start")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: Any, /) -> int:
        end = min(self._info.size, self._position + len(buffer))
        if end <= self._position:
            return 0
        data = self._bucket.read_range(self._info, self._position, end)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def __enter__(self) -> Self:
        return self


def _info(key: str, answer: "GetResult") -> ObjectInfo:
    meta = answer.meta
    metadata = {name.lower(): value for name, value in answer.attributes.items() if name.lower() not in _STANDARD}
    return ObjectInfo(key, meta["size"], plain_etag(meta["e_tag"]), int(meta["last_modified"].timestamp()), metadata)


def _keys(access: S3Access) -> dict[str, Any]:
    if not access.access_key:
        return {"skip_signature": True}
    keys = {"access_key_id": access.access_key, "secret_access_key": access.secret_key}
    return keys | ({"session_token": access.session_token} if access.session_token else {})


def _changed(bucket: str, key: str) -> ObjectChanged:
    return ObjectChanged(f"the object {key!r} in {bucket!r} was replaced while it was read", "", "read it again")
