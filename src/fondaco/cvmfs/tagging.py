"""Giving names to revisions and taking them away, any number in one commit."""

from collections.abc import Sequence
from dataclasses import replace

from fondaco.cvmfs.errors import BadChange, NotInRepository
from fondaco.cvmfs.head import Head
from fondaco.cvmfs.history import History, Tag, check_tag_name
from fondaco.cvmfs.publisher import Publisher
from fondaco.cvmfs.recording import EditTags
from fondaco.cvmfs.reflog import RefKind
from fondaco.cvmfs.revisions import current_revision, find_revision
from fondaco.cvmfs.thinning import Keep, superfluous

SHOWN_NAMES = 5  # of unknown tags, in an error message


def add_tags(
    publisher: Publisher, names: Sequence[str], *, at: str | None = None, description: str = ""
) -> tuple[Tag, ...]:
    """Name a revision: the current one, or the one that *at* (tag, number, root catalog's hash) stands for.

    BadName or AlreadyExists for an impossible or used name, NotInRepository for an unknown revision; then no tag at all
    is made.
    """
    with publisher.held() as head:
        for name in names:
            head.history.check_free(name)
        tags = head.history.tags()
        if at is None:
            target = current_revision(head.manifest, tags)
        else:
            target = find_revision(publisher.store, head.manifest, tags, at)
        if not head.reflog.contains(RefKind.CATALOG, target.root):
            raise NotInRepository(
                f"{target.root} cannot be tagged", "it was never published here as a root catalog", "list the tags"
            )
        added = tuple(replace(target, name=name, description=description) for name in dict.fromkeys(names))

        def edit(history: History, _: Tag) -> None:
            for tag in added:
                history.put(tag)

        _record(publisher, head, edit)
        return added


def remove_tags(publisher: Publisher, names: Sequence[str]) -> tuple[Tag, ...]:
    """Take names away; their revisions stay until garbage is collected.

    BadName for the trunk tags, NotInRepository when one does not exist; then none is removed.
    """
    with publisher.held() as head:
        found = {name: head.history.find(check_tag_name(name)) for name in names}
        unknown = [name for name, tag in found.items() if tag is None]
        if unknown:
            shown = ", ".join(map(repr, unknown[:SHOWN_NAMES])) + (", …" if len(unknown) > SHOWN_NAMES else "")
            raise NotInRepository(f"{publisher.fqrn} has no tag {shown}", "no tag was removed", "list the tags")
        removed = tuple(tag for tag in found.values() if tag is not None)
        _remove(publisher, head, removed)
        return removed


def thin_tags(
    publisher: Publisher, keep: Keep, *, named_too: bool = False, dry_run: bool = False
) -> tuple[tuple[Tag, ...], int]:
    """Remove the tags that *keep* has no place for: (what went or would go, how many tags stay).

    Automatic tags only, with *named_too* all but the trunk tags. BadChange for rules that keep nothing.
    """
    if keep.nothing:
        raise BadChange("tags cannot be thinned", "the rules keep none", "say how many to keep")
    with publisher.held() as head:
        tags = head.history.tags()
        gone = tuple(superfluous(tags, keep, named_too=named_too))
        if not dry_run:
            _remove(publisher, head, gone)
        return gone, len(tags) - len(gone)


def _remove(publisher: Publisher, head: Head, tags: Sequence[Tag]) -> None:
    def edit(history: History, _: Tag) -> None:
        for tag in tags:
            history.remove(tag.name)
        history.compact()

    if tags:
        _record(publisher, head, edit)


def _record(publisher: Publisher, head: Head, edit: EditTags) -> None:
    publisher.recorder(head).record(head, root=None, now=publisher.now(head), edit=edit)
