"""Keys and paths in JSON: it has no place for bytes that are not UTF-8, which a key may have."""

import base64
import binascii
from typing import Annotated

from pydantic import BeforeValidator, Field

from fondaco.web.errors import BadCursor


def shown(text: str) -> str:
    r"""*text* for people and JSON: bytes that are not UTF-8 stand as ``\xff``; all else is as it is."""
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # other surrogates, which stand for no byte
        return text.encode("utf-8", "backslashreplace").decode()


def cursor(key: str) -> str:
    """The place behind *key* in a list of keys, for use in an address."""
    return base64.urlsafe_b64encode(key.encode("utf-8", "surrogateescape")).decode().rstrip("=")


def behind(text: str) -> str:
    """The key that a cursor stands behind, "" for none; BadCursor when it is none of ours."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadCursor("the page cannot be found", "`after` is not what an earlier answer gave as `next`") from error
    return raw.decode("utf-8", "surrogateescape")


def exact(key: str) -> str | None:
    """The bytes of a key that is not UTF-8 in URL-safe base64, None for all others."""
    return cursor(key) if shown(key) != key else None


ShownText = Annotated[str, BeforeValidator(shown)]
ExactKey = Annotated[
    str | None, Field(description="the key's bytes in URL-safe base64, only where they are not valid UTF-8")
]
