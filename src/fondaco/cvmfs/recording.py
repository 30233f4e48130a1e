"""What every new state of a repository ends with: tag database, reference log and signed manifest brought up to date.

Whether files changed, tags changed or an old tree came back, these three must agree with each other; so there is one
place that makes them.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from fondaco.cvmfs import manifest as manifests
from fondaco.cvmfs.commit import Commit, commit
from fondaco.cvmfs.content import ContentWriter
from fondaco.cvmfs.digest import Digest, Suffix
from fondaco.cvmfs.head import Head
from fondaco.cvmfs.history import History, Tag
from fondaco.cvmfs.manifest import Manifest
from fondaco.cvmfs.reflog import RefKind
from fondaco.cvmfs.revisions import state_tag
from fondaco.cvmfs.signing import Signer
from fondaco.cvmfs.stores.base import Store

EditTags = Callable[[History, Tag], None]
"""Changes the tags of a new state; the tag that is given stands for that state, its name does not count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRoot:
    """A root catalog that is stored already and becomes the next revision."""

    digest: Digest
    size: int  # bytes of the uncompressed catalog
    ttl: int  # seconds, as in the catalog


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorder:
    """Writes the states that follow a head."""

    store: Store
    signer: Signer
    objects: ContentWriter  # a codec of zlib streams: readers expect nothing else here

    def record(self, head: Head, *, root: NewRoot | None, now: int, edit: EditTags) -> Head:
        """Store, sign and make visible the state after *head*, at *now* (seconds since 1970).

        With *root* it is a new revision; without, the revision stays what the root catalog says, and only tags and
        signature change. RepositoryMoved, RepositoryBusy: see :func:`fondaco.cvmfs.commit.commit`.
        """
        manifest = self._next(head, root, now, edit)
        signed = manifests.sign(manifest, self.signer)
        commit(self.store, Commit(base=head.signed, reflog=head.reflog.serialize(), manifest=signed))
        return head.moved(signed, manifest)

    def _next(self, head: Head, root: NewRoot | None, now: int, edit: EditTags) -> Manifest:
        """Everything the new manifest names is stored and recorded; the last object written is the tag database."""
        old, history, reflog = head.manifest, head.history, head.reflog
        if root is not None:
            new = replace(
                old,
                root_catalog=root.digest,
                root_catalog_size=root.size,
                ttl=root.ttl,
                revision=old.revision + 1,
            )
            reflog.add(RefKind.CATALOG, root.digest, now)
        else:
            new = old
        edit(history, state_tag(new, now))
        history.previous_revision = old.history
        history_digest = self.objects.write_object(history.serialize(), Suffix.HISTORY)
        certificate = self.objects.write_object(self.signer.certificate, Suffix.CERTIFICATE)
        reflog.add(RefKind.HISTORY, history_digest, now)
        reflog.add(RefKind.CERTIFICATE, certificate, now)
        return replace(
            new,
            certificate=certificate,
            history=history_digest,
            published_at=now,
            reflog=Digest.of(reflog.serialize(), old.root_catalog.algorithm),
        )
