"""A bucket in memory and a real repository: what is in one is in the other."""

import stat

import pytest

from fondaco.backends.bucket import ObjectInfo
from fondaco.cvmfs.entry import regular
from tests.software.conftest import FQRN, START, MakeService, Service, delete, put, run, seeded

NANO = 1_000_000_000


def test_files_directories_links_and_modes_are_published(service: Service) -> None:
    put(service, "a/plain", b"text", mtime="1704067200.5", uid="1000", gid="100")
    put(service, "a/script", b"#!/bin/sh\n")
    put(service, "a/told", b"#!/bin/sh\n", mode="100640")
    put(service, "a/big", b"0123456789" * 5000)
    put(service, "a/link.rclonelink", b"../target")
    put(service, "a/s3fs-link", b"plain", mode="41471")
    put(service, "empty/", mode="16832")
    outcome = service.sync.sweep()
    assert outcome.revision == 2
    tree = service.tree()
    assert stat.S_IMODE(tree["/a/plain"].mode) == 0o644
    assert (tree["/a/plain"].mtime_ns, tree["/a/plain"].uid, tree["/a/plain"].gid) == (1704067200_500000000, 1000, 100)
    assert stat.S_IMODE(tree["/a/script"].mode) == 0o755
    assert stat.S_IMODE(tree["/a/told"].mode) == 0o640
    assert tree["/a/big"].is_chunked
    assert stat.S_IMODE(tree["/empty"].mode) == 0o700
    assert tree["/a/script"].mtime_ns == service.bucket.objects["cvmfs/a/script"].info.modified * NANO
    assert service.files() == {
        "/a/plain": b"text",
        "/a/script": b"#!/bin/sh\n",
        "/a/told": b"#!/bin/sh\n",
        "/a/big": b"0123456789" * 5000,
        "/a/link": b"-> ../target",
        "/a/s3fs-link": b"-> plain",
    }


@pytest.mark.parametrize("by_events", [False, True])
def test_a_change_publishes_what_changed_and_only_that(service: Service, by_events: bool) -> None:
    seeded(service)
    put(service, "d/kept", b"1")
    put(service, "d/changed", b"1")
    put(service, "gone/file", b"1")
    service.sync.sweep()
    service.bucket.opened.clear()
    put(service, "d/changed", b"2")
    put(service, "new", b"3")
    delete(service, "gone/file")
    keys = ("d/changed", "new", "gone/file")
    outcome = run(service, *keys) if by_events else service.sync.sweep()
    assert outcome.revision == 4
    assert [key for key in service.bucket.opened if "toml" not in key] == ["cvmfs/d/changed", "cvmfs/new"]
    assert service.files() == {"/first": b"first", "/d/kept": b"1", "/d/changed": b"2", "/new": b"3"}
    assert "/gone" not in service.tree()
    assert service.bucket.listed == (1 if by_events else 2)


def test_a_look_without_changes_makes_no_revision(service: Service) -> None:
    seeded(service)
    assert run(service, "first", "none").published is None
    assert service.sync.sweep().published is None
    assert service.revision == 2


def test_k1_k2_k3_k5_nothing_of_a_refused_key_is_published(service: Service) -> None:
    seeded(service)
    bad = ["../victim/evil.sh", "a/../../x", "./a", "a//b", "a\nb", "\0", ".cvmfspublished", "n" * 256]
    for key in bad:
        put(service, key, b"x")
    service.bucket.put("data/secret.bin", b"x")
    service.bucket.put("/cvmfs/a", b"x")
    assert service.sync.mark(["data/secret.bin", "/cvmfs/a"]) == 0
    assert service.sync.run_once(["data/secret.bin", "/cvmfs/a"]).plan.is_empty
    run(service, *bad[:4])
    assert service.sync.sweep().published is None
    assert set(service.refusals()) == set(bad)
    assert service.files() == {"/first": b"first"}


def test_k6_unusual_names_are_published_unchanged(service: Service) -> None:
    names = [
        "results.20240131",
        "lib.so.12345678",
        "~backup",
        ".hidden",
        "core",
        "a b",
        "😀",
        "\u00e9",
        "e\u0301",
        "a\\b",
    ]
    for name in names:
        put(service, name, name.encode())
    service.sync.sweep()
    assert service.files() == {f"/{name}": name.encode() for name in names}


@pytest.mark.parametrize("by_events", [False, True])
def test_k7_a_file_becomes_a_directory_and_back(service: Service, by_events: bool) -> None:
    seeded(service)

    def look(*keys: str) -> None:
        run(service, *keys) if by_events else service.sync.sweep()

    put(service, "a", b"file")
    look("a")
    put(service, "a/b", b"below")
    put(service, "rest", b"rest")
    look("a/b", "rest")
    assert service.files() == {"/first": b"first", "/a/b": b"below", "/rest": b"rest"}
    assert service.refusals() == {"a": "file-and-directory"}
    delete(service, "a/b")
    look("a/b")
    assert service.files() == {"/first": b"first", "/a": b"file", "/rest": b"rest"}
    assert service.refusals() == {}
    assert service.bucket.listed == 0 or not by_events


def test_k8_many_and_deep(service: Service) -> None:
    for number in range(300):
        put(service, f"many/{number:05d}", b"%d" % number)
    put(service, "d/" * 40 + "f", b"deep")
    put(service, "empty/", b"")
    put(service, "zero", b"")
    service.sync.sweep()
    files = service.files()
    assert len(files) == 302
    assert files["/" + "d/" * 40 + "f"] == b"deep"
    assert files["/zero"] == b""
    assert "/empty" in service.tree()


@pytest.mark.parametrize("target", ["$(VAR)/x", "/abs/olute", "dangling", "../../out"])
def test_k9_link_targets_are_stored_as_given(service: Service, target: str) -> None:
    put(service, "l.rclonelink", target.encode())
    service.sync.sweep()
    assert service.files() == {"/l": f"-> {target}".encode()}


@pytest.mark.parametrize("body", [b"", b"a\0b", b"x" * 4096])
def test_links_without_a_possible_target_are_refused_and_not_read_again(service: Service, body: bytes) -> None:
    seeded(service)
    put(service, "l.rclonelink", body)
    service.sync.sweep()
    assert service.refusals() == {"l.rclonelink": "bad-link"}
    service.bucket.opened.clear()
    service.sync.sweep()
    assert "cvmfs/l.rclonelink" not in service.bucket.opened
    put(service, "l.rclonelink", b"fine")
    run(service, "l.rclonelink")
    assert service.files()["/l"] == b"-> fine"


# -- directories -------------------------------------------------------------------------------------------------------


def test_directories_are_as_old_as_the_newest_below_when_made_and_then_left_alone(service: Service) -> None:
    put(service, "d/old", b"1", mtime="1000")
    put(service, "d/sub/new", b"2", mtime="3000")
    put(service, "d/z", b"3", mtime="2000")
    service.sync.sweep()
    assert service.tree()["/d"].mtime_ns == 3000 * NANO
    assert service.tree()["/d/sub"].mtime_ns == 3000 * NANO
    put(service, "d/later", b"4", mtime="9000")
    run(service, "d/later")
    assert service.tree()["/d"].mtime_ns == 3000 * NANO


def test_a_marker_keeps_an_empty_directory_and_its_end_takes_it_away(service: Service) -> None:
    seeded(service)
    put(service, "d/", b"", mtime="5000", mode="16872")
    put(service, "d/f", b"1")
    service.sync.sweep()
    assert (service.tree()["/d"].mtime_ns, stat.S_IMODE(service.tree()["/d"].mode)) == (5000 * NANO, 0o750)
    delete(service, "d/f")
    run(service, "d/f")
    assert "/d" in service.tree()
    delete(service, "d/")
    run(service, "d/")
    assert "/d" not in service.tree()


def test_a_directory_outlives_its_marker_while_it_has_files(service: Service) -> None:
    seeded(service)
    put(service, "d/", b"")
    put(service, "d/f", b"1")
    service.sync.sweep()
    delete(service, "d/")
    run(service, "d/")
    assert set(service.tree()) == {"/first", "/d", "/d/f"}


# -- settings ----------------------------------------------------------------------------------------------------------


def test_settings_apply_to_what_is_there_already(service: Service) -> None:
    seeded(service)
    put(service, "tool", b"text")
    put(service, "junk.tmp", b"x")
    service.sync.sweep()
    put(service, ".fondaco.toml", b'executables = ["tool"]\nignore = ["*.tmp"]\n')
    run(service, ".fondaco.toml")
    assert set(service.files()) == {"/first", "/tool"}
    assert stat.S_IMODE(service.tree()["/tool"].mode) == 0o755
    delete(service, ".fondaco.toml")
    run(service, ".fondaco.toml")
    assert set(service.files()) == {"/first", "/tool", "/junk.tmp"}
    assert stat.S_IMODE(service.tree()["/tool"].mode) == 0o644


def test_wrong_settings_are_refused_with_the_line_and_the_last_good_ones_hold(service: Service) -> None:
    put(service, ".fondaco.toml", b'ignore = ["*.tmp"]\n')
    seeded(service)
    put(service, ".fondaco.toml", b'\nignore = ["a/**b"]\n')
    put(service, "x.tmp", b"x")
    run(service, ".fondaco.toml", "x.tmp")
    assert set(service.files()) == {"/first"}
    (row,) = service.ledger.refusals()
    assert (row.key, "line 2" in row.detail) == ("cvmfs/.fondaco.toml", True)
    assert service.sync.sweep().plan.is_empty
    put(service, ".fondaco.toml", b"")
    run(service, ".fondaco.toml")
    assert service.refusals() == {}
    assert set(service.files()) == {"/first", "/x.tmp"}


def test_catalog_settings_make_and_unmake_nested_catalogs(service: Service) -> None:
    put(service, ".fondaco.toml", b'catalogs = ["releases/*"]\n')
    for name in ("releases/1/f", "releases/2/f", "releases/2/.cvmfscatalog", "other/f"):
        put(service, name, b"")
    service.sync.sweep()
    tree = service.tree()
    assert [path for path, entry in sorted(tree.items()) if entry.is_mountpoint] == ["/releases/1", "/releases/2"]
    assert service.sync.sweep().published is None
    put(service, "releases/3/f", b"")
    run(service, "releases/3/f")
    assert service.tree()["/releases/3"].is_mountpoint
    delete(service, "releases/1/f")
    run(service, "releases/1/f")
    assert "/releases/1" not in service.tree()
    put(service, ".fondaco.toml", b"")
    service.sync.sweep()
    tree = service.tree()
    assert [path for path, entry in sorted(tree.items()) if entry.is_mountpoint] == ["/releases/2"]
    assert "/releases/3/.cvmfscatalog" not in tree


# -- the ledger --------------------------------------------------------------------------------------------------------


def test_what_others_published_in_the_way_is_a_refusal_not_the_end_of_the_batch(service: Service) -> None:
    seeded(service)
    with service.publisher.transaction() as tx:
        tx.put("/foreign", regular("foreign", tx.store_whole(b"theirs")))
        tx.commit()
    put(service, "foreign/x", b"ours")
    put(service, "good", b"good")
    run(service, "foreign/x", "good")
    assert service.files() == {"/first": b"first", "/foreign": b"theirs", "/good": b"good"}
    assert service.refusals() == {"foreign/x": "file-and-directory"}
    with service.publisher.transaction() as tx:
        tx.remove("/foreign")
        tx.commit()
    service.sync.sweep()
    assert service.files() == {"/first": b"first", "/foreign/x": b"ours", "/good": b"good"}


def test_the_timeline_tells_what_happened(service: Service) -> None:
    put(service, "a", b"123")
    put(service, "a//b", b"")
    service.sync.sweep(seen_at=START - 2)
    ((_, record),) = service.ledger.timeline()
    assert (record.cause, record.seen_at, record.planned_at, record.published_at) == ("sweep", START - 2, START, START)
    assert (record.revision, record.fetched, record.removed, record.refused, record.bytes) == (2, 1, 0, 1, 3)
    service.ledger.visible(2, at=START + 1)
    assert service.ledger.timeline()[0][1].visible_at == START + 1


def test_marks_are_taken_once(service: Service) -> None:
    assert service.sync.mark(["cvmfs/a", "cvmfs/b", "cvmfs/a", "other"]) == 2
    assert service.sync.take() == {"cvmfs/a", "cvmfs/b"}
    assert service.sync.take() == frozenset()


def test_progress_is_told(make_service: MakeService) -> None:
    service = make_service()
    steps: list[tuple[str, int, int]] = []
    service.sync.progress = lambda step, done, total: steps.append((step, done, total))
    put(service, "a", b"")
    service.sync.sweep()
    assert steps == [("list", 0, 0), ("read", 1, 1), ("publish", 0, 0)]


def test_the_fake_listing_has_no_metadata_as_real_ones(service: Service) -> None:
    put(service, "a", b"", mode="0755")
    assert list(service.bucket.list("cvmfs/")) == [
        ObjectInfo("cvmfs/a", 0, "d41d8cd98f00b204e9800998ecf8427e", service.bucket.now)
    ]
    assert service.publisher.fqrn == FQRN
