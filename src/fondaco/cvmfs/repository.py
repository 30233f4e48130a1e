"""Reading a repository, every byte of it verified from the public key down.

>>> repository = Repository.open("https://example.org/cvmfs/one.example.org", public_keys=[pem])
>>> snapshot = repository.at("v1.0")
>>> [entry.name for entry in snapshot.list("/bin")]
>>> snapshot.open("/bin/hello").read()

The public key vouches for the whitelist, that for the certificate, that for the manifest (:mod:`fondaco.cvmfs.trust`).
The manifest names root catalog and tag database by their hashes, catalogs name nested catalogs and files by theirs.
"""

import io
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Self

from fondaco.cvmfs import manifest as manifests
from fondaco.cvmfs import paths, trust
from fondaco.cvmfs.catalog.opened import MAX_OPEN, CatalogCache
from fondaco.cvmfs.digest import Digest, Suffix
from fondaco.cvmfs.entry import Entry
from fondaco.cvmfs.errors import NotInRepository, NotThatKind
from fondaco.cvmfs.history import History, Tag
from fondaco.cvmfs.manifest import Manifest
from fondaco.cvmfs.objects import fetch
from fondaco.cvmfs.reading import open_content
from fondaco.cvmfs.revisions import current_revision, find_revision
from fondaco.cvmfs.stores import open_readable
from fondaco.cvmfs.stores.base import MANIFEST, WHITELIST, ReadableStore
from fondaco.cvmfs.walking import CatalogChain

SHOWN_TAGS = 10  # in an error message, newest first


class Repository:
    """One published state of a repository; open it again to see a later one. Safe to use from several threads."""

    def __init__(
        self,
        store: ReadableStore,
        manifest: Manifest,
        *,
        external: ReadableStore | None = None,
        max_catalogs: int = MAX_OPEN,
    ) -> None:
        """A repository whose manifest is verified already."""
        self.store = store
        self.manifest = manifest
        self.external = external
        self.catalogs = CatalogCache(store, limit=max_catalogs)

    @classmethod
    def open(
        cls,
        source: str | ReadableStore,
        *,
        public_keys: Sequence[bytes],
        fqrn: str | None = None,
        now: datetime | None = None,
        external_url: str | None = None,
        max_catalogs: int = MAX_OPEN,
    ) -> Self:
        """Read and verify what is published at *source*, an address or a store.

        *public_keys* are PEMs of master keys, one of which must fit. Without *fqrn* any repository that these keys
        vouch for is taken. *now* is an aware time, this moment if left out. *external_url* is where external files are.
        """
        store = open_readable(source) if isinstance(source, str) else source
        signed = store.get(MANIFEST, limit=manifests.MAX_MANIFEST_BYTES)
        manifest = trust.verify_chain(
            manifest=signed,
            whitelist=store.get(WHITELIST),
            certificate=store.get(trust.certificate_key(signed)),
            public_keys=public_keys,
            fqrn=fqrn or manifests.parse_signed(signed).manifest.fqrn,
            now=now or datetime.now(UTC),
        )
        external = open_readable(external_url) if external_url else None
        return cls(store, manifest, external=external, max_catalogs=max_catalogs)

    @property
    def fqrn(self) -> str:
        return self.manifest.fqrn

    @property
    def revision(self) -> int:
        return self.manifest.revision

    @property
    def head(self) -> "Snapshot":
        """The current revision."""
        return Snapshot(self, self.manifest.root_catalog, self.manifest.revision)

    def tags(self) -> tuple[Tag, ...]:
        """The tags, newest first."""
        if self.manifest.history is None:
            return ()
        history = History.load(fetch(self.store, self.manifest.history, Suffix.HISTORY))
        try:
            return tuple(history.tags())
        finally:
            history.close()

    def at(self, what: str | int | Digest | None = None) -> "Snapshot":
        """The state that a tag, a revision's number or a root catalog's hash names; without any, the current one.

        NotInRepository for an unknown tag, or a revision that no tag keeps. A hash is taken as it is given.
        """
        if what is None or what == self.revision:
            return self.head
        if isinstance(what, Digest):
            return Snapshot(self, what, None)
        tags = self.tags()
        for tag in tags:
            if what in (tag.name, tag.revision):
                return Snapshot(self, tag.root, tag.revision)
        named = f"revision {what} that a tag keeps" if isinstance(what, int) else f"tag {what!r}"
        known = ", ".join(tag.name for tag in tags[:SHOWN_TAGS]) + (", …" if len(tags) > SHOWN_TAGS else "")
        raise NotInRepository(f"{self.fqrn} has no {named}", f"its tags are {known or 'none'}", "Name one of them.")

    def revision_of(self, named: str | None = None) -> Tag:
        """The revision that a tag, a number or a root catalog's hash stands for; without any, the current one.

        Also revisions without a tag are found, as long as they are not collected: see
        :func:`fondaco.cvmfs.revisions.find_revision`.
        """
        tags = self.tags()
        if named is None:
            return current_revision(self.manifest, tags)
        return find_revision(self.store, self.manifest, tags, named)


class Snapshot:
    """The tree of one revision. Paths are ``""`` or ``"/"`` for the root, ``"/a/b"`` below; links are not followed."""

    def __init__(self, repository: Repository, root: Digest, revision: int | None) -> None:
        self.root = root  # hash of the root catalog
        self.revision = revision  # None when only its hash is known
        self._repository = repository

    def lookup(self, path: str) -> Entry:
        """What lies at *path*, with its chunks; NotInRepository when nothing does."""
        return self._lookup(_normal(path), path)

    def list(self, path: str) -> tuple[Entry, ...]:
        """What lies in the directory *path*, by name, without chunks; hidden entries :meth:`lookup` only finds."""
        folder = _normal(path)
        if not self._lookup(folder, path).is_dir:
            raise NotThatKind(f"{path!r} cannot be listed", "it is no directory", "look at its parent")
        return self._children(folder)

    def walk(self, top: str = paths.ROOT) -> Iterator[tuple[str, Entry]]:
        """*top* and everything listed below it as (path, entry), directories before their content, by name."""
        start = _normal(top)
        waiting = [(start, self._lookup(start, top))]
        while waiting:
            path, entry = waiting.pop()
            yield path, entry
            if entry.is_dir:
                waiting += [(f"{path}/{child.name}", child) for child in reversed(self._children(path))]

    def chain(self) -> CatalogChain:
        """Catalogs of its own, for walks over many entries (:mod:`fondaco.cvmfs.walking`); to be used with ``with``."""
        return CatalogChain(self._repository.store, self.root)

    def readlink(self, path: str) -> str:
        """The target of a symbolic link as it was published; the stock client expands ``$(VAR)`` in it."""
        entry = self.lookup(path)
        if not entry.is_symlink:
            raise NotThatKind(f"{path!r} has no target", "it is no symbolic link", "read it as what it is")
        return entry.symlink

    def open(self, path: str) -> io.BufferedReader:
        """The content of a regular file as a seekable stream; only what is read is fetched, chunk by chunk.

        Errors of the store, VerificationFailed and MalformedData come from reading.
        """
        place = _normal(path)
        entry = self._lookup(place, path)
        if not entry.is_regular:
            kind = "a directory" if entry.is_dir else "no regular file"
            raise NotThatKind(f"{path!r} cannot be read", f"it is {kind}", "name a file")
        return open_content(place, entry, self._repository.store, self._repository.external)

    def read(self, path: str, offset: int = 0, size: int = -1) -> bytes:
        """*size* bytes (all, if negative) of a regular file from *offset* on; fewer at its end."""
        with self.open(path) as content:
            content.seek(offset)
            return content.read(size)

    def _lookup(self, path: str, asked: str) -> Entry:
        with self._repository.catalogs.holding(self.root, path, inside=False) as catalog:
            entry = catalog.lookup(path)
        if entry is None:
            raise NotInRepository(f"there is no {asked!r} in {self._repository.fqrn}", "", "list its parent directory")
        return entry

    def _children(self, path: str) -> tuple[Entry, ...]:
        with self._repository.catalogs.holding(self.root, path, inside=True) as catalog:
            listed = [entry for entry in catalog.children(path) if not entry.is_hidden]
        return tuple(sorted(listed, key=lambda entry: entry.name))


def _normal(path: str) -> str:
    """*path* in the form that catalogs use; BadPath for what cannot be one."""
    return paths.check_path(path.rstrip("/"))
