"""Signed S3 requests below what obstore offers: listings and probes with keys exactly as the store has them.

obstore parses every key into a path: a listing that holds one key with an empty or dotted part fails as a whole, and
`dir/` and `dir` become the same. So keys are listed here, with `encoding-type=url` (XML cannot carry control
characters), and only what has an ordinary key goes through obstore.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Self
from urllib.parse import quote, unquote_plus, urlencode
from xml.etree import ElementTree

import urllib3
from botocore.auth import S3SigV4Auth  # type: ignore[import-untyped]  # botocore ships no types
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]  # as above
from botocore.credentials import Credentials  # type: ignore[import-untyped]  # as above

from fondaco.backends.bucket import ObjectInfo
from fondaco.backends.errors import AccessDenied, BackendError, BucketMissing, KeyMissing, RequestRefused, Unavailable

RETRIES = 4
BACKOFF_SECONDS = 0.1  # doubled at each retry, plus up to as much again at random
LONGEST_BACKOFF_SECONDS = 5.0
CONNECT_SECONDS = 5.0
READ_SECONDS = 60.0  # silence after which a connection counts as dead
CONNECTIONS = 32  # kept open; further threads open their own for one request
METADATA = "x-amz-meta-"
PAGE_KEYS = 1000  # the most that S3 gives in one answer


@dataclass(frozen=True, kw_only=True)
class S3Access:
    """Where an S3 service is and who we are there. Without keys requests are anonymous."""

    endpoint: str  # http://host:port or https://host
    region: str = "us-east-1"
    access_key: str = ""
    secret_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], *, endpoint: str | None = None) -> Self:
        """What the variables of the AWS tools say; *endpoint* goes before theirs, and Amazon's own comes last."""
        region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or "us-east-1"
        return cls(
            endpoint=endpoint or environment.get("AWS_ENDPOINT_URL") or f"https://s3.{region}.amazonaws.com",
            region=region,
            access_key=environment.get("AWS_ACCESS_KEY_ID", ""),
            secret_key=environment.get("AWS_SECRET_ACCESS_KEY", ""),
            session_token=environment.get("AWS_SESSION_TOKEN", ""),
        )


class S3Wire:
    """Signed requests to one bucket. Safe to use from several threads."""

    def __init__(self, bucket: str, access: S3Access, *, retries: int = RETRIES) -> None:
        self.bucket = bucket
        self._access = access
        self._signer = _signer(access)
        self._pool = urllib3.PoolManager(
            maxsize=CONNECTIONS,
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
            retries=urllib3.Retry(
                total=retries,
                backoff_factor=BACKOFF_SECONDS,
                backoff_jitter=BACKOFF_SECONDS,
                backoff_max=LONGEST_BACKOFF_SECONDS,
                status_forcelist=(429, 500, 502, 503, 504),
                allowed_methods=None,  # every request made here may be repeated
                raise_on_status=False,
                redirect=False,
            ),
        )

    def request(self, method: str, key: str = "", query: Mapping[str, str] | None = None) -> urllib3.BaseHTTPResponse:
        """The answer to one request, whatever its status; Unavailable when there is none."""
        path = f"/{quote(self.bucket)}" + (f"/{quote(key, safe='/~', errors='surrogateescape')}" if key else "")
        url = self._access.endpoint.rstrip("/") + path
        if query:
            url += "?" + urlencode(sorted(query.items()), quote_via=quote, errors="surrogateescape")
        request = AWSRequest(method=method, url=url)
        if self._signer is not None:
            self._signer.add_auth(request)
        try:
            return self._pool.request(method, url, headers=dict(request.headers.items()))
        except urllib3.exceptions.HTTPError as error:
            raise Unavailable(
                f"the bucket {self.bucket!r} could not be reached", _brief(error), "see that the object store is up"
            ) from error

    def exists(self) -> bool:
        """Whether the bucket is there."""
        answer = self.request("HEAD")
        if answer.status == 404:
            return False
        if answer.status != 200:
            raise failure(answer.status, b"", self.bucket)
        return True

    def head(self, key: str) -> ObjectInfo:
        """One object's version and metadata, whatever its key; KeyMissing."""
        answer = self.request("HEAD", key)
        if answer.status != 200:
            raise failure(answer.status, b"", self.bucket, key)
        names = ((name.lower(), value) for name, value in answer.headers.items())
        metadata = {name.removeprefix(METADATA): value for name, value in names if name.startswith(METADATA)}
        try:
            size = int(answer.headers["Content-Length"])
            modified = int(parsedate_to_datetime(answer.headers["Last-Modified"]).timestamp())
        except (KeyError, ValueError) as error:
            raise Unavailable(
                f"the object {key!r} in {self.bucket!r} could not be looked at", f"{error} in the answer", "try again"
            ) from error
        return ObjectInfo(key, size, plain_etag(answer.headers.get("ETag")), modified, metadata)

    def create(self) -> None:
        """Make the bucket; one that is ours already is fine."""
        answer = self.request("PUT")
        if answer.status != 200 and _code(answer.data) != "BucketAlreadyOwnedByYou":
            raise failure(answer.status, answer.data, self.bucket)

    def list(self, prefix: str, *, page_keys: int = PAGE_KEYS, most: int | None = None) -> Iterator[ObjectInfo]:
        """Objects below *prefix*; *most* stops after that many."""
        query = {"list-type": "2", "encoding-type": "url", "max-keys": str(page_keys), "prefix": prefix}
        left = most
        while True:
            page = self._page(query)
            for item in page.objects:
                yield item
                if left is not None:
                    left -= 1
                    if left == 0:
                        return
            if page.next_token is None:
                return
            query["continuation-token"] = page.next_token

    def _page(self, query: Mapping[str, str]) -> "Page":
        answer = self.request("GET", query=query)
        if answer.status != 200:
            raise failure(answer.status, answer.data, self.bucket)
        return parse_page(answer.data)


@dataclass(frozen=True, slots=True)
class Page:
    """One answer to a listing."""

    objects: list[ObjectInfo]
    next_token: str | None  # None: this was the last page


def parse_page(body: bytes) -> Page:
    """A ListObjectsV2 answer; Unavailable when it is not a whole one (a cut one must never pass for a short one)."""
    try:
        root = ElementTree.fromstring(body)  # noqa: S314 - expat bounds entity expansion; the document is our own store's
    except ElementTree.ParseError as error:
        raise _bad_listing(str(error)) from error
    space = root.tag.partition("}")[0] + "}" if root.tag.startswith("{") else ""
    if root.tag != f"{space}ListBucketResult":
        raise _bad_listing(f"it is a {root.tag[len(space) :]!r}")
    encoded = (root.findtext(f"{space}EncodingType") or "").lower() == "url"
    truncated = root.findtext(f"{space}IsTruncated") == "true"
    token = root.findtext(f"{space}NextContinuationToken")
    if truncated and not token:
        raise _bad_listing("it says that more follows, not where")
    try:
        objects = [_item(item, space, encoded=encoded) for item in root.iter(f"{space}Contents")]
    except (KeyError, ValueError) as error:
        raise _bad_listing(f"an entry in it is malformed ({error})") from error
    return Page(objects, token if truncated else None)


def _item(item: ElementTree.Element, space: str, *, encoded: bool) -> ObjectInfo:
    fields = {child.tag[len(space) :]: child.text or "" for child in item}
    key = fields["Key"]
    if encoded:
        key = unquote_plus(key, errors="surrogateescape")
    modified = int(datetime.fromisoformat(fields["LastModified"]).timestamp())
    return ObjectInfo(key, int(fields["Size"]), plain_etag(fields.get("ETag", "")), modified)


def plain_etag(text: str | None) -> str:
    """An entity tag without quotes and weakness mark: stores differ in whether they send them."""
    return (text or "").removeprefix("W/").strip('"')


def failure(status: int, body: bytes, bucket: str, key: str | None = None) -> BackendError:
    """The error that an answer of *status* means."""
    code = _code(body)
    what = f"the object {key!r} in {bucket!r}" if key is not None else f"the bucket {bucket!r}"
    why = f"the object store answers {status} {code}".rstrip()
    if code == "NoSuchBucket" or (status == 404 and key is None):
        return BucketMissing(f"{what} does not exist", why, "create the bucket or correct its name")
    if status == 404:
        return KeyMissing(f"{what} does not exist", why, "look again: it may have been deleted")
    if status in (401, 403):
        return AccessDenied(f"{what} is closed to us", why, "check the access keys and the bucket's policy")
    if status >= 500 or status == 429:
        return Unavailable(f"{what} could not be read", why, "try again later")
    return RequestRefused(f"{what} could not be read", why, "see the object store's message")


def _code(body: bytes) -> str:
    try:
        root = ElementTree.fromstring(body)  # noqa: S314 - as in parse_page
    except ElementTree.ParseError:
        return ""
    return next((child.text or "" for child in root.iter() if child.tag.rpartition("}")[2] == "Code"), "")


def _signer(access: S3Access) -> Any:
    if not access.access_key:
        return None
    keys = Credentials(access.access_key, access.secret_key, access.session_token or None)
    return S3SigV4Auth(keys, "s3", access.region)


def _bad_listing(why: str) -> Unavailable:
    return Unavailable("a listing of the bucket is not whole", why, "try again; a proxy may have cut it")


def _brief(error: BaseException) -> str:
    return str(error).splitlines()[0][:300] if str(error) else type(error).__name__
