"""What an object store tells about its buckets, in the shape of each of them, as one record.

An event is a hint that a key is worth a look and nothing more: what lies in the bucket decides. So a message is read
for bucket and key, and what else it says is optional. Message shapes:

- records of Amazon S3, MinIO (`minio:s3`) and Ceph RGW (`ceph:s3`): a list `Records`. Amazon and MinIO encode keys as
  in an HTML form (space as "+"); Ceph gives them raw, without `s3:` before the event's name, and leaves fields empty.
- Amazon's `s3:TestEvent`, sent when notifications are set up: no event.
- SeaweedFS: one change of an entry in its file tree, `/buckets/<bucket>/<key>`, with the old and the new entry.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from fondaco.software.errors import BadEvent

MAX_BODY_BYTES = 4 << 20
"""Longer messages are refused. SeaweedFS lists the chunks of old and new entry, 190 bytes for each 4 MiB of content."""

_SHOWN = 80  # characters of a foreign value in an error
_BUCKETS = "/buckets/"  # SeaweedFS: where buckets lie in its file tree
_INTERNAL = ".uploads"  # SeaweedFS: a folder of each bucket for the parts of uploads under way
_VERSION = re.compile(r"(?s)(.+)\.versions/v_[0-9a-f]{32}")  # SeaweedFS: where a versioned object's contents lie
_ENCODED_KEYS = frozenset(("aws:s3", "minio:s3"))  # values of eventSource
_RAW_KEYS = frozenset(("ceph:s3",))

# Only events that change what a bucket holds. MinIO can also report reads, and ours would cause the next look.
_REMOVED = ("ObjectRemoved:", "LifecycleExpiration:", "ObjectLifecycle:Expiration:")
_CHANGED = ("ObjectCreated:", "ObjectRestore:", "ObjectSynced:")


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketEvent:
    """One key that was reported; text with surrogates stands for bytes that are not UTF-8, as in listings."""

    bucket: str
    key: str
    removed: bool  # what was reported; by now the key may be there again
    etag: str | None = None  # without quotes
    size: int | None = None  # bytes; of a removed object what it had
    sequencer: str | None = None  # orders the events of one key; each store has its own form


def parse(body: bytes) -> tuple[BucketEvent, ...]:
    """The events in a message, none for one that only tests the way; BadEvent when it has no known shape."""
    if len(body) > MAX_BODY_BYTES:
        raise _bad(f"it has {len(body)} bytes, at most {MAX_BODY_BYTES} are read")
    try:
        # Ceph copies the bytes of a key, which need not be UTF-8.
        message = json.loads(body.decode("utf-8", "surrogateescape"))
    except ValueError as error:  # JSON's own error, and a number with too many digits
        raise _bad(f"it is not JSON: {error}") from error
    except RecursionError as error:
        raise _bad("its JSON is nested too deeply") from error
    if not isinstance(message, dict):
        raise _bad("it is no JSON object")
    return tuple(_events(message))


def _events(message: Mapping[str, Any]) -> Iterator[BucketEvent]:
    if message.get("Event") == "s3:TestEvent":
        return
    if isinstance(records := message.get("Records"), list):
        for number, record in enumerate(records, 1):
            yield from _of_record(record, f"record {number}")
    elif "event_type" in message:
        yield from _of_entry(message)
    else:
        raise _bad("it is neither a list of S3 records nor a change that SeaweedFS reports")


# -- S3 records: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html -------------


def _of_record(record: object, where: str) -> Iterator[BucketEvent]:
    source = _text(record, where, "eventSource")
    if source not in _ENCODED_KEYS | _RAW_KEYS:
        raise _bad(f"{where}: {source[:_SHOWN]!r} is no known eventSource")
    name = _text(record, where, "eventName").removeprefix("s3:")
    removed = name.startswith(_REMOVED)
    if not removed and not name.startswith(_CHANGED):
        return
    key = _text(record, where, "s3", "object", "key")
    if source in _ENCODED_KEYS:
        key = unquote_to_bytes(_bytes(key, where).replace(b"+", b" ")).decode("utf-8", "surrogateescape")
    of_object = _field(record, where, "s3", "object")
    yield BucketEvent(
        bucket=_text(record, where, "s3", "bucket", "name"),
        key=key,
        removed=removed,
        etag=_optional_text(of_object.get("eTag")),
        size=_optional_size(of_object.get("size")),
        sequencer=_optional_text(of_object.get("sequencer")),
    )


# -- SeaweedFS: weed/notification/webhook; which entries are there says what happened ----------------------------------


def _of_entry(message: Mapping[str, Any]) -> Iterator[BucketEvent]:
    """A change of an entry: without an old one it is new, without a new one removed, with both changed or renamed."""
    change = _field(message, "the change", "message")
    old, new = (_optional_entry(change, name) for name in ("old_entry", "new_entry"))
    path = _text(message, "the change", "key")  # the old one, where there is one
    if old is not None and new is not None:
        moved = f"{_text(change, 'the change', 'new_parent_path')}/{_text(new, 'the change', 'name')}"
        if moved == path:
            yield from _at(path, new, removed=False, was_object=_is_object(old))
        else:
            yield from _at(path, old, removed=True)
            yield from _at(moved, new, removed=False)
    elif new is not None:
        yield from _at(path, new, removed=False)
    elif old is not None:
        yield from _at(path, old, removed=True)
    else:
        raise _bad("the change has neither an old nor a new entry")


def _at(path: str, entry: Mapping[str, Any], *, removed: bool, was_object: bool = False) -> Iterator[BucketEvent]:
    """The event of an entry in a bucket; there is none for what is no object: a bucket, a part, a mere folder."""
    bucket, _, key = path.removeprefix(_BUCKETS).partition("/")
    if not path.startswith(_BUCKETS) or not bucket or not key or key.partition("/")[0] == _INTERNAL:
        return
    if not _is_object(entry) and not was_object:
        return
    if entry.get("is_directory") is True:
        key += "/"
    version = _VERSION.fullmatch(key)
    if version and "Seaweed-X-Amz-Version-Id" in _part(entry, "extended"):
        key, removed = version[1], False  # of one version: the object may have another one now
    yield BucketEvent(
        bucket=bucket, key=key, removed=removed, size=_optional_size(_part(entry, "attributes").get("file_size"))
    )


def _is_object(entry: Mapping[str, Any]) -> bool:
    """Whether S3 shows the entry: a folder alone is none, unlike the object `dir/`, which has a content type."""
    return entry.get("is_directory") is not True or bool(_part(entry, "attributes").get("mime"))


def _part(entry: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = entry.get(name)
    return found if isinstance(found, dict) else {}


def _optional_entry(change: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    entry = change.get(name)
    if entry is None or isinstance(entry, dict):
        return entry
    raise _bad(f"the change's {name} is no JSON object")


# -- values ------------------------------------------------------------------------------------------------------------


def _field(record: object, where: str, *names: str) -> Mapping[str, Any]:
    """The JSON object under *names*, one below the other."""
    if not isinstance(record, dict):
        raise _bad(f"{where} is no JSON object")
    if not names:
        return record
    return _field(record.get(names[0]), f"{where}: {names[0]}", *names[1:])


def _text(record: object, where: str, *names: str) -> str:
    """The text under *names*, not empty."""
    value = _field(record, where, *names[:-1]).get(names[-1])
    if not isinstance(value, str) or not value:
        raise _bad(f"{where} has no text {'.'.join(names)}")
    _bytes(value, where)
    return value


def _bytes(text: str, where: str) -> bytes:
    """The bytes that *text* stands for; JSON can write surrogates that stand for none."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise _bad(f"{where} has a text that is no Unicode: {text[:_SHOWN]!r}") from error


def _optional_text(value: object) -> str | None:
    return value.strip('"') or None if isinstance(value, str) else None


def _optional_size(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _bad(why: str) -> BadEvent:
    return BadEvent(
        "a message about the bucket cannot be used",
        why,
        "send the events of Amazon S3, MinIO, Ceph RGW or SeaweedFS; the next sweep finds what this one was about",
    )
