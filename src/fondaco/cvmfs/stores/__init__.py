"""Where repositories lie: a folder, a bucket, a web server. `open_store` and `open_readable` choose by the address."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from fondaco.cvmfs.errors import StoreFailed
from fondaco.cvmfs.stores.base import ReadableStore, Store
from fondaco.cvmfs.stores.local import LocalStore

__all__ = ["open_readable", "open_store"]


def open_readable(url: str, *, endpoint: str | None = None) -> ReadableStore:
    """The store at *url*, for reading: also ``http://`` and ``https://``; a bucket without keys is read unsigned."""
    if urlsplit(url).scheme in ("http", "https"):
        from fondaco.cvmfs.stores.http import HttpStore  # noqa: PLC0415  # obstore loads in 0.03 s: a folder needs none of it

        return HttpStore(url)
    return _open(url, endpoint)


def open_store(url: str, *, endpoint: str | None = None, create: bool = False) -> Store:
    """The store at *url*, for publishing: ``file:///folder``, a plain path, or ``s3://bucket/prefix``.

    With *create*, a folder is made if it is missing (buckets never are). Keys of S3 come from the environment variables
    of the AWS tools, *endpoint* too when it is not given.
    """
    scheme = urlsplit(url).scheme
    if scheme in ("http", "https"):
        raise StoreFailed(
            f"{url} cannot be published to", "a web server is only read from", "name its folder or its bucket instead"
        )
    if create and scheme in ("", "file"):
        return LocalStore.create(_folder(url))
    return _open(url, endpoint)


def _open(url: str, endpoint: str | None) -> Store:
    parts = urlsplit(url)
    if parts.scheme in ("", "file"):
        return LocalStore(_folder(url))
    if parts.scheme == "s3" and parts.netloc and not (parts.query or parts.fragment or "@" in parts.netloc):
        from fondaco.cvmfs.stores.s3 import S3Store  # noqa: PLC0415  # obstore loads in 0.03 s: a folder needs none of it

        return S3Store.from_environment(parts.netloc, parts.path, endpoint=endpoint)
    raise StoreFailed(
        f"{url!r} is no address of a store",
        "known are file:///folder, a plain path, s3://bucket/prefix, and http(s)://host/path for reading",
        "mend the address",
    )


def _folder(url: str) -> Path:
    """The folder that a plain path or a file URL names."""
    if not url.startswith("file:"):
        return Path(url)
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise StoreFailed(
            f"{url!r} names no folder of this machine", "a file URL has three slashes", "mend the address"
        )
    return Path(unquote(parts.path))
