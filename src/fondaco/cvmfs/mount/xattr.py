"""Extended attributes of the mounted tree: those stored in the catalogs, and the magic ones above them."""

import os
import zlib

import trio

from fondaco.cvmfs import paths, xattrs
from fondaco.cvmfs.catalog.counters import Counters
from fondaco.cvmfs.codec import REFERENCE_LEVEL, Compression
from fondaco.cvmfs.digest import Digest, StreamHasher, Suffix
from fondaco.cvmfs.entry import Entry
from fondaco.cvmfs.errors import CvmfsError, MalformedData
from fondaco.cvmfs.mount import magic
from fondaco.cvmfs.mount.content import COPY_BYTES, cache_key
from fondaco.cvmfs.mount.magic import Facts, Subject, Visibility
from fondaco.cvmfs.mount.nodes import Node
from fondaco.cvmfs.mount.tree import Tree
from fondaco.cvmfs.mount.volume import Volume
from fondaco.cvmfs.objects import fetch

MAX_METAINFO_BYTES = 65_536  # kMaxMetainfoLength in cvmfs/magic_xattr.cc


class Xattrs:
    """Answers for one volume. Used by the thread that serves the kernel."""

    def __init__(
        self, volume: Volume, *, visibility: Visibility, version: str, public_keys: tuple[bytes, ...], external: str
    ) -> None:
        self._volume = volume
        self._visibility = visibility
        self._version = version
        self._public_keys = public_keys
        self._external = external

    def names(self, entry: Entry) -> list[bytes]:
        """The names listed on *entry*: magic ones first, as in the stock client."""
        listed = magic.names(entry, self._visibility)
        return listed + [name for name in _stored(entry) if name not in listed]

    async def get(self, node: Node, name: bytes) -> bytes | None:
        """The value of an attribute, None where there is none."""
        asked = magic.split(name)
        if asked is None or not magic.is_magic(asked[0]):
            return _stored(node.entry).get(name)
        found = await self._volume.asking(lambda: node.tree.lookup(node.path))
        if found is None:
            return None
        entry = found[0]
        base, mark, page = asked
        tree = node.tree
        subject = Subject(
            path=node.path,
            entry=entry,
            facts=self._facts(),
            counters=lambda whole: _counters(tree, paths.ROOT if whole else node.path, inside=entry.is_dir),
        )
        if base == b"user.lhash":
            subject.local = await trio.to_thread.run_sync(self._local_hash, entry)
        elif base == b"user.repo_metainfo":
            subject.metainfo = await trio.to_thread.run_sync(self._metainfo, abandon_on_cancel=True)
        return await self._volume.asking(lambda: magic.value(base, mark, page, subject))

    def _facts(self) -> Facts:
        volume = self._volume
        minutes = max(0, int((volume.next_look - trio.current_time()) // 60))
        return Facts(
            fqrn=volume.manifest.fqrn,
            revision=volume.shown,
            root=volume.tree.root,
            host=volume.store.url,
            version=self._version,
            tag=volume.tag or "",
            external=self._external,
            public_keys=self._public_keys,
            expires="never (fixed root catalog)" if volume.tag else str(minutes),
            catalogs=len(volume.tree.catalogs),
            usage=volume.usage,
        )

    def _local_hash(self, entry: Entry) -> str:
        """The hash that the cached content has when it is packed again as the reference publisher packs."""
        digest = entry.object_digest()
        if digest is None:
            return ""
        descriptor = self._volume.cache.open(cache_key(digest, Suffix.FILE, entry.compression), entry.size)
        if descriptor is None:
            return "Not in cache"
        hasher = StreamHasher(digest.algorithm)
        packer = zlib.compressobj(REFERENCE_LEVEL) if entry.compression is Compression.ZLIB else None
        with os.fdopen(descriptor, "rb") as file:
            for _ in hasher.pass_through(
                packer.compress(block) if packer else block for block in iter(lambda: file.read(COPY_BYTES), b"")
            ):
                pass
        for _ in hasher.pass_through([packer.flush()] if packer else []):
            pass
        return str(hasher.digest())

    def _metainfo(self) -> str:
        digest: Digest | None = self._volume.manifest.metainfo
        if digest is None:
            return "metainfo not available"
        try:
            return paths.decode(fetch(self._volume.store, digest, Suffix.METAINFO, limit=MAX_METAINFO_BYTES))
        except CvmfsError:
            return "Failed to open metadata file"


def _stored(entry: Entry) -> dict[bytes, bytes]:
    """The attributes of a row; none where they cannot be read, as in the stock client."""
    try:
        return xattrs.unpack(entry.xattrs)
    except MalformedData:
        return {}


def _counters(tree: Tree, path: str, *, inside: bool) -> tuple[Digest, str, Counters]:
    """The catalog of *path*: its hash, its mountpoint, and what is in it and below it."""
    place = tree.place(path, inside=inside)
    return place.reference.digest, place.reference.mountpoint, Counters.sum(place.catalog.database.counters())
