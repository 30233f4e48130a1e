"""A bucket in memory and a real repository: what is in one is in the other."""

import stat

import pytest

from fondaco.backends.bucket import ObjectInfo
from fondaco.backends.errors import AccessDenied, BucketMissing, RequestRefused, Unavailable
from fondaco.cvmfs.entry import regular
from fondaco.cvmfs.errors import StoreFailed
from fondaco.cvmfs.transaction import Transaction
from fondaco.software.sync import Outcome, Sync
from tests.software.conftest import FQRN, START, MakeService, Service

NANO = 1_000_000_000


def put(service: Service, key: str, content: bytes = b"", **metadata: str) -> None:
    service.bucket.put(f"cvmfs/{key}", content, metadata)


def delete(service: Service, key: str) -> None:
    service.bucket.delete(f"cvmfs/{key}")


def run(service: Service, *keys: str) -> Outcome:
    return service.sync.run_once([f"cvmfs/{key}" for key in keys])


def seeded(service: Service) -> Service:
    """Past the first sweep, so that events are looked at one by one."""
    put(service, "first", b"first")
    service.sync.sweep()
    service.bucket.listed = 0
    return service


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


def test_k10_what_is_published_and_remembered_is_the_version_that_was_read(service: Service) -> None:
    seeded(service)
    put(service, "f", b"old", mode="0644")

    def overwrite(key: str) -> None:
        if key == "cvmfs/f":
            service.bucket.before_open = None
            put(service, "f", b"newer", mode="0755")

    service.bucket.before_open = overwrite
    assert run(service, "f").revision == 3
    assert service.files()["/f"] == b"newer"
    assert stat.S_IMODE(service.tree()["/f"].mode) == 0o755
    service.bucket.opened.clear()
    assert run(service, "f").published is None
    assert service.sync.sweep().published is None
    assert "cvmfs/f" not in service.bucket.opened


def test_k10_an_object_that_cannot_be_read_is_refused_and_tried_again(service: Service) -> None:
    seeded(service)
    put(service, "bad", b"x" * 5000)
    put(service, "denied", b"x")
    put(service, "good", b"good")
    service.bucket.reading_fails["cvmfs/bad"] = Unavailable("cut off")
    service.bucket.opening_fails["cvmfs/denied"] = RequestRefused("customer key")
    outcome = service.sync.sweep()
    assert service.files() == {"/first": b"first", "/good": b"good"}
    assert service.refusals() == {"bad": "unreadable", "denied": "unreadable"}
    assert outcome.again == {"cvmfs/bad", "cvmfs/denied"}
    assert service.bucket.opened.count("cvmfs/bad") == 3
    assert len(service.pauses) == 2
    service.bucket.reading_fails.clear()
    assert run(service, "bad").revision == 4
    assert service.refusals() == {"denied": "unreadable"}


def test_an_unreadable_new_version_leaves_the_old_one(service: Service) -> None:
    seeded(service)
    put(service, "first", b"second")
    service.bucket.opening_fails["cvmfs/first"] = RequestRefused("no")
    assert run(service, "first").published is None
    assert service.files() == {"/first": b"first"}
    assert service.refusals() == {"first": "unreadable"}
    delete(service, "first")
    put(service, "other", b"x")
    service.sync.sweep()
    assert service.files() == {"/other": b"x"}
    assert service.refusals() == {}


def test_an_object_deleted_before_it_is_read_is_looked_at_again(service: Service) -> None:
    seeded(service)
    put(service, "f", b"x")
    service.bucket.before_open = lambda _: delete(service, "f")
    outcome = run(service, "f")
    assert (outcome.published, outcome.again) == (None, {"cvmfs/f"})
    assert run(service, "f").plan.is_empty
    assert service.sync.sweep().plan.is_empty


def test_f7_nothing_is_published_when_the_bucket_fails_as_a_whole(service: Service) -> None:
    seeded(service)
    put(service, "a", b"a")
    put(service, "b", b"b")

    def vanish(key: str) -> None:
        if key == "cvmfs/b":
            service.bucket.missing = True
            service.bucket.opening_fails["cvmfs/b"] = BucketMissing("gone")
            service.bucket.objects["cvmfs/b"] = service.bucket.objects["cvmfs/b"]

    service.bucket.before_open = vanish
    service.bucket.opening_fails["cvmfs/b"] = AccessDenied("closed")
    real = service.bucket._stored
    service.bucket._stored = lambda key: service.bucket.objects[key] if key == "cvmfs/b" else real(key)  # type: ignore[method-assign]
    with pytest.raises(BucketMissing):
        service.sync.sweep()
    assert service.revision == 2
    assert service.ledger.timeline()[0][1].error
    service.bucket.missing = False
    service.bucket.before_open = None
    service.bucket.opening_fails.clear()
    assert service.sync.sweep().revision == 3
    assert set(service.files()) == {"/first", "/a", "/b"}


@pytest.mark.parametrize("error", [Unavailable("503"), AccessDenied("403"), BucketMissing("404")])
def test_f12_nothing_is_removed_on_a_failed_or_partial_listing(service: Service, error: Exception) -> None:
    seeded(service)
    put(service, "second", b"2")
    service.sync.sweep()
    service.bucket.listing_fails = error  # type: ignore[assignment]
    with pytest.raises(type(error)):
        service.sync.sweep()
    assert set(service.files()) == {"/first", "/second"}
    with pytest.raises(type(error)):
        service.sync.sweep()
    assert [record.error for _, record in service.ledger.timeline()] == [str(error), "", ""]


def test_f12_an_emptied_bucket_is_believed_after_a_second_listing_later(service: Service) -> None:
    seeded(service)
    delete(service, "first")
    assert service.sync.sweep().plan.held == 1
    service.clock.now = START + 29
    assert service.sync.sweep().plan.held == 1
    service.clock.now = START + 30
    assert service.sync.sweep().revision == 3
    assert service.files() == {}


def test_f12_content_between_two_empty_listings_starts_the_wait_again(service: Service) -> None:
    seeded(service)
    delete(service, "first")
    service.sync.sweep()
    put(service, "first", b"first")
    service.sync.sweep()
    delete(service, "first")
    service.clock.now = START + 60
    assert service.sync.sweep().plan.held == 1


def test_f12_events_cannot_empty_a_repository_at_once(service: Service) -> None:
    seeded(service)
    delete(service, "first")
    outcome = run(service, "first")
    assert (outcome.is_sweep, outcome.plan.held, outcome.published) == (True, 1, None)


def test_f12_events_about_a_bucket_that_is_gone_remove_nothing(service: Service) -> None:
    seeded(service)
    put(service, "second", b"2")
    service.sync.sweep()
    service.bucket.missing = True
    with pytest.raises(BucketMissing):
        run(service, "first")
    assert set(service.files()) == {"/first", "/second"}


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


def test_a_lost_ledger_converges_without_a_new_revision(service: Service) -> None:
    for name in ("a/f", "a/g", "e/", ".hidden"):
        put(service, name, b"x" if not name.endswith("/") else b"")
    put(service, "l.rclonelink", b"a/f")
    put(service, ".fondaco.toml", b'catalogs = ["a"]\n')
    service.sync.sweep()
    before = service.tree()
    service.ledger.close()
    service.new_ledger()
    assert service.sync.sweep().published is None
    assert service.tree() == before
    assert service.sync.sweep().plan.is_empty


def test_a_lost_ledger_still_removes_what_the_bucket_lost(service: Service) -> None:
    for name in ("a/f", "b/g", "e/"):
        put(service, name, b"")
    service.sync.sweep()
    service.ledger.close()
    service.new_ledger()
    delete(service, "b/g")
    delete(service, "e/")
    service.sync.sweep()
    assert set(service.tree()) == {"/a", "/a/f"}


class Killed(BaseException):
    """The process ends here."""


def killed(*_: object, **__: object) -> None:
    raise Killed


@pytest.mark.parametrize("when", ["before manifest", "after manifest"])
def test_f3_a_publish_that_is_cut_off_is_finished_by_the_next(
    make_service: MakeService, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    service, undisturbed = seeded(make_service()), seeded(make_service())
    for one in (service, undisturbed):
        put(one, "a", b"a")
        put(one, "d/b", b"b")
        put(one, "first", b"1")
    step = (Transaction, "commit") if when == "before manifest" else (Sync, "_remember")
    with monkeypatch.context() as patch:
        patch.setattr(*step, killed)
        with pytest.raises(Killed):
            service.sync.sweep()
    assert service.revision == (2 if when == "before manifest" else 3)
    outcome = service.sync.sweep()
    assert outcome.revision == (3 if when == "before manifest" else None)
    undisturbed.sync.sweep()
    assert service.files() == undisturbed.files()
    assert service.tree() == undisturbed.tree()
    assert service.sync.sweep().plan.is_empty


def test_f3_a_cut_off_publish_of_what_was_then_deleted_is_undone(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeded(service)
    put(service, "a/b", b"x")
    with monkeypatch.context() as patch:
        patch.setattr(Sync, "_remember", killed)
        with pytest.raises(Killed):
            run(service, "a/b")
    assert "/a/b" in service.files()
    delete(service, "a/b")
    service.sync.sweep()
    assert set(service.tree()) == {"/first"}


def test_f3_a_cut_off_removal_is_noticed_when_the_same_version_comes_back(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeded(service)
    put(service, "a", b"x")
    service.sync.sweep()
    stored = service.bucket.objects["cvmfs/a"]
    delete(service, "a")
    with monkeypatch.context() as patch:
        patch.setattr(Sync, "_remember", killed)
        with pytest.raises(Killed):
            run(service, "a")
    assert set(service.files()) == {"/first"}
    service.bucket.objects["cvmfs/a"] = stored
    service.sync.sweep()
    assert set(service.files()) == {"/first", "/a"}


def test_a_store_that_fails_is_not_taken_for_an_unreadable_object(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeded(service)
    put(service, "a", b"x")

    def full(*_: object) -> None:
        raise StoreFailed("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(Transaction, "store_whole", full)
        with pytest.raises(StoreFailed):
            run(service, "a")
    assert service.refusals() == {}
    assert run(service, "a").revision == 3


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
