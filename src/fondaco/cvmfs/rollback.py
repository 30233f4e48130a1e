"""Going back: an old tree published again as the newest revision, because clients never take a lower one."""

from dataclasses import dataclass, replace

from fondaco.cvmfs import paths
from fondaco.cvmfs.catalog.writable import WritableCatalog
from fondaco.cvmfs.digest import Digest, Suffix
from fondaco.cvmfs.errors import BadChange, NotInRepository
from fondaco.cvmfs.head import Head
from fondaco.cvmfs.history import TRUNK_PREVIOUS, History, Tag, automatic_tag, rotate_trunk
from fondaco.cvmfs.objects import fetch
from fondaco.cvmfs.publisher import Publisher
from fondaco.cvmfs.recording import NewRoot
from fondaco.cvmfs.reflog import RefKind
from fondaco.cvmfs.revisions import find_revision


@dataclass(frozen=True, slots=True, kw_only=True)
class RolledBack:
    """What a rollback made visible."""

    fqrn: str
    revision: int  # the new one
    root: Digest
    target: Tag  # whose tree it shows; without a name when it was found by its number or hash
    removed: tuple[Tag, ...]  # tags that went, newest first


def roll_back(publisher: Publisher, to: str | None = None, *, keep_tags: bool = False) -> RolledBack:
    """Publish the tree of an earlier revision as the next one.

    *to* is a tag, a revision's number or the hash of a root catalog; without it, what the last publish replaced.
    Only the root catalog is written anew, with its new number and its predecessor; everything below is shared.

    As with the reference tools, tags of newer revisions go (the trunk tags too, so that there is nothing to undo), and
    the tag that was named moves to the new revision. With *keep_tags* every tag stays as it is, ``trunk`` moves as in a
    publish, and a rollback without *to* undoes this one.

    NotInRepository for an unknown target, BadChange for the revision that is current.
    """
    with publisher.held() as head:
        target = _target(publisher, head, to)
        now = publisher.now(head)
        recorder = publisher.recorder(head)
        image = _renewed(publisher, head, target, now)
        digest = recorder.objects.write_object(image, Suffix.CATALOG)
        removed: list[Tag] = []

        def edit(history: History, here: Tag) -> None:
            if keep_tags:
                rotate_trunk(history, here)
            else:
                removed.extend(history.roll_back(target, here))
            if publisher.options.automatic_tags:
                history.put(automatic_tag(here))

        root = NewRoot(digest=digest, size=len(image), ttl=publisher.options.ttl)
        after = recorder.record(head, root=root, now=now, edit=edit)
        return RolledBack(
            fqrn=publisher.fqrn, revision=after.revision, root=digest, target=target, removed=tuple(removed)
        )


def _target(publisher: Publisher, head: Head, to: str | None) -> Tag:
    if to is None:
        target = head.history.find(TRUNK_PREVIOUS)
        if target is None:
            raise NotInRepository(
                f"{publisher.fqrn} cannot be rolled back", f"it has no tag {TRUNK_PREVIOUS}", "say to which revision"
            )
    else:
        target = find_revision(publisher.store, head.manifest, head.history.tags(), to)
    if target.root == head.manifest.root_catalog:
        raise BadChange(
            f"{publisher.fqrn} cannot be rolled back", f"revision {target.revision} is current", "name an earlier one"
        )
    if not head.reflog.contains(RefKind.CATALOG, target.root):
        raise NotInRepository(
            f"{publisher.fqrn} cannot be rolled back",
            f"{target.root} was never published as its root catalog, or was collected",
            "list the tags",
        )
    return target if target.name == to else replace(target, name="")  # only a tag that was named moves


def _renewed(publisher: Publisher, head: Head, target: Tag, now: int) -> bytes:
    """The target's root catalog as the revision that follows *head*."""
    image = fetch(publisher.store, target.root, Suffix.CATALOG)
    # Its predecessor is what is current now, not what it was made from.
    catalog = WritableCatalog.open(image, paths.ROOT, head.manifest.root_catalog)
    try:
        return catalog.seal(revision=head.revision + 1, now=now, ttl=publisher.options.ttl)
    finally:
        catalog.close()
