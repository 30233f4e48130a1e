"""Whatever the reference checker complains about has its counterpart: messages of swissknife_check.cc, and our damage.

Each damage named here is made, and found with exactly its codes, by test_check.py or test_root_files.py; missing
objects and chunks have tests of their own there.
"""

import pytest

from tests.cvmfs.check.damage import DAMAGE
from tests.cvmfs.check.test_root_files import ROOT_DAMAGE

COUNTERPARTS: dict[str, tuple[str, ...]] = {
    # A repository's root
    "failed to load repository manifest": ("manifest_without_a_certificate", "manifest_changed_after_signing"),
    "bad whitelist": ("whitelist_missing", "whitelist_expired", "another_public_key"),
    "failed to load repository metainfo": ("metainfo_that_is_no_json",),
    ".cvmfsreflog present but no checksum provided": ("reflog_not_named",),
    "The .cvmfsreflog has unexpected content hash": ("reflog_changed",),
    "failed to verify reflog": ("reflog_without_its_table",),
    "reflog checksum set but reflog itself is missing": ("reflog_missing",),
    "failed to find catalog root hash in .cvmfsreflog": ("reflog_without_the_current_objects",),
    "failed to find certificate hash in .cvmfsreflog": ("reflog_without_the_current_objects",),
    "failed to find tag database's hash in .cvmfsreflog": ("reflog_without_the_current_objects",),
    "failed to find meta info hash in .cvmfsreflog": ("reflog_without_the_current_objects",),
    "failed to open history database": ("tags_without_their_table",),
    "failed to enumerate tags": ("tags_without_their_table",),
    "failed to enumerate branches": ("tags_without_their_table",),
    "invalid branch name": ("branch_with_an_odd_name",),
    "invalid branch in tag": ("tag_on_no_branch",),
    "invalid revision of tag": ("tag_older_than_its_branch",),
    "unused, dangling branches stored": ("branch_without_tags",),
    "failed to find alternative certificate link": ("shortcuts_promised",),
    "failed to find alternative catalog link": ("shortcuts_promised",),
    # A catalog
    "failed to load catalog": ("tag_of_a_catalog_that_is_gone",),
    "failed to open catalog": ("no database", "schema 2.6", "a page overwritten"),
    "catalog file size mismatch": ("a wrong size of a nested catalog", "another_size_of_the_root_catalog"),
    "root prefix mismatch": ("another root prefix", "no root prefix in a nested catalog"),
    "failed to lookup root entry": ("no root row",),
    "root entry not a directory": ("a root row that is a file",),
    "transition point and root entry differ": ("a mountpoint that differs", "a mountpoint of another owner"),
    "nested catalog root expected but not found": ("a nested root without its flag",),
    "nested catalog root found but not expected": ("a root with the flag of a nested one",),
    "dangling entries in catalog": ("a file of a parent that is not there", "directories in a circle"),
    "number of nested catalogs does not match": (
        "no flag on the mountpoint",
        "a nested catalog that is not registered",
    ),
    "duplicates among nested catalogs and bind mountpoints": ("two registrations of a mountpoint",),
    "failed to lookup bind mountpoint": ("a bind mountpoint that is none",),
    "failed to lookup transition point": ("a nested catalog above itself",),
    "catalog statistics mismatch": ("a counter that is wrong", "a counter of the subtree that is wrong"),
    "failed to load statistics counters": ("a counter that is missing",),
    # Rows
    "failed to lookup": ("swapped halves of a key",),
    "failed to list": ("no table of chunks",),
    "empty path": ("an empty name",),
    "found abandoned nested catalog marker": ("a marker elsewhere",),
    "regular file pointing to zero-hash": ("a file without a hash",),
    "invalid hardlink group": ("many links without a group",),
    "hardlink doesn't match": ("a hard link group that differs",),
    "hardlink linkcount wrong": ("a hard link group that is not whole",),
    "Entry has linkcount 0": ("a link count of 0",),
    "invalid direct i/o flag found": ("direct i/o of a directory", "direct i/o of a link"),
    "directory hardlink found": ("a directory in a hard link group",),
    "nested catalog not registered": ("a hash with its suffix", "a bind mountpoint that is not registered"),
    "non-empty nested catalog mountpoint": ("a file below a mountpoint",),
    "bind mountpoint and nested mountpoint mutually exclusive": ("a mountpoint of both kinds",),
    "symbolic links with hash": ("a link with a hash",),
    "wrong symbolic link size": ("a link of the wrong size",),
    "unexpected non-zero special file size": ("a fifo with a size",),
    "special file with hash": ("a fifo with a hash",),
    "special file with non-zero symlink": ("a fifo with a target",),
    "unknown file type": ("an unknown type",),
    "only regular files can be external": ("an external link", "an external directory"),
    "no file chunks found for big file": ("no chunks",),
    "misaligned chunk offsets": ("a gap between chunks", "chunks that overlap"),
    "chunks of file produce a size mismatch": ("chunks that end early",),
    "nested catalog without marker": ("no marker",),
    "wrong linkcount": ("a directory's wrong link count", "the root's wrong link count"),
}


@pytest.mark.parametrize("message", COUNTERPARTS)
def test_a_message_of_the_reference_has_its_damage(message: str) -> None:
    assert COUNTERPARTS[message]
    assert set(COUNTERPARTS[message]) <= DAMAGE.keys() | ROOT_DAMAGE.keys()


def test_more_is_found_than_the_reference_finds() -> None:
    known = {name for names in COUNTERPARTS.values() for name in names}
    assert len((DAMAGE.keys() | ROOT_DAMAGE.keys()) - known) > 50
    assert len(known) > 40
