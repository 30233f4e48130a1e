"""Damage of the root files, and of the databases that the manifest names, is found."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from fondaco.cvmfs.check import Code
from fondaco.cvmfs.digest import Suffix, object_key
from fondaco.cvmfs.reflog import RefKind, Reflog
from fondaco.cvmfs.stores.base import MANIFEST, REFLOG, WHITELIST
from tests.cvmfs.check.damage import DAMAGE, set_property
from tests.cvmfs.check.workbench import Workbench
from tests.cvmfs.conftest import KeyFolder

ROOT_DAMAGE: dict[str, tuple[set[Code], Callable[[Workbench], None]]] = {}


def damage(*codes: Code) -> Callable[[Callable[[Workbench], None]], Callable[[Workbench], None]]:
    """Register a way to damage a published repository, and what is to be found."""

    def register(function: Callable[[Workbench], None]) -> Callable[[Workbench], None]:
        ROOT_DAMAGE[function.__name__] = set(codes), function
        return function

    return register


@damage(Code.MANIFEST)
def manifest_without_a_certificate(bench: Workbench) -> None:
    text = bench.store.get(MANIFEST)
    bench.store.replace(MANIFEST, text.replace(b"\nX", b"\nx"))


@damage(Code.MANIFEST)
def manifest_too_long(bench: Workbench) -> None:
    bench.store.replace(MANIFEST, bench.store.get(MANIFEST) + bytes(5000))


@damage(Code.UNTRUSTED)
def manifest_changed_after_signing(bench: Workbench) -> None:
    bench.store.replace(MANIFEST, bench.store.get(MANIFEST).replace(b"\nS3\n", b"\nS4\n"))


@damage(Code.UNTRUSTED)
def whitelist_missing(bench: Workbench) -> None:
    bench.store.delete(WHITELIST)


@damage(Code.UNTRUSTED)
def another_public_key(bench: Workbench) -> None:
    bench.public_keys = [Path(__file__).parents[2].joinpath("data/golden/golden.example.org.pub").read_bytes()]


@damage(Code.WHITELIST_EXPIRED)
def whitelist_expired(bench: Workbench) -> None:
    bench.now += timedelta(days=31)


@damage(Code.WHITELIST_EXPIRED, Code.UNTRUSTED)
def whitelist_expired_and_manifest_changed(bench: Workbench) -> None:
    bench.now += timedelta(days=31)
    manifest_changed_after_signing(bench)


@damage(Code.METAINFO)
def metainfo_that_is_no_json(bench: Workbench) -> None:
    digest = bench.put(b"{", Suffix.METAINFO)
    bench.manifest_edits["metainfo"] = digest
    bench.reflog_edits.append(f"INSERT INTO refs VALUES ('{digest}', 3, 1)")
    bench.publish()


@damage(Code.METAINFO)
def metainfo_that_is_a_list(bench: Workbench) -> None:
    digest = bench.put(b"[]", Suffix.METAINFO)
    bench.manifest_edits["metainfo"] = digest
    bench.reflog_edits.append(f"INSERT INTO refs VALUES ('{digest}', 3, 1)")
    bench.publish()


@damage(Code.ALTERNATIVE_PATH)
def shortcuts_promised(bench: Workbench) -> None:
    bench.manifest_edits["alternative_paths"] = True
    bench.publish()


@damage(Code.REVISION, Code.TAG)
def root_catalog_ahead_of_the_manifest(bench: Workbench) -> None:
    bench.edit("", set_property("revision", "4"))
    bench.publish()


@damage(Code.CATALOG_SIZE)
def another_size_of_the_root_catalog(bench: Workbench) -> None:
    bench.manifest_edits["root_catalog_size"] = 4711
    bench.publish()


@damage(Code.PREVIOUS_REVISION)
def predecessor_missing(bench: Workbench) -> None:
    bench.edit("", set_property("previous_revision", "11" * 20))
    bench.publish()


@damage(Code.PREVIOUS_REVISION)
def predecessor_of_the_tags_missing(bench: Workbench) -> None:
    bench.history_edits.append(set_property("previous_revision", "11" * 20))
    bench.publish()


@damage(Code.REFLOG)
def reflog_changed(bench: Workbench) -> None:
    bench.store.replace(REFLOG, bench.store.get(REFLOG) + b"x")


@damage(Code.REFLOG)
def reflog_missing(bench: Workbench) -> None:
    bench.store.delete(REFLOG)


@damage(Code.REFLOG)
def reflog_not_named(bench: Workbench) -> None:
    bench.manifest_edits["reflog"] = None
    bench.publish()


@damage(Code.REFLOG)
def reflog_of_another_repository(bench: Workbench) -> None:
    bench.reflog_edits.append(set_property("fqrn", "other.example.org"))
    bench.publish()


@damage(Code.REFLOG)
def reflog_without_its_table(bench: Workbench) -> None:
    bench.reflog_edits.append("DROP TABLE refs")
    bench.publish()


@damage(Code.OBJECT_MISSING)
def reflog_of_an_object_that_is_gone(bench: Workbench) -> None:
    bench.reflog_edits.append(f"INSERT INTO refs VALUES ('{'11' * 20}', 0, 1)")
    bench.publish()


@damage(Code.REFLOG_INCOMPLETE)
def reflog_without_the_tags(bench: Workbench) -> None:
    bench.reflog_edits.append("DELETE FROM refs WHERE type = 0 AND timestamp <> 1")
    bench.publish()


@damage(Code.REFLOG_INCOMPLETE)
def reflog_without_the_current_objects(bench: Workbench) -> None:
    bench.reflog_edits.append("DELETE FROM refs WHERE timestamp = 1 OR type = 3")
    bench.publish()


@damage(Code.HISTORY)
def tags_of_another_repository(bench: Workbench) -> None:
    bench.history_edits.append(set_property("fqrn", "other.example.org"))
    bench.publish()


@damage(Code.HISTORY)
def tags_without_their_table(bench: Workbench) -> None:
    bench.history_edits.append("DROP TABLE tags")
    bench.publish()


@damage(Code.BRANCH)
def tag_on_no_branch(bench: Workbench) -> None:
    bench.history_edits.append("UPDATE tags SET branch = 'lost' WHERE name = 'v1.0'")
    bench.publish()


@damage(Code.BRANCH)
def branch_without_tags(bench: Workbench) -> None:
    bench.history_edits.append("INSERT INTO branches VALUES ('dead', '', 1)")
    bench.publish()


@damage(Code.BRANCH)
def branch_with_an_odd_name(bench: Workbench) -> None:
    bench.history_edits.append(
        "INSERT INTO branches VALUES ('a b', '', 1); UPDATE tags SET branch = 'a b' WHERE name = 'v1.0'"
    )
    bench.publish()


@damage(Code.BRANCH)
def tag_older_than_its_branch(bench: Workbench) -> None:
    bench.history_edits.append(
        "INSERT INTO branches VALUES ('b', '', 9); UPDATE tags SET branch = 'b' WHERE name = 'v1.0'"
    )
    bench.publish()


@damage(Code.TAG)
def trunk_left_behind(bench: Workbench) -> None:
    former = "SELECT {} FROM tags WHERE name = 'v1.0'"
    sets = ", ".join(f"{name} = ({former.format(name)})" for name in ("hash", "revision", "size"))
    bench.history_edits.append(f"UPDATE tags SET {sets} WHERE name = 'trunk'")
    bench.publish()


@damage(Code.TAG)
def tag_of_another_revision_than_its_catalog(bench: Workbench) -> None:
    bench.history_edits.append("UPDATE tags SET revision = 7 WHERE name = 'v1.0'")
    bench.publish()


@damage(Code.TAG_SIZE)
def tag_of_another_size(bench: Workbench) -> None:
    bench.history_edits.append("UPDATE tags SET size = 7 WHERE name = 'v1.0'")
    bench.publish()


@damage(Code.OBJECT_MISSING, Code.REFLOG_INCOMPLETE)
def tag_of_a_catalog_that_is_gone(bench: Workbench) -> None:
    bench.history_edits.append(f"UPDATE tags SET hash = '{'11' * 20}' WHERE name = 'v1.0'")
    bench.publish()


@damage(Code.UNTRUSTED, Code.OBJECT_MISSING)
def certificate_missing(bench: Workbench) -> None:
    bench.store.delete(object_key(bench.manifest.certificate, Suffix.CERTIFICATE))


@pytest.mark.parametrize("name", ROOT_DAMAGE)
def test_damage_of_root_files_is_found(bench: Workbench, name: str) -> None:
    codes, apply = ROOT_DAMAGE[name]
    bench.publish()
    apply(bench)
    assert bench.codes() == {code.value for code in codes}


def test_a_certificate_that_the_whitelist_does_not_list_is_found(bench: Workbench, key_folder: KeyFolder) -> None:
    bench.publish()
    bench.sign(listed=key_folder.signer.certificate)
    (finding,) = bench.check().findings
    assert finding.code is Code.UNTRUSTED
    assert "does not list it" in finding.message


def test_what_a_replica_or_a_collected_repository_lacks_is_no_damage(bench: Workbench) -> None:
    bench.edit("", set_property("previous_revision", "11" * 20))
    bench.manifest_edits["garbage_collectable"] = True
    bench.publish()
    assert bench.codes() == set()
    bench.manifest_edits["garbage_collectable"] = False
    bench.publish()
    assert bench.codes() == {"previous-revision"}
    bench.store.replace(".cvmfs_last_snapshot", b"Sun Nov 22 10:00:00 UTC 2026\n")
    bench.store.delete(REFLOG)
    assert bench.codes() == set()


def test_a_replica_has_a_reference_log_of_its_own(bench: Workbench) -> None:
    """A replica copies the manifest as it is signed, and logs what it copied itself."""
    bench.publish()
    log = Reflog.load(bench.store.get(REFLOG))
    log.add(RefKind.CATALOG, bench.manifest.root_catalog, 1_790_000_000)
    bench.store.replace(REFLOG, log.serialize())
    assert bench.codes() == {"reflog"}
    bench.store.replace(".cvmfs_last_snapshot", b"Sun Nov 22 10:00:00 UTC 2026\n")
    assert bench.codes() == set()


def test_shortcuts_that_are_there_are_in_order(bench: Workbench) -> None:
    bench.manifest_edits["alternative_paths"] = True
    bench.publish()
    for digest, suffix in ((bench.manifest.certificate, "X"), (bench.manifest.root_catalog, "C")):
        (bench.folder / f".cvmfsalt-{digest}{suffix}").write_bytes(b"")
    assert bench.codes() == set()


def test_every_kind_of_finding_has_its_damage() -> None:
    tested = {code for codes, _, _ in DAMAGE.values() for code in codes}
    tested |= {code for codes, _ in ROOT_DAMAGE.values() for code in codes}
    assert set(Code) - tested == {Code.OBJECT_DAMAGED}, "that one has a test of its own"
