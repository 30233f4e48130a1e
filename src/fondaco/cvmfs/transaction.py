"""Publishing: a change to a repository, prepared beside it and made visible in one step.

Order on the store: file objects and chunks → catalogs, children first → tag database → certificate → reflog → manifest.
Until the manifest is replaced no reader sees anything; a change given up leaves unreferenced objects at most.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from fondaco.cvmfs import paths
from fondaco.cvmfs.catalog.balance import Balance
from fondaco.cvmfs.catalog.tree import CatalogTree, StoredTree
from fondaco.cvmfs.chunking import ChunkSizes
from fondaco.cvmfs.codec import DEFAULT_CODEC, Codec, Isal, Plain, codec_named
from fondaco.cvmfs.content import ContentWriter
from fondaco.cvmfs.digest import Digest, Suffix
from fondaco.cvmfs.entry import NANO, Content, Entry
from fondaco.cvmfs.head import Head
from fondaco.cvmfs.history import History, Tag, automatic_tag, rotate_trunk
from fondaco.cvmfs.images import Images
from fondaco.cvmfs.manifest import DEFAULT_TTL, Manifest
from fondaco.cvmfs.objects import fetch
from fondaco.cvmfs.paths import AUTO_MARKER, CATALOG_MARKER
from fondaco.cvmfs.recording import NewRoot, Recorder
from fondaco.cvmfs.signing import Signer
from fondaco.cvmfs.stores.base import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishOptions:
    """How a repository is written. Keep codec and chunk sizes for its life, or equal files no longer share objects."""

    codec: Codec | None = None  # of files; None: the one that the repository was made with
    sizes: ChunkSizes | None = field(default_factory=ChunkSizes)  # None: files are never cut
    external: bool = False  # files are only hashed, uncompressed: clients fetch them from another address
    balance: Balance = field(default_factory=Balance)
    ttl: int = DEFAULT_TTL  # seconds that clients wait before they look for a new revision
    automatic_tags: bool = False  # also tag every revision with its time, as the reference publisher does
    clock: Callable[[], float] = time.time  # seconds since 1970


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What a commit made visible."""

    fqrn: str
    revision: int
    root: Digest
    published_at: int  # seconds since 1970
    changed: int  # paths put or removed
    catalogs: int  # catalogs written
    new_objects: int  # objects written, files, chunks and catalogs together
    new_bytes: int  # their stored size


class Transaction:
    """A change under way. Content may be stored from several threads, everything else is for one."""

    def __init__(self, store: Store, signer: Signer, head: Head, options: PublishOptions, images: Images) -> None:
        self.head = head
        self._signer = signer
        self._options = options
        self._store = store
        self._images = images
        self._algorithm = head.manifest.root_catalog.algorithm
        self._tree = CatalogTree.load(head.manifest.root_catalog, self._fetch_catalog)
        self._chunk_pool = ThreadPoolExecutor(thread_name_prefix="chunk")
        self._own_codec = options.codec or codec_named(self._tree.codec or DEFAULT_CODEC)
        # Stores the content of files; shares its counts with what is published.
        self.content = ContentWriter(
            store=self._store,
            codec=Plain() if options.external else self._own_codec,
            algorithm=self._algorithm,
            sizes=options.sizes,
            pool=self._chunk_pool,
            external=options.external,
        )
        # Catalogs and the like are zlib streams whatever the files are. Their bytes are this publisher's own anyway, so
        # nothing is lost by the fast codec: a catalog of 10,000 rows takes 2 ms instead of 26, and 1 % more bytes.
        self._metadata = replace(self.content, codec=Isal(), external=False)
        self._changed = 0

    # -- looking -----------------------------------------------------------------------------------------------------

    def lookup(self, path: str) -> Entry | None:
        """The entry at *path* as changed so far."""
        return self._tree.lookup(path)

    def children(self, path: str) -> Iterator[Entry]:
        """What lies in the directory *path* as changed so far; chunks are left out."""
        return self._tree.children(path)

    def catalog_entries(self, path: str) -> int:
        """How many entries the catalog has that holds what is in the directory *path*."""
        return self._tree.catalog_of(path).own.entries

    @property
    def balance(self) -> Balance:
        """The sizes that catalogs keep to."""
        return self._options.balance

    # -- changing ----------------------------------------------------------------------------------------------------

    def store_content(self, blocks: Iterable[bytes]) -> Content:
        """Store a file's content; memory stays at a few chunks whatever its size. Thread-safe."""
        return self.content.write(blocks)

    def store_whole(self, data: bytes) -> Content:
        """Store a file's content that is in memory. Thread-safe."""
        return self.content.write_whole(data)

    def check_tag(self, name: str) -> None:
        """BadName or AlreadyExists for a tag that :meth:`commit` could not make, before any work is done for it."""
        self.head.history.check_free(name)

    def put(self, path: str, entry: Entry, *, over_directory: bool = True) -> bool:
        """Make *path* show *entry*, its content being stored already; False when it does so already.

        Missing parents are made, as old as the entry. A directory put over a directory keeps what is in it; a file put
        there takes its place unless *over_directory* is False. A file that changes leaves its hard-link group. BadPath,
        BadChange for what a repository cannot hold.
        """
        changed = self._tree.put(path, entry, parents_mtime_ns=entry.mtime_ns, over_directory=over_directory)
        return self._noted([path], changed)

    def put_links(self, places: Sequence[str], entry: Entry) -> bool:
        """Make *places*, paths in one directory, show *entry* as hard links of each other: clients give them one inode.

        Other files leave the group; one place alone becomes a file without links. False when all is so already.
        *entry*'s name does not matter. BadPath, BadChange.
        """
        return self._noted(places, self._tree.put_links(places, entry, parents_mtime_ns=entry.mtime_ns))

    def link(self, path: str, target: str, *, over_directory: bool = True) -> bool:
        """Make *path* a hard link of the file *target*; False when it is one. *over_directory* as in :meth:`put`.

        In another directory it becomes a file of its own that shares the content. NotInRepository, BadPath, BadChange.
        """
        return self._noted([path], self._tree.link(path, target, over_directory=over_directory))

    def remove(self, path: str) -> bool:
        """Take *path* and all below it away; False when it is not there."""
        changed = self._tree.remove(path)
        self._changed += changed
        return changed

    def _noted(self, places: Sequence[str], changed: bool) -> bool:
        """Count what *changed*; a marker put there is the user's own wish from now on, not to be merged away."""
        for place in places if changed else ():
            if paths.name_of(place) == CATALOG_MARKER:
                self._tree.remove(f"{paths.parent_of(place)}/{AUTO_MARKER}")
            self._changed += 1
        return changed

    # -- ending ------------------------------------------------------------------------------------------------------

    def commit(self, *, tag: str | None = None, description: str = "") -> Published | None:
        """Store, sign and make visible; None when nothing changed and no tag is asked for.

        BadName or AlreadyExists for an impossible or used *tag*. RepositoryMoved, RepositoryBusy: see
        :func:`fondaco.cvmfs.commit.commit`; nothing has changed then.
        """
        if tag is not None:
            self.check_tag(tag)
        now = max(int(self._options.clock()), self.head.manifest.published_at)
        self._tree.arrange(self._options.balance, self._store_empty, now * NANO)
        tree = self._tree.seal(self._store_catalog, revision=self.head.revision + 1, now=now, ttl=self._options.ttl)
        if tree is None and tag is None:
            return None
        root = NewRoot(digest=tree.root, size=tree.root_size, ttl=self._options.ttl) if tree else None

        def edit(history: History, here: Tag) -> None:
            if root is not None:
                rotate_trunk(history, here)
                if self._options.automatic_tags:
                    history.put(automatic_tag(here))
            if tag is not None:
                history.put(replace(here, name=tag, description=description))

        recorder = Recorder(store=self._store, signer=self._signer, objects=self._metadata)
        self.head = recorder.record(self.head, root=root, now=now, edit=edit)
        return self._published(self.head.manifest, tree)

    def close(self) -> None:
        """Give up what was not committed."""
        self._chunk_pool.shutdown(cancel_futures=True)

    def _published(self, manifest: Manifest, tree: StoredTree | None) -> Published:
        return Published(
            fqrn=manifest.fqrn,
            revision=manifest.revision,
            root=manifest.root_catalog,
            published_at=manifest.published_at,
            changed=self._changed,
            catalogs=tree.catalogs if tree else 0,
            new_objects=self.content.tally.objects,
            new_bytes=self.content.tally.bytes,
        )

    def _store_empty(self) -> Content:
        """The content of a marker file that is made here: stored even where other files are external."""
        return replace(self._metadata, codec=self._own_codec).write_whole(b"")

    def _store_catalog(self, image: bytes) -> Digest:
        digest = self._metadata.write_object(image, Suffix.CATALOG)
        self._images.keep(digest, image)
        return digest

    def _fetch_catalog(self, digest: Digest) -> bytes:
        image = self._images.get(digest)
        if image is None:
            image = fetch(self._store, digest, Suffix.CATALOG)
            self._images.keep(digest, image)
        return image
