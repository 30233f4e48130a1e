"""What goes wrong while a bucket is read or a revision is made loses nothing and is made good by the next look."""

import stat

import pytest

from fondaco.backends.errors import AccessDenied, BucketMissing, RequestRefused, Unavailable
from fondaco.cvmfs.errors import StoreFailed
from fondaco.cvmfs.transaction import Transaction
from fondaco.software.sync import Sync
from tests.software.conftest import START, Killed, MakeService, Service, delete, killed, put, run, seeded

# -- the bucket --------------------------------------------------------------------------------------------------------


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


# -- the ledger and the process ----------------------------------------------------------------------------------------


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
