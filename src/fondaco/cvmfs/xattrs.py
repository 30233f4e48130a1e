"""Extended attributes as catalogs store them: one blob per row.

Layout: version byte 1, count, then per attribute key length, value length, key, value; no padding, keys sorted.
Source: cvmfs/xattr.cc. A blob that does not parse shows as "no attributes" in the stock client.
"""

from collections.abc import Mapping

from fondaco.cvmfs.errors import LimitExceeded, MalformedData

BLOB_VERSION = 1
MAX_ATTRIBUTES = 255  # the count is one byte
MAX_KEY_BYTES = 255
MAX_VALUE_BYTES = 255  # lengths are one byte


def pack(attributes: Mapping[bytes, bytes]) -> bytes | None:
    """The blob of *attributes*, None for none (a non-NULL blob counts as "has attributes" in the statistics)."""
    if not attributes:
        return None
    if len(attributes) > MAX_ATTRIBUTES:
        raise LimitExceeded("too many extended attributes", f"{len(attributes)} > {MAX_ATTRIBUTES}", "remove some")
    parts = [bytes((BLOB_VERSION, len(attributes)))]
    for key, value in sorted(attributes.items()):
        if not 1 <= len(key) <= MAX_KEY_BYTES or len(value) > MAX_VALUE_BYTES:
            raise LimitExceeded(
                f"extended attribute {key[:80]!r} does not fit",
                f"keys have 1 to {MAX_KEY_BYTES} bytes, values at most {MAX_VALUE_BYTES}",
                "shorten or remove it",
            )
        parts.append(bytes((len(key), len(value))) + key + value)
    return b"".join(parts)


def unpack(blob: bytes | None) -> dict[bytes, bytes]:
    """The attributes of a blob; MalformedData when it is not one."""
    if not blob:
        return {}
    if blob[0] != BLOB_VERSION or len(blob) < 2:
        raise MalformedData("an extended attribute blob is malformed", "wrong version or cut off", "run check")
    attributes: dict[bytes, bytes] = {}
    position = 2
    for _ in range(blob[1]):
        header = blob[position : position + 2]
        position += 2
        if len(header) < 2 or position + header[0] + header[1] > len(blob) or header[0] == 0:
            raise MalformedData("an extended attribute blob is malformed", "an attribute is cut off", "run check")
        key_end = position + header[0]
        attributes[blob[position:key_end]] = blob[key_end : key_end + header[1]]
        position = key_end + header[1]
    if position != len(blob):
        raise MalformedData("an extended attribute blob is malformed", "bytes follow its last attribute", "run check")
    return attributes
