"""Ways to damage a catalog of the reference repository and what is then found; and changes that are no damage."""

from fondaco.cvmfs.catalog import schema
from fondaco.cvmfs.check import Code
from tests.cvmfs.check.workbench import Edit

WHERE = "md5path_1 = k1('{0}') AND md5path_2 = k2('{0}')"
ROOT, HELLO, HI, CHUNKED, FIFO, LIB = "", "/bin/hello", "/bin/hi", "/chunked.txt", "/fifo", "/lib"
NESTED = "/nested"
MARKER = "/nested/deep/inner/.cvmfscatalog"


def set_row(path: str, change: str) -> str:
    """SQL that changes the row of a path."""
    return f"UPDATE catalog SET {change} WHERE {WHERE.format(path)}"


def set_property(key: str, value: str) -> str:
    return f"UPDATE properties SET value = '{value}' WHERE key = '{key}'"


def wal(image: bytes) -> bytes:
    return image[:18] + b"\2\2" + image[20:]


def insert(path: str, parent: str | None = None, *, mode: int = 0o100644, flags: int = 4, rowid: str = "NULL") -> str:
    """SQL that adds a row with the hash of /empty; the statistics are not touched."""
    name = path.rpartition("/")[2]
    above = path.rpartition("/")[0] if parent is None else parent
    digest = "NULL" if flags & 1 else "X'E8EC3D88B62EBF526E4E5A4FF6162A3AA48A6B78'"
    return (
        "INSERT INTO catalog (rowid, md5path_1, md5path_2, parent_1, parent_2, hardlinks, hash, size, mode, mtime,"
        " mtimens, flags, name, symlink, uid, gid, xattr)"
        f" VALUES ({rowid}, k1('{path}'), k2('{path}'), k1('{above}'), k2('{above}'), 1, {digest}, 0, {mode}, 1,"
        f" NULL, {flags}, '{name}', '', 0, 0, NULL)"
    )


def counter(name: str, delta: int, half: str = "self") -> str:
    return f"UPDATE statistics SET value = value + {delta} WHERE counter = '{half}_{name}'"


def hard_link(members: int, count: int, more: str = "") -> list[str]:
    """Two files of /lib/python/pkg with the same content become a hard link group."""
    files = [f"/lib/python/pkg/mod{number:02}.py" for number in range(members)]
    first = f"(SELECT {{}} FROM catalog WHERE {WHERE.format(files[0])})"
    columns = ("hash", "size", "mode", "mtime", "mtimens", "uid", "gid")
    same = ", ".join(f"{name} = {first.format(name)}" for name in columns)
    edits = [f"UPDATE catalog SET {same}, hardlinks = (1 << 32) | {count} WHERE {WHERE.format(path)}" for path in files]
    size = "(SELECT sum(size) FROM catalog WHERE flags & 12 = 4)"
    total = f"UPDATE statistics SET value = {size} WHERE counter = 'self_file_size'"
    return [*edits, *([f"{more} WHERE {WHERE.format(files[-1])}"] if more else []), total]


ALL = "*"  # every catalog

GOOD: dict[str, tuple[str, list[Edit]]] = {
    "nothing": ("", []),
    "the index has another name": (
        "",
        ["DROP INDEX idx_catalog_parent; CREATE INDEX other ON catalog (parent_1, parent_2)"],
    ),
    "a hard link group": ("", list(hard_link(2, 2))),
    "times without nanoseconds": ("", ["UPDATE catalog SET mtimens = NULL WHERE flags & 4"]),
    "a time before 1970": ("", [set_row(HELLO, "mtime = -5")]),
    "an older schema revision": (
        ALL,
        [set_property("schema_revision", "6"), "ALTER TABLE catalog DROP COLUMN mtimens"],
    ),
    "a marker in the root": (
        "",
        [insert("/.cvmfscatalog"), counter("regular", 1)],
    ),
    "zeros for no hash": ("", [set_row(LIB, "hash = zeroblob(20)")]),
    "a TTL of the catalog": ("", [set_property("TTL", "60")]),
    "a device": ("", [set_row(FIFO, f"mode = {0o020644}, size = 259")]),
}


DAMAGE: dict[str, tuple[set[Code], str, list[Edit]]] = {
    # The catalog as a database
    "WAL header": ({Code.JOURNAL_MODE}, "", [wal]),
    "WAL header of a nested catalog": ({Code.JOURNAL_MODE}, "/nested", [wal]),
    "no database": ({Code.CATALOG_UNREADABLE}, "/nested", [lambda image: b"something else"]),
    "a page overwritten": (
        {Code.CATALOG_UNREADABLE},
        "/nested",
        [lambda image: image[:4096] + bytes(range(256)) * 16 + image[8192:]],
    ),
    "a trigger": ({Code.CATALOG_UNREADABLE}, "/nested", ["CREATE VIEW v AS SELECT 1"]),
    "no table of chunks": ({Code.SCHEMA}, "/nested", ["DROP TABLE chunks"]),
    "no table of bind mountpoints": ({Code.SCHEMA}, "/nested", ["DROP TABLE bind_mountpoints"]),
    "no column of nanoseconds": (
        {Code.SCHEMA, Code.TRANSITION},
        "/nested",
        ["ALTER TABLE catalog DROP COLUMN mtimens"],
    ),
    "no column of sizes": ({Code.SCHEMA}, "/nested", ["ALTER TABLE catalog DROP COLUMN size"]),
    "schema 2.6": ({Code.SCHEMA}, "/nested", [set_property("schema", "2.6")]),
    "no schema": ({Code.SCHEMA}, "/nested", ["DELETE FROM properties WHERE key = 'schema'"]),
    "rows without rowids": (
        {Code.SCHEMA},
        "/nested/deep/inner",
        [
            schema.DDL[1].replace("TABLE catalog", "TABLE other").rstrip(";") + " WITHOUT ROWID",
            "INSERT INTO other SELECT * FROM catalog; DROP TABLE catalog; ALTER TABLE other RENAME TO catalog",
        ],
    ),
    "no index": ({Code.INDEX_MISSING}, "", ["DROP INDEX idx_catalog_parent"]),
    "no revision": ({Code.PROPERTY}, "", ["DELETE FROM properties WHERE key = 'revision'"]),
    "no time": ({Code.PROPERTY}, "/nested", ["DELETE FROM properties WHERE key = 'last_modified'"]),
    "a time of more than 32 bits": ({Code.PROPERTY}, "/nested", [set_property("last_modified", "2147483648")]),
    "a TTL that is no number": ({Code.PROPERTY}, "", [set_property("TTL", "soon")]),
    "a predecessor that is no hash": ({Code.PROPERTY}, "/nested", [set_property("previous_revision", "C")]),
    "a root prefix in the root catalog": (
        {Code.ROOT_PREFIX},
        "",
        ["INSERT INTO properties VALUES ('root_prefix', '/')"],
    ),
    "no root prefix in a nested catalog": (
        {Code.ROOT_PREFIX},
        "/nested",
        ["DELETE FROM properties WHERE key = 'root_prefix'"],
    ),
    "another root prefix": ({Code.ROOT_PREFIX}, "/nested", [set_property("root_prefix", "/other")]),
    "a counter that is wrong": ({Code.COUNTER}, "", [counter("file_size", 1)]),
    "a counter of the subtree that is wrong": ({Code.COUNTER}, "", [counter("nested", 1, "subtree")]),
    "a counter that is no number": (
        {Code.COUNTER},
        "",
        ["UPDATE statistics SET value = 'many' WHERE counter = 'self_dir'"],
    ),
    "a counter that is missing": (
        {Code.COUNTER_MISSING},
        "/nested",
        ["DELETE FROM statistics WHERE counter = 'subtree_special'"],
    ),
    # The catalog's root
    "no root row": ({Code.ROOT_ROW, Code.COUNTER}, "", [f"DELETE FROM catalog WHERE {WHERE.format(ROOT)}"]),
    "a root row with a name": ({Code.ROOT_ROW}, "", [set_row(ROOT, "name = 'x'")]),
    "a root row that is a file": (
        {Code.ROOT_ROW, Code.HASH, Code.COUNTER, Code.HARD_LINK},
        "",
        [set_row(ROOT, f"mode = {0o100644}, flags = 4")],
    ),
    "a root with the flag of a nested one": ({Code.ROOT_ROW}, "", [set_row(ROOT, "flags = 33")]),
    "a nested root without its flag": ({Code.ROOT_ROW}, "/nested", [set_row(NESTED, "flags = 1")]),
    "a root whose parent is the root": ({Code.PARENT_KEY}, "", [set_row(ROOT, "parent_1 = k1(''), parent_2 = k2('')")]),
    "a nested root without a parent": ({Code.PARENT_KEY}, "/nested", [set_row(NESTED, "parent_1 = 0, parent_2 = 0")]),
    "another row first": (
        {Code.ROOT_ROWID},
        "",
        [set_row(ROOT, "rowid = 1000"), set_row(HELLO, "rowid = 1")],
    ),
    # Nested catalogs
    "a mountpoint that differs": ({Code.TRANSITION}, "", [set_row(NESTED, "mtime = 5")]),
    "a mountpoint of another owner": ({Code.TRANSITION}, "", [set_row(NESTED, "uid = 5")]),
    "a mountpoint with another flag": ({Code.TRANSITION}, "", [set_row(NESTED, f"flags = flags | {0x8000}")]),
    "a nested catalog that is not registered": (
        {Code.NOT_REGISTERED, Code.COUNTER},
        "",
        ["DELETE FROM nested_catalogs"],
    ),
    "a hash with its suffix": (
        {Code.NOT_REGISTERED, Code.COUNTER},
        "",
        ["UPDATE nested_catalogs SET sha1 = sha1 || 'C'"],
    ),
    "a registration that is NULL": ({Code.COLUMN_TYPE, Code.COUNTER}, "", ["UPDATE nested_catalogs SET sha1 = NULL"]),
    "a wrong size of a nested catalog": ({Code.CATALOG_SIZE}, "", ["UPDATE nested_catalogs SET size = size + 1"]),
    "no flag on the mountpoint": (
        {Code.NO_MOUNTPOINT, Code.COUNTER, Code.LINK_COUNT},
        "",
        [set_row(NESTED, "flags = 1")],
    ),
    "a nested catalog above itself": (
        {Code.NO_MOUNTPOINT},
        "/nested",
        ["INSERT INTO nested_catalogs SELECT '', sha1, size FROM nested_catalogs"],
    ),
    "a file below a mountpoint": (
        {Code.MOUNTPOINT_NOT_EMPTY, Code.DANGLING},
        "",
        [insert("/nested/x")],
    ),
    "no marker": (
        {Code.MARKER_MISSING, Code.COUNTER},  # counters: of the catalogs above
        "/nested",
        [f"DELETE FROM catalog WHERE {WHERE.format('/nested/.cvmfscatalog')}", counter("regular", -1)],
    ),
    "a marker that is a directory": (
        {Code.MARKER_MISSING, Code.LINK_COUNT, Code.COUNTER},
        "/nested/deep/inner",
        [
            set_row(MARKER, f"mode = {0o040755}, flags = 1, hardlinks = 2, hash = NULL"),
            counter("regular", -1),
            counter("dir", 1),
        ],
    ),
    "a marker elsewhere": (
        {Code.MARKER_ABANDONED},
        "",
        [insert("/bin/.cvmfscatalog"), counter("regular", 1)],
    ),
    "two registrations of a mountpoint": (
        {Code.TRANSITION, Code.NO_MOUNTPOINT},
        "",
        ["INSERT INTO bind_mountpoints SELECT path, sha1, size FROM nested_catalogs"],
    ),
    "a bind mountpoint that is none": (
        {Code.NO_MOUNTPOINT},
        "",
        ["INSERT INTO bind_mountpoints SELECT '/lib', sha1, size FROM nested_catalogs"],
    ),
    "a bind mountpoint of no hash": (
        {Code.NOT_REGISTERED},
        "",
        [set_row("/emptydir", f"flags = {0x4001}"), "INSERT INTO bind_mountpoints VALUES ('/emptydir', 'x', 0)"],
    ),
    "a bind mountpoint that is not registered": (
        {Code.NOT_REGISTERED},
        "",
        [f"UPDATE catalog SET flags = flags | {0x4000} WHERE name = 'emptydir'"],
    ),
    "a mountpoint of both kinds": (
        {Code.FLAGS, Code.TRANSITION},
        "",
        [set_row(NESTED, f"flags = flags | {0x4000}")],
    ),
    # Rows
    "a name that is NULL": ({Code.COLUMN_TYPE, Code.NAME, Code.PATH_KEY}, "", [set_row(HELLO, "name = NULL")]),
    "a target that is NULL": ({Code.COLUMN_TYPE}, "", [set_row(HELLO, "symlink = NULL")]),
    "a hash in hex": ({Code.COLUMN_TYPE, Code.HASH}, "", [set_row(HELLO, "hash = lower(hex(hash))")]),
    "a time with a fraction": ({Code.COLUMN_TYPE}, "", [set_row(HELLO, "mtime = 1.5")]),
    "a chunk's offset that is NULL": (
        {Code.COLUMN_TYPE, Code.CHUNKS, Code.COUNTER},
        "",
        ["UPDATE chunks SET offset = NULL WHERE offset = 0"],
    ),
    "an empty name": ({Code.NAME, Code.PATH_KEY}, "", [set_row(HELLO, "name = ''")]),
    "a name with a slash": ({Code.NAME, Code.PATH_KEY}, "", [set_row(HELLO, "name = 'a/b'")]),
    "a name that leads upwards": ({Code.NAME, Code.PATH_KEY}, "", [set_row(HELLO, "name = '..'")]),
    "swapped halves of a key": ({Code.PATH_KEY}, "", [set_row(HELLO, "md5path_1 = md5path_2, md5path_2 = md5path_1")]),
    "a file of a parent that is not there": (
        {Code.DANGLING, Code.COUNTER},
        "",
        [set_row(HELLO, "parent_1 = 5, parent_2 = 5")],
    ),
    "directories in a circle": (
        {Code.DANGLING},
        "",
        [
            insert("/a", "/b", mode=0o040755, flags=1),
            insert("/b", "/a", mode=0o040755, flags=1),
        ],
    ),
    "a file in a file": ({Code.DANGLING}, "", [insert("/bin/hello/x")]),
    "an unknown type": ({Code.KIND, Code.COUNTER}, "", [set_row(HELLO, f"mode = {0o170644}")]),
    "a type that the flags deny": (
        {Code.KIND, Code.COUNTER},
        "",
        [set_row(HELLO, f"mode = {0o010644}, hash = NULL, size = 0"), counter("file_size", -21)],
    ),
    "an unknown hash algorithm": ({Code.FLAGS}, "", [set_row(HELLO, f"flags = flags | {7 << 8}")]),
    "an unknown compression": ({Code.FLAGS}, "", [set_row(HELLO, f"flags = flags | {7 << 11}")]),
    "direct i/o of a directory": ({Code.FLAGS}, "", [set_row(LIB, f"flags = flags | {0x10000}")]),
    "an external link": ({Code.FLAGS}, "", [set_row(HI, "flags = flags | 128")]),
    "a file that is a mountpoint": ({Code.FLAGS}, "", [set_row(HELLO, "flags = flags | 2")]),
    "a file without a hash": ({Code.HASH}, "", [set_row(HELLO, "hash = NULL")]),
    "a short hash": ({Code.HASH}, "", [set_row(HELLO, "hash = X'0102'")]),
    "a directory with a hash": ({Code.HASH}, "", [set_row(LIB, f"hash = X'{'11' * 20}'")]),
    "a link with a hash": ({Code.HASH}, "", [set_row(HI, f"hash = X'{'11' * 20}'")]),
    "a negative size": ({Code.SIZE, Code.COUNTER}, "", [set_row(HELLO, "size = -1")]),
    "a link of the wrong size": ({Code.SIZE}, "", [set_row(HI, "size = 4")]),
    "a fifo with a size": ({Code.SIZE}, "", [set_row(FIFO, "size = 4")]),
    "two sizes of one object": (
        {Code.SIZE},
        "",
        [insert("/one"), insert("/two"), set_row("/two", "size = 3"), counter("regular", 2), counter("file_size", 3)],
    ),
    "a fifo with a hash": ({Code.HASH}, "", [set_row(FIFO, f"hash = X'{'11' * 20}'")]),
    "direct i/o of a link": ({Code.FLAGS}, "", [set_row(HI, f"flags = flags | {0x10000}")]),
    "an external directory": (
        {Code.FLAGS},
        "",
        [set_row(LIB, "flags = flags | 128")],
    ),
    "an empty target": ({Code.SYMLINK}, "", [set_row(HI, "symlink = '', size = 0")]),
    "a fifo with a target": ({Code.SYMLINK}, "", [set_row(FIFO, "symlink = 'x'")]),
    "attributes that do not parse": ({Code.XATTRS}, "", [set_row(HELLO, "xattr = X'0105'")]),
    "too many nanoseconds": ({Code.TIME}, "", [set_row(HELLO, "mtimens = 1000000000")]),
    "a link count of 0": ({Code.LINK_COUNT}, "", [set_row(HELLO, "hardlinks = 0")]),
    "a directory's wrong link count": ({Code.LINK_COUNT}, "", [set_row(LIB, "hardlinks = 9")]),
    "the root's wrong link count": ({Code.LINK_COUNT}, "", [set_row(ROOT, "hardlinks = 2")]),
    "many links without a group": ({Code.HARD_LINK}, "", [set_row(HELLO, "hardlinks = 2")]),
    "a directory in a hard link group": ({Code.HARD_LINK}, "", [set_row(LIB, "hardlinks = hardlinks | (1 << 32)")]),
    "a hard link group that is not whole": ({Code.HARD_LINK}, "", list(hard_link(2, 3))),
    "a hard link group that differs": ({Code.HARD_LINK}, "", list(hard_link(2, 2, "UPDATE catalog SET mtime = 7"))),
    "a hard link group in two directories": (
        {Code.HARD_LINK},
        "",
        [set_row(HELLO, "hardlinks = (1 << 32) | 1"), set_row("/lib/python/pkg/mod00.py", "hardlinks = (1 << 32) | 1")],
    ),
    # Chunks
    "no chunks": ({Code.CHUNKS, Code.COUNTER}, "", ["DELETE FROM chunks"]),
    "a gap between chunks": ({Code.CHUNKS, Code.COUNTER}, "", ["DELETE FROM chunks WHERE offset = 69236"]),
    "chunks that overlap": ({Code.CHUNKS}, "", ["UPDATE chunks SET offset = 69235 WHERE offset = 69236"]),
    "chunks that end early": ({Code.CHUNKS, Code.COUNTER}, "", ["DELETE FROM chunks WHERE offset = 874313"]),
    "a chunk without a hash": ({Code.CHUNKS}, "", ["UPDATE chunks SET hash = X'' WHERE offset = 0"]),
    "a single chunk": (
        {Code.ONE_CHUNK, Code.COUNTER},
        "",
        ["DELETE FROM chunks WHERE offset > 0", set_row(CHUNKED, "size = 69236")],
    ),
    "chunks of no file": (
        {Code.CHUNKS_DANGLING},
        "",
        [f"INSERT INTO chunks SELECT md5path_1, md5path_2, 0, 21, hash FROM catalog WHERE {WHERE.format(HELLO)}"],
    ),
}
