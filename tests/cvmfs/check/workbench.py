"""The reference repository, taken apart, changed in one place, put together and signed again with keys of our own."""

import shutil
import sqlite3
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fondaco.cvmfs import manifest as manifests
from fondaco.cvmfs import paths
from fondaco.cvmfs import whitelist as whitelists
from fondaco.cvmfs.check import Report, check
from fondaco.cvmfs.digest import Algorithm, Digest, Suffix, object_key
from fondaco.cvmfs.stores.base import MANIFEST, REFLOG, WHITELIST
from fondaco.cvmfs.stores.local import LocalStore
from fondaco.cvmfs.whitelist import Whitelist
from tests.cvmfs.conftest import GoldenRepository, KeyFolder

if TYPE_CHECKING:
    from fondaco.cvmfs.manifest import Manifest

MOUNTPOINTS = ("/nested/deep/inner", "/nested", "")  # children first

Edit = str | Callable[[bytes], bytes]  # SQL, or a change of the image


class Workbench:
    """Collect changes, then `publish()`; `check()` says what is found."""

    def __init__(self, golden: GoldenRepository, folder: Path, keys: KeyFolder) -> None:
        shutil.copytree(golden.root, folder)
        self.store = LocalStore(folder)
        self.folder = folder
        self.keys = keys
        self.now = golden.valid_at
        self.public_keys = [keys.signer.public_key]
        self.manifest: Manifest = manifests.parse_signed(self.store.get(MANIFEST)).manifest
        self.catalog_edits: dict[str, list[Edit]] = {mountpoint: [] for mountpoint in MOUNTPOINTS}
        self.history_edits: list[str] = []
        self.reflog_edits: list[str] = []
        self.manifest_edits: dict[str, Any] = {}
        self.images = self._catalogs()

    def edit(self, mountpoint: str, *edits: Edit) -> None:
        """Change a catalog; in SQL, k1('/a') and k2('/a') are the halves of a path's key."""
        self.catalog_edits[mountpoint] += edits

    def object_path(self, digest: Digest, suffix: Suffix = Suffix.FILE) -> Path:
        return self.folder / object_key(digest, suffix)

    def put(self, content: bytes, suffix: Suffix) -> Digest:
        stored = zlib.compress(content)
        digest = Digest.of(stored)
        self.store.put_object(object_key(digest, suffix), stored)
        return digest

    def publish(self) -> None:
        """Link catalogs, tags and reference log to the changed catalogs, apply the edits, and sign."""
        digests: dict[str, Digest] = {}
        for mountpoint in MOUNTPOINTS:
            links = [
                f"UPDATE nested_catalogs SET sha1 = '{digest}', size = {len(self.images[path])} WHERE path = '{path}'"
                for path, digest in digests.items()
            ]
            image = changed(self.images[mountpoint], [*links, *self.catalog_edits[mountpoint]])
            self.images[mountpoint] = image
            digests[mountpoint] = self.put(image, Suffix.CATALOG)
        root, size = digests[""], len(self.images[""])
        history = self.put(self._history(root, size), Suffix.HISTORY)
        certificate = self.put(self.keys.signer.certificate, Suffix.CERTIFICATE)
        reflog = self._reflog((root, 0), (certificate, 1), (history, 2))
        self.store.replace(REFLOG, reflog)
        self.manifest = replace(
            self.manifest,
            **{
                "root_catalog": root,
                "root_catalog_size": size,
                "history": history,
                "certificate": certificate,
                "reflog": Digest.of(reflog),
                **self.manifest_edits,
            },
        )
        self.sign()

    def sign(self, *, listed: bytes | None = None) -> None:
        """Write manifest and whitelist; *listed* is the certificate that the whitelist names."""
        self.store.replace(MANIFEST, manifests.sign(self.manifest, self.keys.signer))
        certificates = [listed or self.keys.signer.certificate]
        whitelist = Whitelist.create(self.keys.fqrn, certificates, now=self.now, algorithm=Algorithm.SHA1)
        self.store.replace(WHITELIST, whitelists.sign(whitelist, self.keys.signer))

    def check(self, **options: Any) -> Report:
        return check(self.store, self.public_keys, now=self.now, **options)

    def codes(self, **options: Any) -> set[str]:
        """The short names of what is found."""
        return {finding.code.value for finding in self.check(**options).findings}

    def _catalogs(self) -> dict[str, bytes]:
        images = {"": self._content(self.manifest.root_catalog, Suffix.CATALOG)}
        for mountpoint in reversed(MOUNTPOINTS):
            connection = opened(images[mountpoint])
            for path, text in connection.execute("SELECT path, sha1 FROM nested_catalogs").fetchall():
                images[path] = self._content(Digest.parse(text), Suffix.CATALOG)
            connection.close()
        assert set(images) == set(MOUNTPOINTS)
        return images

    def _content(self, digest: Digest, suffix: Suffix) -> bytes:
        return zlib.decompress(self.object_path(digest, suffix).read_bytes())

    def _history(self, root: Digest, size: int) -> bytes:
        assert self.manifest.history is not None
        follow = f"UPDATE tags SET hash = '{root}', size = {size} WHERE name IN ('trunk', 'v2.0')"
        image = self._content(self.manifest.history, Suffix.HISTORY)
        return changed(image, [follow, *self.history_edits])

    def _reflog(self, *added: tuple[Digest, int]) -> bytes:
        inserts = [f"INSERT OR REPLACE INTO refs VALUES ('{digest}', {kind}, 1)" for digest, kind in added]
        return changed(self.store.get(REFLOG), [*inserts, *self.reflog_edits])


def changed(image: bytes, edits: list[Edit] | list[str]) -> bytes:
    """A database after *edits*."""
    for edit in edits:
        if callable(edit):
            image = edit(image)
            continue
        connection = opened(image)
        for statement in edit.split(";"):
            connection.execute(statement)
        image = connection.serialize()
        connection.close()
    return image


def opened(image: bytes) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.deserialize(image)
    connection.create_function("k1", 1, lambda path: paths.path_key(path)[0])
    connection.create_function("k2", 1, lambda path: paths.path_key(path)[1])
    return connection
