"""Reading over the network: what S3 and plain HTTP have in common, on top of obstore.

obstore keeps connections open, retries 5xx answers, refused and dropped connections with jitter, and goes on where the
body of an answer broke off. Its runtime does not survive a fork: worker processes must be spawned, or be threads.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError

from fondaco.cvmfs.errors import LimitExceeded, ObjectMissing, StoreFailed
from fondaco.cvmfs.stores.base import MAX_OBJECT_BYTES
from fondaco.cvmfs.stores.keys import check_key

if TYPE_CHECKING:
    from obstore.store import ClientConfig, HTTPStore, RetryConfig, S3Store

BLOCK_BYTES = 1 << 20  # least size of the blocks that stream() gives
CONNECT_SECONDS = 5.0
STALL_SECONDS = 60.0  # without a byte
REQUEST_SECONDS = 24 * 3600.0  # a large object over a thin line; a dead one is noticed by STALL_SECONDS
RETRY_SECONDS = 30.0  # after which a failing request is given up
MAX_RETRIES = 6  # with doubling pauses from 0.1 s: about 6 s on a server that refuses connections

_MAX_REASON = 300  # characters of obstore's message; behind its first line follows a dump of Rust structures


def client_config(url: str) -> "ClientConfig":
    """Time limits of requests to *url*; TLS is required unless it says ``http:``."""
    return {
        "allow_http": url.startswith("http://"),
        "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
        "read_timeout": timedelta(seconds=STALL_SECONDS),
        "timeout": timedelta(seconds=REQUEST_SECONDS),
        "user_agent": "fondaco",
    }


def retry_config(seconds: float) -> "RetryConfig":
    """Retries that end after *seconds*."""
    return {
        "max_retries": MAX_RETRIES,
        "retry_timeout": timedelta(seconds=seconds),
        "backoff": {
            "init_backoff": timedelta(milliseconds=100),
            "max_backoff": timedelta(seconds=max(0.1, seconds / 4)),
            "base": 2,
        },
    }


class RemoteReader:
    """The reading half of a store."""

    def __init__(self, url: str, remote: "S3Store | HTTPStore", *, denied_is_missing: bool = False) -> None:
        self.url = url
        self._remote = remote
        self._denied_is_missing = denied_is_missing  # S3 answers 403 for an absent key to those who may not list

    def get(self, key: str, *, limit: int = MAX_OBJECT_BYTES) -> bytes:
        with self._asking("read", check_key(key)):
            answer = obstore.get(self._remote, key)
            size = answer.meta["size"]
            if size <= limit:
                return answer.bytes().to_bytes()
        raise LimitExceeded(f"{key} in {self.url} is too large", f"{size} bytes, at most {limit} are read", "run check")

    def stream(self, key: str) -> Iterator[bytes]:
        with self._asking("read", check_key(key)):
            for block in obstore.get(self._remote, key).stream(min_chunk_size=BLOCK_BYTES):
                yield bytes(block)

    def exists(self, key: str) -> bool:
        return self.size(key) is not None

    def size(self, key: str) -> int | None:
        try:
            with self._asking("read", check_key(key)):
                return obstore.head(self._remote, key)["size"]
        except ObjectMissing:
            return None

    @contextmanager
    def _asking(self, verb: str, key: str) -> Iterator[None]:
        """Turn what obstore raises into the errors of this room."""
        try:
            yield
        except FileNotFoundError as error:
            if verb != "read" or "NoSuchBucket" in str(error):
                raise StoreFailed(
                    f"{key or 'the bucket'} in {self.url} cannot be {verb}",
                    "there is no such bucket",
                    "make the bucket or mend the address",
                ) from error
            raise self._missing(key, "there is no such file") from error
        except (PermissionDeniedError, UnauthenticatedError) as error:
            if self._denied_is_missing:
                raise self._missing(key, "there is no such file, or it may not be read") from error
            raise StoreFailed(
                f"{key or 'the bucket'} in {self.url} cannot be {verb}",
                "access is denied",
                "check the keys and what they may do in this bucket",
            ) from error
        except ValueError as error:  # a name that obstore takes for no path, such as that of a file outside
            raise StoreFailed(
                f"{key!r} in {self.url} cannot be {verb}",
                "such a name cannot be part of an address",
                "give the files by a folder, or rename it",
            ) from error
        except (BaseError, OSError) as error:
            raise StoreFailed(
                f"{key or 'the bucket'} in {self.url} cannot be {verb}",
                _reason(str(error)),
                "check the address and the server, then run again",
            ) from error

    def _missing(self, key: str, why: str) -> ObjectMissing:
        return ObjectMissing(f"{self.url} has no {key}", why, "check the address, or run check")


def _reason(message: str) -> str:
    """The useful part of obstore's message: its first line and the code of an S3 error in the answer it quotes."""
    first = message.split("\n", 1)[0].partition("<?xml")[0].rstrip(": ")[:_MAX_REASON]
    code = re.search(r"<Code>(\w+)</Code>", message)
    return f"{code[1]} ({first})" if code else first
