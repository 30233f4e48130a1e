"""POST /hooks/s3: object stores report what changed in their buckets.

A report is a hint: the worst that a forged or replayed one brings about is a needless look at the bucket.
"""

import hmac
from collections import defaultdict
from typing import Annotated

from fastapi import APIRouter, Header, Request
from pydantic import BaseModel, Field

from fondaco.software.events import MAX_BODY_BYTES, parse
from fondaco.web.errors import BodyTooLarge, Unauthorized
from fondaco.web.problems import RESPONSES
from fondaco.web.site import Hook, SiteOf

router = APIRouter(prefix="/hooks", tags=["hooks"], responses=RESPONSES)


class Marked(BaseModel):
    """What a report led to."""

    marked: int = Field(description="keys that will be looked at")
    outside: int = Field(description="keys that lie outside the published folder of their bucket")
    ignored: int = Field(description="events of buckets that are not published from here")


@router.post("/s3", status_code=202, summary="Report changes in buckets")
async def report(request: Request, site: SiteOf, authorization: Annotated[str, Header()] = "") -> Marked:
    """Take the events of SeaweedFS, MinIO, Amazon S3 or Ceph RGW.

    The keys in them are looked at soon; what lies in the bucket then is published. Needs `Authorization: Bearer` with
    the token of the hook, or the token alone.
    """
    hook = _authorized(site.hook, authorization)
    events = parse(await _body(request))
    known = site.buckets()
    keys: defaultdict[str, set[str]] = defaultdict(set)
    for event in events:
        keys[event.bucket].add(event.key)
    worth = {bucket: frozenset(found) for bucket, found in keys.items() if bucket in known}
    marked = sum(hook.mark(bucket, found) for bucket, found in worth.items())
    return Marked(
        marked=marked,
        outside=sum(map(len, worth.values())) - marked,
        ignored=sum(event.bucket not in known for event in events),
    )


def _authorized(hook: Hook | None, authorization: str) -> Hook:
    """The hook, if *authorization* carries its token. How long this takes does not depend on what is wrong with it."""
    scheme, _, rest = authorization.partition(" ")
    given = rest.strip() if scheme.lower() == "bearer" else authorization
    if hook is None or not hmac.compare_digest(given.encode("utf-8", "surrogateescape"), hook.token.encode()):
        raise Unauthorized(
            "the report was not taken",
            "it does not carry the token of this hook",
            "configure the token where the store's notifications are set up",
        )
    return hook


async def _body(request: Request) -> bytes:
    """The content of *request*; no more than the limit is kept, whatever it says of its length."""
    body = bytearray()
    async for block in request.stream():
        body += block
        if len(body) > MAX_BODY_BYTES:
            raise BodyTooLarge("the report was not taken", f"it has more than {MAX_BODY_BYTES} bytes")
    return bytes(body)
