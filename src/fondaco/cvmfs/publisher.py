"""Who publishes a repository: makes it, and opens transactions on it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from fondaco.cvmfs import manifest as manifests
from fondaco.cvmfs import whitelist as whitelists
from fondaco.cvmfs.catalog.tree import CatalogTree
from fondaco.cvmfs.codec import DEFAULT_CODEC, Isal, Zlib, codec_named
from fondaco.cvmfs.commit import Commit, commit, recover
from fondaco.cvmfs.content import ContentWriter
from fondaco.cvmfs.digest import Algorithm, Digest, Suffix
from fondaco.cvmfs.entry import NANO, directory
from fondaco.cvmfs.errors import AlreadyExists, KeyUnusable
from fondaco.cvmfs.fqrn import check_fqrn
from fondaco.cvmfs.gc.lease import refuse_during_sweep
from fondaco.cvmfs.head import Head
from fondaco.cvmfs.history import History, Tag, rotate_trunk
from fondaco.cvmfs.images import Images
from fondaco.cvmfs.manifest import Manifest
from fondaco.cvmfs.recording import Recorder
from fondaco.cvmfs.reflog import RefKind, Reflog
from fondaco.cvmfs.signing import Signer, WhitelistSigner
from fondaco.cvmfs.stores.base import MANIFEST, MASTER_REPLICA, WHITELIST, Store
from fondaco.cvmfs.transaction import Published, PublishOptions, Transaction
from fondaco.cvmfs.whitelist import Whitelist


@dataclass(frozen=True, slots=True, kw_only=True)
class Publisher:
    """One repository in one store, and the key that signs for it."""

    store: Store
    fqrn: str
    signer: Signer
    public_keys: Sequence[bytes]  # PEM; the master key that the whitelist must be signed with
    options: PublishOptions = field(default_factory=PublishOptions)
    images: Images = field(default_factory=Images)  # catalogs that the next transaction is likely to need again

    def create(
        self,
        master: WhitelistSigner,
        *,
        algorithm: Algorithm = Algorithm.SHA1,
        metainfo: Mapping[str, object] | None = None,
        garbage_collectable: bool = True,
        codec: str = DEFAULT_CODEC,
    ) -> Published:
        """Make the repository: revision 1, empty, signed, whitelisted. AlreadyExists when there is one in the store.

        *metainfo* is free-form; clients show it in the attribute ``user.repo_metainfo``. *codec* names the compression
        of its files, for its life (UnknownCodec).
        """
        check_fqrn(self.fqrn)
        codec_named(codec)
        with self.store.lock():
            if self.store.exists(MANIFEST) and not recover(self.store):
                raise AlreadyExists(
                    f"{self.store.url} holds a repository already", f"{MANIFEST} is there", "name another place"
                )
            now = int(self.options.clock())
            self._put_whitelist(master, now, algorithm)
            manifest, change = self._first_commit(now, algorithm, metainfo, garbage_collectable, codec)
            self.store.replace(MASTER_REPLICA, b"This file marks the repository as the one that replicas copy from.\n")
            commit(self.store, change)
        return Published(
            fqrn=self.fqrn,
            revision=manifest.revision,
            root=manifest.root_catalog,
            published_at=now,
            changed=0,
            catalogs=1,
            new_objects=0,
            new_bytes=0,
        )

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Open the repository for one change; what is not committed when the block ends is given up.

        RepositoryBusy while another publisher holds it; errors of the chain of trust when it is not what it should be.
        """
        with self.held() as head:
            transaction = Transaction(self.store, self.signer, head, self.options, self.images)
            try:
                yield transaction
            finally:
                transaction.close()

    @contextmanager
    def held(self) -> Iterator[Head]:
        """Hold the repository, a commit that was cut off being finished; its verified head. Errors as above."""
        with self.store.lock():
            recover(self.store)
            now = datetime.fromtimestamp(self.options.clock(), UTC)
            head = Head.load(self.store, self.fqrn, tuple(self.public_keys), now)
            refuse_during_sweep(self.store, now.timestamp())  # only now: see fondaco.cvmfs.gc.lease
            self._check_certificate()
            yield head

    def now(self, head: Head) -> int:
        """The time of the state that follows *head*, in seconds since 1970; never before it, clients refuse that."""
        return max(int(self.options.clock()), head.manifest.published_at)

    def recorder(self, head: Head) -> Recorder:
        """Writes the state that follows *head*, while it is held."""
        objects = ContentWriter(store=self.store, codec=Isal(), algorithm=head.manifest.root_catalog.algorithm)
        return Recorder(store=self.store, signer=self.signer, objects=objects)

    def _check_certificate(self) -> None:
        """KeyUnusable when clients would refuse what this publisher signs."""
        if not whitelists.parse_signed(self.store.get(WHITELIST)).whitelist.lists(self.signer.certificate):
            raise KeyUnusable(
                f"{self.fqrn} cannot be published to",
                "its whitelist does not list the certificate of this key",
                "sign it for a new certificate with `fondaco cvmfs resign --new-certificate`",
            )

    def _put_whitelist(self, master: WhitelistSigner, now: int, algorithm: Algorithm) -> None:
        created = datetime.fromtimestamp(now, UTC)
        listed = Whitelist.create(self.fqrn, [self.signer.certificate], now=created, algorithm=algorithm)
        self.store.replace(WHITELIST, whitelists.sign(listed, master))

    def _first_commit(
        self,
        now: int,
        algorithm: Algorithm,
        metainfo: Mapping[str, object] | None,
        garbage_collectable: bool,
        codec: str,
    ) -> tuple[Manifest, Commit]:
        objects = ContentWriter(store=self.store, codec=Zlib(), algorithm=algorithm)
        tree = CatalogTree.empty(directory("", mtime_ns=now * NANO))
        if codec != DEFAULT_CODEC:
            tree.codec = codec
        stored = tree.seal(
            lambda image: objects.write_object(image, Suffix.CATALOG), revision=1, now=now, ttl=self.options.ttl
        )
        assert stored is not None  # noqa: S101  # a new catalog is always stored
        history, reflog = History.new(self.fqrn), Reflog.new(self.fqrn)
        rotate_trunk(history, Tag(name="trunk", root=stored.root, revision=1, timestamp=now, size=stored.root_size))
        history_digest = objects.write_object(history.serialize(), Suffix.HISTORY)
        certificate = objects.write_object(self.signer.certificate, Suffix.CERTIFICATE)
        info = {"administrator": "", "email": "", "organisation": "", "description": "", **(metainfo or {})}
        metainfo_digest = objects.write_object(json.dumps(info, indent=1).encode(), Suffix.METAINFO)
        for kind, digest in (
            (RefKind.CATALOG, stored.root),
            (RefKind.CERTIFICATE, certificate),
            (RefKind.HISTORY, history_digest),
            (RefKind.METAINFO, metainfo_digest),
        ):
            reflog.add(kind, digest, now)
        image = reflog.serialize()
        manifest = Manifest(
            root_catalog=stored.root,
            root_catalog_size=stored.root_size,
            ttl=self.options.ttl,
            revision=1,
            fqrn=self.fqrn,
            certificate=certificate,
            history=history_digest,
            metainfo=metainfo_digest,
            reflog=Digest.of(image, algorithm),
            published_at=now,
            garbage_collectable=garbage_collectable,
        )
        return manifest, Commit(base=b"", reflog=image, manifest=manifests.sign(manifest, self.signer))
