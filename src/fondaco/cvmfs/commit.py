"""The last step of a publish: reflog and manifest change together, or not at all.

The manifest names the hash of ``.cvmfsreflog``, and the two are separate files. So the new bytes of both are first
written to a *journal*; from then on the commit is decided, and whoever opens the repository for publishing finishes it.
A journal can only be created while there is none, which also keeps two publishers on a store without locks apart.
"""

import hashlib
import json
from dataclasses import dataclass

from fondaco.cvmfs.errors import MalformedData, ObjectMissing, RepositoryBusy, RepositoryMoved
from fondaco.cvmfs.stores.base import JOURNAL, MANIFEST, REFLOG, Store

JOURNAL_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """Everything that the last step needs."""

    base: bytes  # the signed manifest that this commit replaces; b"" for a new repository
    reflog: bytes  # new content of .cvmfsreflog
    manifest: bytes  # new content of .cvmfspublished, signed

    def pack(self) -> bytes:
        """The journal's bytes."""
        head = {
            "version": JOURNAL_VERSION,
            "base": _hash(self.base),
            "reflog": len(self.reflog),
            "manifest": len(self.manifest),
        }
        return json.dumps(head).encode() + b"\n" + self.reflog + self.manifest


def commit(store: Store, change: Commit) -> None:
    """Make *change* the repository's state; every object it needs is stored already.

    RepositoryMoved when somebody else published since ``change.base`` was read, RepositoryBusy while somebody is at
    this very step.
    """
    store.sync()
    journal = change.pack()
    try:
        store.replace(JOURNAL, journal, previous=b"")
    except RepositoryMoved as error:
        raise RepositoryBusy(
            "the repository is being published to", "another commit is under way", "run again in a moment"
        ) from error
    if _current(store) != change.base:
        store.delete(JOURNAL)
        raise RepositoryMoved("the repository has a newer revision", "somebody published meanwhile", "run again")
    _finish(store, change)


def recover(store: Store) -> bool:
    """Finish a commit that was cut off; True when there was one."""
    try:
        journal = store.get(JOURNAL)
    except ObjectMissing:
        return False
    base, change = _unpack(journal)
    current = _current(store)
    if _hash(current) == base:
        _finish(store, Commit(base=current, reflog=change.reflog, manifest=change.manifest))
        return True
    store.delete(JOURNAL)  # finished but for this, or overtaken
    return current == change.manifest


def _finish(store: Store, change: Commit) -> None:
    store.replace(REFLOG, change.reflog)
    try:
        store.replace(MANIFEST, change.manifest, previous=change.base)
    except RepositoryMoved:
        if _current(store) != change.manifest:  # else another publisher has finished this very commit
            raise
    store.delete(JOURNAL)


def _current(store: Store) -> bytes:
    try:
        return store.get(MANIFEST)
    except ObjectMissing:
        return b""


def _unpack(journal: bytes) -> tuple[str, Commit]:
    try:
        line, rest = journal.split(b"\n", 1)
        head = json.loads(line)
        base, split, end = str(head["base"]), int(head["reflog"]), int(head["reflog"]) + int(head["manifest"])
        known = head["version"] == JOURNAL_VERSION
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise _foreign(str(error)) from error
    if not known or not 0 <= split <= end == len(rest):
        raise _foreign("its version or length is not what it says")
    return base, Commit(base=b"", reflog=rest[:split], manifest=rest[split:])


def _foreign(why: str) -> MalformedData:
    return MalformedData(f"the commit journal {JOURNAL} cannot be read", why, "look at it and remove it by hand")


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
