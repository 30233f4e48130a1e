"""A repository in an S3 bucket, laid out and labelled so that a public bucket can be mounted as it is."""

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import obstore
from obstore.exceptions import AlreadyExistsError, PreconditionError
from obstore.store import S3Store as Bucket

from fondaco.cvmfs.errors import ObjectMissing, RepositoryMoved, StoreFailed
from fondaco.cvmfs.stores.base import MAX_OBJECT_BYTES, Listed
from fondaco.cvmfs.stores.keys import check_key
from fondaco.cvmfs.stores.presence import Presence
from fondaco.cvmfs.stores.remote import RETRY_SECONDS, RemoteReader, client_config, retry_config

if TYPE_CHECKING:
    from obstore import Attributes, PutMode

MAX_LISTED = 1_000  # objects of a folder that are listed at once: what one request shows
DEFAULT_REGION = "us-east-1"  # what stores without regions expect in a signature
PART_BYTES = 16 << 20  # larger objects go up in parts of this size
MAX_DELETED_AT_ONCE = 1000  # keys of one DeleteObjects request

# As the reference web server configuration: clients and proxies keep objects, and look at root files each minute.
_OBJECT: "Attributes" = {"Content-Type": "application/octet-stream", "Cache-Control": "max-age=259200"}
_ROOT_FILE: "Attributes" = {"Content-Type": "application/x-cvmfs", "Cache-Control": "max-age=61"}


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """An S3 key pair; with a session token when it is a temporary one."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)

    @classmethod
    def from_environment(cls) -> Self | None:
        """What ``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY`` and ``AWS_SESSION_TOKEN`` say, None for nothing."""
        access_key = os.environ.get("AWS_ACCESS_KEY_ID", "")
        secret_key = os.environ.get("AWS_SECRET_ACCESS_KEY", "")
        if not access_key and not secret_key:
            return None
        if not access_key or not secret_key:
            raise StoreFailed(
                "the S3 keys are incomplete",
                "only one of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY is set",
                "set both",
            )
        token = os.environ.get("AWS_SESSION_TOKEN", "")
        return cls(access_key=access_key, secret_key=secret_key, session_token=token)


class S3Store(RemoteReader):
    """A :class:`~fondaco.cvmfs.stores.base.Store` below a prefix of a bucket."""

    lock_excludes = False
    durable_at_once = True

    def __init__(
        self,
        bucket: str,
        prefix: str = "",
        *,
        endpoint: str | None = None,  # None: Amazon's
        credentials: Credentials | None = None,  # None: requests are not signed, as for a public bucket
        region: str = DEFAULT_REGION,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self._settings = (bucket, prefix, endpoint, credentials, region, retry_seconds)
        prefix = prefix.strip("/")
        super().__init__(f"s3://{bucket}/{prefix}".rstrip("/"), _open_bucket(*self._settings))
        self._presence = Presence(self.size, self._list_folder)
        self._bare_tags = False  # this server compares ETags without their quotes (Ceph RGW 16)

    @classmethod
    def from_environment(cls, bucket: str, prefix: str = "", *, endpoint: str | None = None) -> Self:
        """The store that the environment variables of the AWS tools describe; *endpoint* goes before theirs."""
        environment = os.environ
        return cls(
            bucket,
            prefix,
            endpoint=endpoint or environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL") or None,
            credentials=Credentials.from_environment(),
            region=environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or DEFAULT_REGION,
        )

    def __reduce__(self) -> tuple[object, ...]:
        return _reopen, (type(self), *self._settings)

    def list(self, prefix: str) -> Iterator[str]:
        return (listed.key for listed in self.list_sizes(prefix))

    def list_sizes(self, prefix: str) -> Iterator[Listed]:
        folder = prefix.strip("/")
        with self._asking("listed", check_key(folder) if folder else ""):
            for page in obstore.list(self._remote, folder or None):
                for found in page:
                    yield Listed(found["path"], found["size"])

    def _list_folder(self, folder: str) -> dict[str, int] | None:
        with self._asking("listed", folder):
            page = next(iter(obstore.list(self._remote, folder, chunk_size=MAX_LISTED + 1)), [])
        return {found["path"]: found["size"] for found in page} if len(page) <= MAX_LISTED else None

    def put_object(self, key: str, data: bytes) -> bool:
        if self._presence.holds(check_key(key), len(data)):
            return False
        with self._asking("written", key):
            obstore.put(
                self._remote,
                key,
                data,
                attributes=_OBJECT,
                use_multipart=len(data) > PART_BYTES,
                chunk_size=PART_BYTES,
            )
        self._presence.add(key, len(data))
        return True

    def put_blocks(self, key: str, blocks: Iterable[bytes]) -> None:
        with self._asking("written", check_key(key)):
            obstore.put(self._remote, key, iter(blocks), attributes=_OBJECT, use_multipart=True, chunk_size=PART_BYTES)

    def replace(self, key: str, data: bytes, *, previous: bytes | None = None) -> None:
        check_key(key)
        if previous is None:
            self._put_root_file(key, data, "overwrite")
        elif not previous:
            if not self._put_root_file(key, data, "create"):
                raise self._moved(key)
        elif not self._exchange(key, data, previous):
            raise self._moved(key)

    def delete(self, key: str) -> None:
        self._presence.remove(check_key(key))
        with self._asking("removed", key), contextlib.suppress(FileNotFoundError):
            obstore.delete(self._remote, key)

    def delete_many(self, keys: Sequence[str]) -> None:
        for start in range(0, len(keys), MAX_DELETED_AT_ONCE):
            batch = [check_key(key) for key in keys[start : start + MAX_DELETED_AT_ONCE]]
            for key in batch:
                self._presence.remove(key)
            with self._asking("removed", batch[0]):
                obstore.delete(self._remote, batch)

    def sync(self) -> None:
        """Nothing to do: S3 acknowledges what is safe."""

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Begin to publish. S3 has no locks that end with their holder, so this one excludes nobody.

        Two publishers are kept apart by the commit itself: it creates its journal and replaces the manifest with
        conditional writes, of which one succeeds. What an earlier publish knew to be there may have been collected
        since: forget it.
        """
        self._presence.forget()
        yield

    def _exchange(self, key: str, data: bytes, previous: bytes) -> bool:
        """Replace *previous* by *data*; whether nobody came before us."""
        tag = self._tag_of(key, previous)
        if tag is None:
            return False
        if not self._bare_tags and self._put_root_file(key, data, {"e_tag": tag}):
            return True
        if self._tag_of(key, previous) != tag:
            return False
        self._bare_tags = self._put_root_file(key, data, {"e_tag": tag.strip('"')})
        return self._bare_tags

    def _tag_of(self, key: str, content: bytes) -> str | None:
        """The ETag of *key* while it holds *content*."""
        try:
            with self._asking("read", key):
                answer = obstore.get(self._remote, key)
                if answer.meta["size"] != len(content) or answer.meta["size"] > MAX_OBJECT_BYTES:
                    return None
                tag = answer.meta["e_tag"]
                return tag if answer.bytes() == content else None
        except ObjectMissing:
            return None

    def _put_root_file(self, key: str, data: bytes, mode: "PutMode") -> bool:
        """Write a root file; whether the condition of *mode* held."""
        with self._asking("written", key):
            try:
                obstore.put(self._remote, key, data, attributes=_ROOT_FILE, mode=mode, use_multipart=False)
            except (AlreadyExistsError, PreconditionError):
                return False
            return True

    def _moved(self, key: str) -> RepositoryMoved:
        return RepositoryMoved(
            f"{key} in {self.url} was not replaced",
            "somebody else changed it in the meantime",
            "run again; nothing was changed",
        )


def _open_bucket(
    bucket: str, prefix: str, endpoint: str | None, credentials: Credentials | None, region: str, retry_seconds: float
) -> Bucket:
    # Everything is given: obstore would take what is left out from the environment, as parts of another account.
    keys = credentials or Credentials(access_key="", secret_key="")
    address = endpoint or f"https://s3.{region}.amazonaws.com"
    return Bucket(
        bucket,
        prefix=prefix or None,
        endpoint=address,
        access_key_id=keys.access_key,
        secret_access_key=keys.secret_key,
        session_token=keys.session_token,
        skip_signature=credentials is None,
        region=region,
        virtual_hosted_style_request=False,
        client_options=client_config(address),
        retry_config=retry_config(retry_seconds),
    )


def _reopen(
    kind: type[S3Store],
    bucket: str,
    prefix: str,
    endpoint: str | None,
    credentials: Credentials | None,
    region: str,
    retry_seconds: float,
) -> S3Store:
    """Open a store that was sent to another process."""
    return kind(bucket, prefix, endpoint=endpoint, credentials=credentials, region=region, retry_seconds=retry_seconds)
