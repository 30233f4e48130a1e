"""The SQLite layout of a file catalog: schema 2.5, revision 7.

Source: cvmfs/catalog_sql.cc of CernVM-FS 2.12. Clients check ``schema`` exactly and crash on tables, counters or
columns that a claimed revision should have, so what is written here is always complete. Older revisions are read as
clients read them, and brought up to this one before they are changed, as the reference publisher does.
"""

from collections.abc import Mapping

SCHEMA = "2.5"
SCHEMA_REVISION = "7"
READABLE_SCHEMAS = ("2.4", "2.5")
MAX_REVISION_DIGITS = 9

DDL = (
    "CREATE TABLE properties (key TEXT, value TEXT, CONSTRAINT pk_properties PRIMARY KEY (key));",
    "CREATE TABLE catalog (md5path_1 INTEGER, md5path_2 INTEGER, parent_1 INTEGER, parent_2 INTEGER,"
    " hardlinks INTEGER, hash BLOB, size INTEGER, mode INTEGER, mtime INTEGER, mtimens INTEGER, flags INTEGER,"
    " name TEXT, symlink TEXT, uid INTEGER, gid INTEGER, xattr BLOB,"
    " CONSTRAINT pk_catalog PRIMARY KEY (md5path_1, md5path_2));",
    "CREATE INDEX idx_catalog_parent ON catalog (parent_1, parent_2);",
    "CREATE TABLE chunks (md5path_1 INTEGER, md5path_2 INTEGER, offset INTEGER, size INTEGER, hash BLOB,"
    " CONSTRAINT pk_chunks PRIMARY KEY (md5path_1, md5path_2, offset, size),"
    " FOREIGN KEY (md5path_1, md5path_2) REFERENCES catalog(md5path_1, md5path_2));",
    "CREATE TABLE nested_catalogs (path TEXT, sha1 TEXT, size INTEGER,"
    " CONSTRAINT pk_nested_catalogs PRIMARY KEY (path));",
    "CREATE TABLE bind_mountpoints (path TEXT, sha1 TEXT, size INTEGER,"
    " CONSTRAINT pk_bind_mountpoints PRIMARY KEY (path));",
    "CREATE TABLE statistics (counter TEXT, value INTEGER, CONSTRAINT pk_statistics PRIMARY KEY (counter));",
)

ROW_COLUMNS = "hardlinks, hash, size, mode, mtime, mtimens, flags, name, symlink, uid, gid, xattr"

# What a revision brought; clients do not look at it in catalogs of an earlier one.
NESTED_SIZE_SINCE = 1
XATTR_SINCE = 2
EXTERNAL_SINCE = 3
BIND_MOUNTPOINTS_SINCE = 4
SPECIAL_SINCE = 5  # the flag of special files; before it only their mode tells
MTIMENS_SINCE = 7
COLUMNS_SINCE = {"xattr": XATTR_SINCE, "mtimens": MTIMENS_SINCE}
COUNTERS_SINCE = {
    "xattr": XATTR_SINCE,
    "external": EXTERNAL_SINCE,
    "external_file_size": EXTERNAL_SINCE,
    "special": SPECIAL_SINCE,
}

_NEW_COUNTER = "INSERT OR IGNORE INTO statistics VALUES ('self_{0}', 0), ('subtree_{0}', 0)"
_UPGRADES = (  # the statements that bring a catalog from revision i to i + 1
    ("ALTER TABLE nested_catalogs ADD size INTEGER",),
    ("ALTER TABLE catalog ADD xattr BLOB", _NEW_COUNTER.format("xattr")),
    (_NEW_COUNTER.format("external"), _NEW_COUNTER.format("external_file_size")),
    (DDL[5],),
    (_NEW_COUNTER.format("special"),),
    (),
    ("ALTER TABLE catalog ADD mtimens INTEGER",),
)


def revision_of(properties: Mapping[str, object]) -> int:
    """The schema revision that a catalog claims; 0 where none is given, as clients take it."""
    text = str(properties.get("schema_revision", "0"))
    return int(text) if text.isascii() and text.isdigit() and len(text) < MAX_REVISION_DIGITS else 0


def upgrades(revision: int) -> list[str]:
    """What makes a catalog of schema 2.5 and *revision* one of SCHEMA_REVISION."""
    statements = [statement for step in _UPGRADES[revision:] for statement in step]
    return [*statements, f"INSERT OR REPLACE INTO properties VALUES ('schema_revision', '{SCHEMA_REVISION}')"]
