"""Reading a repository from any web server: a stratum, a CDN, a public bucket, ``python -m http.server``."""

from urllib.parse import urlsplit

from obstore.store import HTTPStore

from fondaco.cvmfs.errors import StoreFailed
from fondaco.cvmfs.stores.remote import RETRY_SECONDS, RemoteReader, client_config, retry_config


class HttpStore(RemoteReader):
    """A :class:`~fondaco.cvmfs.stores.base.ReadableStore` below an ``http://`` or ``https://`` address.

    An answer of 403 counts as "not there": that is what public buckets say of keys they do not hold.
    """

    def __init__(self, url: str, *, retry_seconds: float = RETRY_SECONDS) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or parts.query:
            raise StoreFailed(
                f"{parts._replace(netloc=parts.netloc.rpartition('@')[2], query='').geturl()!r} cannot be read from",
                "the address of a repository is http(s)://host/path without user, password or query",
                "mend the address",
            )
        address = url.rstrip("/")
        remote = HTTPStore(address, client_options=client_config(url), retry_config=retry_config(retry_seconds))
        super().__init__(address, remote, denied_is_missing=True)
