"""The catalogs of a repository as one tree of paths that can be changed and stored.

Only what a change touches is loaded and rewritten. Rules kept here, each of which the reference checker or a client
insists on: link counts of directories and of hard-link groups, a mountpoint's row equal in both its catalogs, nested
catalogs exactly where a marker file is, statistics of every catalog on the way up.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from fondaco.cvmfs import paths
from fondaco.cvmfs.catalog import nesting
from fondaco.cvmfs.catalog.balance import Balance
from fondaco.cvmfs.catalog.database import NestedReference, malformed
from fondaco.cvmfs.catalog.writable import WritableCatalog
from fondaco.cvmfs.digest import Digest
from fondaco.cvmfs.entry import DIR, Content, Entry, directory
from fondaco.cvmfs.errors import BadChange, NotInRepository
from fondaco.cvmfs.paths import AUTO_MARKER, CATALOG_MARKER

CODEC_PROPERTY = "fondaco_codec"  # of the root catalog; other tools carry properties along that they do not know

Fetch = Callable[[Digest], bytes]  # the uncompressed, verified bytes of a catalog
StoreCatalog = Callable[[bytes], Digest]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTree:
    """What sealing a changed tree gave."""

    root: Digest
    root_size: int  # bytes of the uncompressed root catalog
    catalogs: int  # how many catalogs were written


class CatalogTree:
    """The tree under change. For one thread; thrown away when a change is given up."""

    def __init__(self, root: WritableCatalog, fetch: Fetch) -> None:
        self.root = root
        self._fetch = fetch
        self._links: dict[str, int] = {}  # directory → change of its number of subdirectories, applied when sealing
        self._fresh: dict[
            str, set[str]
        ] = {}  # directories made by this change → names put there: the only ones to look up
        self._directories: set[str] = {paths.ROOT}  # paths known to be directories
        self._markers: set[str] = set()  # directories whose catalog marker came or went
        self._home: dict[str, WritableCatalog] = {}  # directory → catalog of its children

    @classmethod
    def empty(cls, root: Entry) -> "CatalogTree":
        """The tree of a repository that has no files yet."""
        return cls(WritableCatalog.new(paths.ROOT, root), _no_fetch)

    @classmethod
    def load(cls, digest: Digest, fetch: Fetch) -> "CatalogTree":
        """The tree below a stored root catalog."""
        return cls(WritableCatalog.open(fetch(digest), paths.ROOT, digest), fetch)

    @property
    def codec(self) -> str | None:
        """The name of the codec that the repository was made with, None when nothing was chosen."""
        return self.root.properties().get(CODEC_PROPERTY)

    @codec.setter
    def codec(self, name: str) -> None:
        self.root.set_property(CODEC_PROPERTY, name)

    # -- reading -----------------------------------------------------------------------------------------------------

    def lookup(self, path: str) -> Entry | None:
        """The entry at *path* as changed so far (link counts are brought up to date on sealing)."""
        if path == paths.ROOT:
            return self.root.lookup(path)
        parent = paths.parent_of(path)
        return self.catalog_of(parent).lookup(path)

    def children(self, path: str, *, chunks: bool = False) -> Iterator[Entry]:
        """What lies in a directory."""
        return self.catalog_of(path).children(path, chunks=chunks)

    def catalog_of(self, path: str) -> WritableCatalog:
        """The catalog that holds the content of the directory *path* (or would)."""
        if path in self._home:
            return self._home[path]
        home = self.root
        for level in [*paths.ancestors(path), path]:
            if level in self._home:
                home = self._home[level]
            elif level and (level in home.references or level in home.opened):
                home = self.open_nested(home, level)
        self._home[path] = home
        return home

    def open_nested(self, parent: WritableCatalog, mountpoint: str) -> WritableCatalog:
        """A nested catalog of *parent*, loaded when it is needed first."""
        child = parent.opened.get(mountpoint)
        if child is None:
            if mountpoint not in parent.references:
                raise malformed(f"{mountpoint} is a mountpoint, but no catalog is registered for it")
            digest = parent.references[mountpoint].digest
            child = WritableCatalog.open(self._fetch(digest), mountpoint, digest)
            child.parent = parent
            parent.opened[mountpoint] = child
        return child

    # -- changing ----------------------------------------------------------------------------------------------------

    def put(self, path: str, entry: Entry, *, parents_mtime_ns: int = 0, over_directory: bool = True) -> bool:
        """Make *path* be *entry*; False when it is so already. A directory put over a directory keeps its content.

        Anything else replaces a directory and all below it, unless *over_directory* is False: then it is a BadChange.
        A file that changes leaves its hard-link group, as one that an editor replaces; one that does not stays in it.
        """
        paths.check_path(path)
        if entry.name != paths.name_of(path):
            raise BadChange(
                f"{path!r} cannot be published", f"its entry is named {entry.name!r}", "name it as its path"
            )
        _refuse_odd_marker(path, entry)
        if path == paths.ROOT:
            return self._put_root(entry)
        parent = paths.parent_of(path)
        self._need_directory(parent, parents_mtime_ns)
        catalog = self.catalog_of(parent)
        old = self._row(catalog, path)
        if old is not None and old.is_dir and entry.is_dir:
            return self._put_over_directory(path, old, entry)
        if old is not None and old.same_as(entry):
            return False
        if not over_directory:
            _refuse_directory(path, old)
        self._set_row(catalog, path, old, entry if entry.is_dir else entry.alone())
        return True

    def put_links(self, places: Sequence[str], entry: Entry, *, parents_mtime_ns: int = 0) -> bool:
        """Make *places*, paths in one directory, show *entry* as hard links of each other and of nothing else.

        One place alone becomes a file without links. False when all is so already. *entry*'s name does not matter.
        """
        members = {place: replace(entry.alone(), name=paths.name_of(place)) for place in places}
        parents = {paths.parent_of(paths.check_path(place)) for place in members}
        if entry.is_dir or len(parents) != 1 or paths.ROOT in members:
            raise BadChange(
                f"{', '.join(map(repr, members))[:200]} cannot be hard links of each other",
                "links are files of one directory",
                "publish files in other directories as files of their own",
            )
        for place, member in members.items():
            _refuse_odd_marker(place, member)
        (parent,) = parents
        self._need_directory(parent, parents_mtime_ns)
        catalog = self.catalog_of(parent)
        catalog.settle_links(parent)
        old = {place: self._row(catalog, place) for place in members}
        if _are_links(list(members.values()), list(old.values())):
            return False
        group = catalog.new_group() if len(members) > 1 else 0
        for place, member in members.items():
            linked = replace(member, hardlink_group=group, linkcount=len(members))
            self._set_row(catalog, place, old[place], linked)
        return True

    def link(self, path: str, target: str, *, over_directory: bool = True) -> bool:
        """Make *path* a hard link of the file at *target*; False when it is one.

        In another directory it becomes a file of its own with the same content: the format has no links across
        directories. NotInRepository without a target; BadChange when that is a directory or *path* itself.
        """
        paths.check_path(path)
        source = self.lookup(target) if target else None
        if source is None:
            raise NotInRepository(f"{path!r} cannot be linked to {target!r}", "that is not there", "publish it first")
        if source.is_dir or path == target:
            why = "that is a directory" if source.is_dir else "a file is no link of itself"
            raise BadChange(f"{path!r} cannot be linked to {target!r}", why, "link to another file")
        entry = replace(source, name=paths.name_of(path))
        parent = paths.parent_of(path)
        if parent != paths.parent_of(target):
            return self.put(path, entry, parents_mtime_ns=entry.mtime_ns, over_directory=over_directory)
        _refuse_odd_marker(path, entry)
        catalog = self.catalog_of(parent)
        old = self._row(catalog, path)
        if not over_directory:
            _refuse_directory(path, old)
        if old is not None and old.hardlink_group and old.hardlink_group == source.hardlink_group:
            return False
        self._set_row(catalog, path, old, replace(entry, hardlink_group=catalog.group_of(target, source)))
        return True

    def remove(self, path: str) -> bool:
        """Take *path* and everything below it away; False when it is not there."""
        if path == paths.ROOT:
            raise BadChange("the repository's root cannot be removed", "every repository has one", "remove its content")
        catalog = self.catalog_of(paths.parent_of(path))
        old = catalog.lookup(path)
        if old is None:
            return False
        if old.is_dir:
            self._remove_directory(catalog, path, old)
        else:
            catalog.delete(path, old)
        self._note_marker(path)
        return True

    def _row(self, catalog: WritableCatalog, path: str) -> Entry | None:
        """The row of *path*, which *catalog* would hold; not looked for where nothing can be."""
        name = paths.name_of(path)
        return None if name not in self._fresh.get(paths.parent_of(path), (name,)) else catalog.lookup(path)

    def _set_row(self, catalog: WritableCatalog, path: str, old: Entry | None, entry: Entry) -> None:
        """Put *entry* in the place of *old*, which is no directory if *entry* is one."""
        if old is not None and old.is_dir:
            self._remove_directory(catalog, path, old)
            old = None
        elif old is not None and entry.is_dir:
            catalog.delete(path, old)
            old = None
        if old is None:
            self._insert(catalog, path, entry)
        else:
            catalog.update(path, old, entry)

    def _insert(self, catalog: WritableCatalog, path: str, entry: Entry) -> None:
        if entry.is_dir:
            entry = replace(entry, flags=DIR, linkcount=2)
            self._fresh[path] = set()
            self._directories.add(path)
            self._add_links(paths.parent_of(path), 1)
        if paths.parent_of(path) in self._fresh:
            self._fresh[paths.parent_of(path)].add(entry.name)
        catalog.insert(path, entry)
        self._note_marker(path)

    def _put_root(self, entry: Entry) -> bool:
        old = self.root.lookup(paths.ROOT)
        if old is None or not entry.is_dir:
            raise BadChange(
                "the repository's root cannot be replaced", "it is always a directory", "change its content"
            )
        return self._put_over_directory(paths.ROOT, old, entry)

    def _put_over_directory(self, path: str, old: Entry, entry: Entry) -> bool:
        if old.same_as(entry):
            return False
        for catalog in self.rows_of_directory(path):
            row = catalog.lookup(path)
            if row is not None:
                catalog.update(path, row, replace(entry, flags=row.flags, linkcount=row.linkcount, size=row.size))
        return True

    def _remove_directory(self, catalog: WritableCatalog, path: str, old: Entry) -> None:
        if old.is_mountpoint:
            nesting.drop(self, catalog, path)
        else:
            for mountpoint in nesting.mountpoints(catalog, path):
                nesting.drop(self, catalog, mountpoint)
            catalog.drop_rows(list(nesting.directories(catalog, path)))
            catalog.take_bind(path)
        catalog.delete(path, old)
        self._add_links(paths.parent_of(path), -1)
        self.forget_below(path)

    def _need_directory(self, path: str, mtime_ns: int) -> None:
        """Make *path* and what is missing above it directories; BadChange when something else is in the way."""
        missing = []
        while path not in self._directories:
            entry = self.lookup(path)
            if entry is None:
                missing.append(path)
                path = paths.parent_of(path)
                continue
            if not entry.is_dir or entry.is_bind_mountpoint:
                why = "it shows another revision" if entry.is_dir else "it is no directory"
                raise BadChange(f"nothing can be published below {path!r}", why, "remove it first")
            self._directories.add(path)
        for absent in reversed(missing):
            catalog = self.catalog_of(paths.parent_of(absent))
            self._insert(catalog, absent, directory(paths.name_of(absent), mtime_ns=mtime_ns))

    def _note_marker(self, path: str) -> None:
        if paths.name_of(path) == CATALOG_MARKER:
            self._markers.add(paths.parent_of(path))

    def _add_links(self, path: str, delta: int) -> None:
        self._links[path] = self._links.get(path, 0) + delta

    def rows_of_directory(self, path: str) -> list[WritableCatalog]:
        """The catalogs that have a row for a directory: two for a mountpoint, else one."""
        holder = self.catalog_of(paths.parent_of(path)) if path else self.root
        content = self.catalog_of(path)
        return [holder] if content is holder else [holder, content]

    def forget_below(self, path: str) -> None:
        """Drop what is remembered about *path* and below, after it moved or went."""
        for known in (self._home, self._links, self._fresh):
            for name in [name for name in known if name == path or paths.is_below(name, path)]:
                del known[name]
        self._directories = {name for name in self._directories if name != path and not paths.is_below(name, path)}
        self._markers = {name for name in self._markers if name != path and not paths.is_below(name, path)}

    def forget_homes(self, path: str) -> None:
        """Look up again which catalog holds what at and below *path*, after catalogs were split or merged."""
        for name in [name for name in self._home if name == path or paths.is_below(name, path)]:
            del self._home[name]

    # -- storing -----------------------------------------------------------------------------------------------------

    def arrange(self, balance: Balance, empty_file: Callable[[], Content], now_ns: int) -> None:
        """Make nested catalogs where markers came, merge where they went, then cut and merge by size."""
        for path in sorted(self._markers, key=lambda path: -path.count("/")):
            if path != paths.ROOT:
                self._follow_marker(path)
        self._markers.clear()
        nesting.merge_small(self, balance)
        nesting.cut_large(self, balance, empty_file, now_ns)
        self._markers.clear()

    def _follow_marker(self, path: str) -> None:
        holder = self.catalog_of(paths.parent_of(path))
        marked = self.lookup(f"{path}/{CATALOG_MARKER}") is not None
        nested = self.catalog_of(path) is not holder
        if marked and not nested:
            nesting.split(self, holder, path)
        elif nested and not marked:
            self.remove(f"{path}/{AUTO_MARKER}")
            nesting.merge(self, holder, path)

    def seal(self, store: StoreCatalog, *, revision: int, now: int, ttl: int) -> StoredTree | None:
        """Store every changed catalog, children first; None when nothing changed.

        *now* in seconds since 1970, *ttl* in seconds. :meth:`arrange` comes before.
        """
        self._apply_links()
        changed = [catalog for catalog in nesting.opened(self.root) if _is_dirty(catalog)]
        stored = None
        for catalog in changed:  # children come before their parents
            nested = catalog.parent is not None
            image = catalog.seal(revision=None if nested else revision, now=now, ttl=ttl)
            digest = store(image)
            stored = StoredTree(root=digest, root_size=len(image), catalogs=len(changed))
            self._stored(catalog, digest, len(image))
        self._fresh.clear()
        self._home.clear()
        return stored

    def _apply_links(self) -> None:
        for path, delta in self._links.items():
            for catalog in self.rows_of_directory(path) if delta else ():
                catalog.add_links(path, delta)
        self._links.clear()

    def _stored(self, catalog: WritableCatalog, digest: Digest, size: int) -> None:
        total = catalog.total()
        if catalog.parent is not None:
            catalog.parent.below.add(total)
            catalog.parent.below.add(catalog.total_when_stored, -1)
            catalog.parent.refer(NestedReference(catalog.mountpoint, digest, size))
        catalog.total_when_stored = total
        catalog.entries_when_stored = catalog.own.entries
        catalog.digest = digest
        catalog.dirty = False


def _refuse_directory(path: str, old: Entry | None) -> None:
    if old is not None and old.is_dir:
        raise BadChange(f"{path!r} cannot be replaced", "it is a directory", "remove the directory first")


def _refuse_odd_marker(path: str, entry: Entry) -> None:
    if f"/{CATALOG_MARKER}/" in path or (entry.name == CATALOG_MARKER and not entry.is_regular):
        raise BadChange(f"{path!r} cannot be published", "a catalog marker is a regular file", "rename or remove it")


def _are_links(wanted: list[Entry], rows: list[Entry | None]) -> bool:
    """Whether *rows*, with link counts up to date, are one hard-link group of exactly these files (or one file)."""
    there = [row for row in rows if row is not None and not row.is_dir]
    groups = {row.hardlink_group for row in there}
    return (
        len(there) == len(wanted)
        and len(groups) == 1
        and (0 in groups) == (len(wanted) == 1)
        and all(row.linkcount == len(wanted) and row.same_as(entry) for row, entry in zip(there, wanted, strict=True))
    )


def _is_dirty(catalog: WritableCatalog) -> bool:
    return catalog.dirty or any(_is_dirty(child) for child in catalog.opened.values())


def _no_fetch(digest: Digest) -> bytes:
    raise BadChange(f"catalog {digest} cannot be loaded", "this tree is new", "report this as a defect")
