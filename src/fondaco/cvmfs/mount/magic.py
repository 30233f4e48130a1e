"""Magic extended attributes: what the mount tells about itself and its files, in the stock client's names and forms.

Source: cvmfs/magic_xattr.cc. Long values come in pages: ``name~1`` is the second page, ``name@1`` the same with a line
of help above it, ``name~?`` tells how many there are.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from enum import Enum

from fondaco.cvmfs import paths
from fondaco.cvmfs.catalog.counters import Counters
from fondaco.cvmfs.codec import Compression
from fondaco.cvmfs.digest import Digest
from fondaco.cvmfs.entry import DIRECT_IO, Entry

PAGE_BYTES = 40_000  # kMaxCharsPerPage; the kernel takes at most 64 KiB

_COMPRESSION = {Compression.ZLIB: "zlib", Compression.NONE: "none"}


class Visibility(Enum):
    """Where the names are listed; they can be read everywhere."""

    NEVER = "never"
    ROOTONLY = "rootonly"
    ALWAYS = "always"


class Flavor(Enum):
    """What an attribute is listed on."""

    EVERYTHING = "everything"
    HASHED = "whatever has a hash"
    REGULAR = "regular files"
    EXTERNAL = "external files"
    SYMLINK = "symbolic links"


@dataclass(slots=True, kw_only=True)
class Usage:
    """What a mount counts of itself."""

    opened: int = 0  # files
    listed: int = 0  # directories opened
    open_files: int = 0
    open_directories: int = 0
    errors: int = 0  # requests answered with an I/O error
    last_error: int = 0  # seconds since 1970
    wanted: int = 0  # parts of files asked for
    downloads: int = 0  # of them not found in the cache


@dataclass(slots=True, kw_only=True)
class Facts:
    """What is the same for every file of a mount at one revision."""

    fqrn: str
    revision: int
    root: Digest
    host: str  # address of the repository
    version: str
    tag: str = ""
    external: str = ""  # address of external files
    public_keys: tuple[bytes, ...] = ()  # PEM
    expires: str = ""  # minutes, or why there are none
    catalogs: int = 0  # open now
    usage: Usage = field(default_factory=Usage)


@dataclass(slots=True, kw_only=True)
class Subject:
    """The file that is asked about. What takes a network or a disk comes as a function that is called when needed."""

    path: str
    entry: Entry  # with chunks
    facts: Facts
    counters: Callable[
        [bool], tuple[Digest, str, Counters]
    ]  # of the root catalog, else of the path's: hash, mountpoint
    local: str = ""  # for user.lhash
    metainfo: str = ""  # for user.repo_metainfo


_Pages = list[str]


def names(entry: Entry, visibility: Visibility) -> list[bytes]:
    """The names that are listed on *entry*, in order."""
    if visibility is Visibility.NEVER or (visibility is Visibility.ROOTONLY and entry.name):
        return []
    return [name for name, (flavor, _) in sorted(_ATTRIBUTES.items()) if _fits(flavor, entry)]


def split(name: bytes) -> tuple[bytes, str, int] | None:
    """A name as (attribute, ``~`` or ``@``, page), page -1 for ``?``; None for what is no name of either kind."""
    if b"~" not in name and b"@" not in name:
        return name, "~", 0
    mark = b"@" if b"@" in name else b"~"
    base, _, _ = name.partition(mark)
    page = name.rpartition(mark)[2]
    if page == b"?":
        return base, mark.decode(), -1
    return (base, mark.decode(), int(page)) if re.fullmatch(rb"[0-9]{1,9}", page) else None


def is_magic(name: bytes) -> bool:
    """Whether this attribute, without its page, is one of the mount's own."""
    return name in _ATTRIBUTES


def value(name: bytes, mark: str, page: int, subject: Subject) -> bytes | None:
    """The value of a magic attribute, None where there is none; CatalogNeeded as a tree's lookup."""
    pages = _ATTRIBUTES[name][1](subject)
    if pages is None:
        return None
    shown = _page(pages, page) if mark == "~" else _page_for_people(pages, page)
    return None if shown is None else paths.encode(shown)


def _fits(flavor: Flavor, entry: Entry) -> bool:
    return {
        Flavor.EVERYTHING: True,
        Flavor.HASHED: entry.digest is not None,
        Flavor.REGULAR: entry.is_regular,
        Flavor.EXTERNAL: entry.is_regular and entry.is_external,
        Flavor.SYMLINK: entry.is_symlink,
    }[flavor]


def _page(pages: _Pages, page: int) -> str | None:
    if page < 0:
        return f"num_pages, {len(pages)}"
    return pages[page] if page < len(pages) else None


def _page_for_people(pages: _Pages, page: int) -> str:
    if page >= len(pages):
        return (
            f"Page requested does not exists. There are {len(pages)} pages available.\n"
            "Access them with xattr~<page_num> (machine-readable mode) or xattr@<page_num> (human-readable mode).\n"
            "Use xattr@? or xattr~? to get extra info about the attribute"
        )
    if page < 0:
        return (
            "Access xattr with xattr~<page_num> (machine-readable mode) or  xattr@<page_num> (human-readable mode).\n"
            f"Pages available: {len(pages)}"
        )
    return (
        f"# Access page at idx: {page}. Total num pages: {len(pages)} (access other pages: xattr~<page_num>, starting "
        f" with 0; number of pages available: xattr~?)\n{pages[page]}"
    )


def _cut(lines: Iterable[str], header: str = "") -> _Pages:
    """*lines* as pages, *header* on top of each."""
    pages, page = [], header
    for line in lines:
        page += line
        if len(page) > PAGE_BYTES:
            pages.append(page)
            page = header
    return [*pages, page] if len(page) > len(header) else pages


def _always(text: Callable[[Facts], object]) -> Callable[[Subject], _Pages | None]:
    return lambda subject: [str(text(subject.facts))]


def _of_file(text: Callable[[Subject], object]) -> Callable[[Subject], _Pages | None]:
    return lambda subject: [str(text(subject))] if subject.entry.is_regular else None


def _hash(subject: Subject) -> _Pages | None:
    return [str(subject.entry.object_digest())] if subject.entry.digest else None


def _local_hash(subject: Subject) -> _Pages | None:
    return [subject.local] if subject.entry.digest else None


def _chunk_list(subject: Subject) -> _Pages | None:
    entry = subject.entry
    if not entry.is_regular:
        return None
    rows = [(chunk.digest, chunk.offset, chunk.size) for chunk in entry.chunks] or [
        (entry.digest or b"", 0, entry.size)
    ]
    lines = (f"{Digest(digest, entry.algorithm)},{offset},{size}\n" for digest, offset, size in rows)
    return _cut(lines, "hash,offset,size\n")


def _catalog_counters(subject: Subject) -> _Pages | None:
    digest, mountpoint, counters = subject.counters(False)
    return [f"catalog_hash: {digest}\ncatalog_mountpoint: {mountpoint}\n{_table(counters)}"]


def _repo_counters(subject: Subject) -> _Pages | None:
    return [_table(subject.counters(True)[2])]


def _table(counters: Counters) -> str:
    return "".join(f"{name},{number}\n" for name, number in sorted(asdict(counters).items()))


def _public_keys(subject: Subject) -> _Pages | None:
    return _cut(key.decode("ascii", "replace") for key in subject.facts.public_keys)


def _raw_link(subject: Subject) -> _Pages | None:
    return [subject.entry.symlink] if subject.entry.is_symlink else None


def _external_url(subject: Subject) -> _Pages | None:
    if not (subject.entry.is_regular and subject.entry.is_external):
        return None
    return [subject.facts.external + subject.path if subject.facts.external else ""]


def _hit_rate(facts: Facts) -> str:
    usage = facts.usage
    return f"{100 * (1 - usage.downloads / usage.wanted):.3f}" if usage.wanted else "n/a"


_ATTRIBUTES: dict[bytes, tuple[Flavor, Callable[[Subject], _Pages | None]]] = {
    b"user.catalog_counters": (Flavor.EVERYTHING, _catalog_counters),
    b"user.chunk_list": (Flavor.REGULAR, _chunk_list),
    b"user.chunks": (Flavor.REGULAR, _of_file(lambda subject: len(subject.entry.chunks) or 1)),
    b"user.compression": (
        Flavor.REGULAR,
        _of_file(lambda subject: _COMPRESSION.get(subject.entry.compression, "unknown")),
    ),
    b"user.direct_io": (Flavor.REGULAR, _of_file(lambda subject: int(bool(subject.entry.flags & DIRECT_IO)))),
    b"user.expires": (Flavor.EVERYTHING, _always(lambda facts: facts.expires)),
    b"user.external_file": (Flavor.REGULAR, _of_file(lambda subject: int(subject.entry.is_external))),
    b"user.external_host": (
        Flavor.EVERYTHING,
        _always(lambda facts: facts.external),
    ),
    b"user.external_url": (Flavor.EXTERNAL, _external_url),
    b"user.fqrn": (Flavor.EVERYTHING, _always(lambda facts: facts.fqrn)),
    b"user.hash": (Flavor.HASHED, _hash),
    b"user.hitrate": (Flavor.EVERYTHING, _always(_hit_rate)),
    b"user.host": (Flavor.EVERYTHING, _always(lambda facts: facts.host)),
    b"user.host_list": (Flavor.EVERYTHING, _always(lambda facts: facts.host)),
    b"user.lhash": (Flavor.HASHED, _local_hash),
    b"user.nclg": (Flavor.EVERYTHING, _always(lambda facts: facts.catalogs)),
    b"user.ndiropen": (Flavor.EVERYTHING, _always(lambda facts: facts.usage.listed)),
    b"user.ndownload": (Flavor.EVERYTHING, _always(lambda facts: facts.usage.downloads)),
    b"user.nioerr": (Flavor.EVERYTHING, _always(lambda facts: facts.usage.errors)),
    b"user.nopen": (Flavor.EVERYTHING, _always(lambda facts: facts.usage.opened)),
    b"user.pubkeys": (Flavor.EVERYTHING, _public_keys),
    b"user.rawlink": (Flavor.SYMLINK, _raw_link),
    b"user.repo_counters": (Flavor.EVERYTHING, _repo_counters),
    b"user.repo_metainfo": (Flavor.EVERYTHING, lambda subject: [subject.metainfo]),
    b"user.revision": (Flavor.EVERYTHING, _always(lambda facts: facts.revision)),
    b"user.root_hash": (Flavor.EVERYTHING, _always(lambda facts: facts.root)),
    b"user.tag": (Flavor.EVERYTHING, _always(lambda facts: facts.tag)),
    b"user.timestamp_last_ioerr": (Flavor.EVERYTHING, _always(lambda facts: facts.usage.last_error)),
    b"user.useddirp": (Flavor.EVERYTHING, _always(lambda facts: facts.usage.open_directories)),
    b"user.usedfd": (Flavor.EVERYTHING, _always(lambda facts: facts.usage.open_files)),
    b"user.version": (Flavor.EVERYTHING, _always(lambda facts: facts.version)),
    b"xfsroot.rawlink": (Flavor.SYMLINK, _raw_link),
}
