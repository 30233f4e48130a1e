"""Finding the revision that a person names: by a tag, by its number, or by the hash of its root catalog."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from fondaco.cvmfs import paths
from fondaco.cvmfs.catalog.database import CatalogDatabase
from fondaco.cvmfs.digest import NULL_DIGEST_TEXT, Digest, Suffix
from fondaco.cvmfs.errors import MalformedData, NotInRepository, ObjectMissing
from fondaco.cvmfs.history import TRUNK, Tag
from fondaco.cvmfs.manifest import Manifest
from fondaco.cvmfs.objects import fetch
from fondaco.cvmfs.stores.base import ReadableStore

_NUMBER = re.compile(r"[0-9]{1,19}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class RootCatalog:
    """What a root catalog says of itself."""

    digest: Digest
    size: int  # bytes, uncompressed
    revision: int
    modified_at: int  # seconds since 1970
    previous: Digest | None  # root catalog of the revision before

    def tag(self) -> Tag:
        """A tag, still to be named, for this revision."""
        return Tag(name="", root=self.digest, revision=self.revision, timestamp=self.modified_at, size=self.size)


def find_revision(store: ReadableStore, manifest: Manifest, tags: Sequence[Tag], named: str) -> Tag:
    """The revision that *named* stands for, as its tag, or one without a name.

    A tag goes before a number, a number before a hash. A number that no tag has is looked for among the ancestors of
    the next newer tag, one root catalog after the other. NotInRepository when there is none or it was collected.
    """
    for tag in tags:
        if tag.name == named:
            return tag
    here = current_revision(manifest, tags)
    if _NUMBER.fullmatch(named):
        return _by_number(store, [here, *tags], int(named))
    try:
        digest = Digest.parse(named)
    except MalformedData:
        hint = "list the tags; or name a revision's number, or the hash of its root catalog"
        raise NotInRepository(f"{manifest.fqrn} has no tag {named!r}", "", hint) from None
    for tag in (here, *tags):
        if tag.root == digest:
            return tag
    return read_root(store, digest).tag()


def current_revision(manifest: Manifest, tags: Sequence[Tag]) -> Tag:
    """The revision that *manifest* names, as a tag without a name."""
    for tag in tags:
        if tag.name == TRUNK and tag.root == manifest.root_catalog:
            return replace(tag, name="", description="")
    return state_tag(manifest, manifest.published_at)


def state_tag(manifest: Manifest, timestamp: int) -> Tag:
    """A tag, still to be named, for the revision of *manifest*."""
    return Tag(
        name="",
        root=manifest.root_catalog,
        revision=manifest.revision,
        timestamp=timestamp,
        size=manifest.root_catalog_size,
    )


def read_root(store: ReadableStore, digest: Digest) -> RootCatalog:
    """What the root catalog *digest* says of itself; NotInRepository when it is not there (any more)."""
    try:
        image = fetch(store, digest, Suffix.CATALOG)
    except ObjectMissing as error:
        raise NotInRepository(
            f"the repository has no root catalog {digest}", "it was never there or was collected", "list the tags"
        ) from error
    catalog = CatalogDatabase.load(image, expected_mountpoint=paths.ROOT)
    try:
        properties = catalog.properties()
    finally:
        catalog.close()
    try:
        previous = properties.get("previous_revision", NULL_DIGEST_TEXT)
        return RootCatalog(
            digest=digest,
            size=len(image),
            revision=int(properties.get("revision", "0")),
            modified_at=int(properties.get("last_modified", "0")),
            previous=None if previous.startswith(NULL_DIGEST_TEXT) else Digest.parse(previous),
        )
    except ValueError as error:
        raise MalformedData("a catalog cannot be read", f"its properties: {error}", "run check") from error


def _by_number(store: ReadableStore, known: list[Tag], number: int) -> Tag:
    newer = [tag for tag in known if tag.revision >= number]
    missing = NotInRepository(f"there is no revision {number}", "", "list the tags and name one")
    if not newer:
        raise missing
    nearest = min(newer, key=lambda tag: tag.revision)
    if nearest.revision == number:
        return nearest
    root = read_root(store, nearest.root)
    while root.revision > number and root.previous is not None:
        try:
            root = read_root(store, root.previous)
        except NotInRepository as error:
            raise NotInRepository(
                f"there is no revision {number} any more", f"the trail ends at {root.revision}", "name a tag"
            ) from error
    if root.revision != number:
        raise missing
    return root.tag()
