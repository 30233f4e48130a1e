"""Which revisions stay."""

from hypothesis import given
from hypothesis import strategies as st

from fondaco.cvmfs.digest import Digest
from fondaco.cvmfs.gc.keep import Decision, Keep, decide
from fondaco.cvmfs.manifest import Manifest
from fondaco.cvmfs.reflog import Reference, RefKind


def digest(number: int) -> Digest:
    return Digest.of(b"%d" % number)


ROOTS = [Reference(kind=RefKind.CATALOG, digest=digest(number), timestamp=100 * number) for number in range(1, 7)]
AUX = [Reference(kind=RefKind.HISTORY, digest=digest(10 * number), timestamp=100 * number) for number in range(1, 7)]
MANIFEST = Manifest(
    root_catalog=digest(6),
    revision=6,
    fqrn="a.example.org",
    certificate=digest(99),
    history=digest(60),
    published_at=600,
)


def kept(keep: Keep, tagged: tuple[int, ...] = ()) -> list[int]:
    decision = decide([*ROOTS, *AUX], MANIFEST, [digest(number) for number in tagged], keep)
    numbers = {digest(number): number for number in range(1, 7)}
    assert set(decision.roots) == {reference.digest for reference in decision.kept if reference.kind is RefKind.CATALOG}
    return sorted(numbers[root] for root in decision.roots)


def test_the_current_and_the_tagged_always_stay() -> None:
    assert kept(Keep()) == [6]
    assert kept(Keep(), tagged=(2, 6)) == [2, 6]


def test_so_many_before_the_current_one_stay() -> None:
    assert kept(Keep(revisions=2)) == [4, 5, 6]
    assert kept(Keep(revisions=100)) == [1, 2, 3, 4, 5, 6]


def test_what_was_current_when_the_time_began_stays() -> None:
    assert kept(Keep(since=500)) == [4, 5, 6]
    assert kept(Keep(since=450)) == [4, 5, 6]
    assert kept(Keep(since=1000)) == [6]
    assert kept(Keep(since=0)) == [1, 2, 3, 4, 5, 6]


def test_either_wish_keeps() -> None:
    assert kept(Keep(revisions=1, since=450)) == [4, 5, 6]
    assert kept(Keep(revisions=4, since=550)) == [2, 3, 4, 5, 6]


def test_tag_databases_go_with_the_revisions_of_their_time() -> None:
    decision = decide([*ROOTS, *AUX], MANIFEST, [digest(1)], Keep(revisions=1))
    histories = [reference.timestamp for reference in decision.kept if reference.kind is RefKind.HISTORY]
    assert histories == [500, 600], "an old tagged revision keeps no tag database of its time"


def test_a_second_of_many_revisions_goes_by_their_order() -> None:
    same = [Reference(kind=RefKind.CATALOG, digest=digest(number), timestamp=5) for number in range(1, 7)]
    assert decide(same, MANIFEST, [], Keep(revisions=1)).roots == (digest(6), digest(5))


def test_a_repository_whose_log_misses_the_current_revision_keeps_it() -> None:
    assert decide(ROOTS[:3], MANIFEST, [], Keep()).roots == (digest(6),)


references = st.lists(
    st.builds(
        lambda kind, number, timestamp: Reference(kind=kind, digest=digest(number), timestamp=timestamp),
        st.sampled_from(RefKind),
        st.integers(1, 12),
        st.integers(0, 20),
    ),
    unique_by=lambda reference: reference.digest,
)
keeps = st.builds(
    lambda revisions, since: Keep(revisions=revisions, since=since),
    st.integers(0, 5),
    st.one_of(st.none(), st.integers(0, 25)),
)


@given(references, st.lists(st.integers(1, 12).map(digest)), keeps, st.integers(0, 5))
def test_asking_for_more_never_keeps_less(known: list[Reference], tagged: list[Digest], keep: Keep, more: int) -> None:
    def decided(wish: Keep) -> Decision:
        return decide(known, MANIFEST, tagged, wish)

    less = decided(keep)
    assert {MANIFEST.root_catalog, *tagged} <= set(less.roots)
    assert sorted([*less.kept, *less.dropped], key=str) == sorted(known, key=str)
    for wider in (
        Keep(revisions=keep.revisions + more, since=keep.since),
        Keep(revisions=keep.revisions, since=None if keep.since is None else keep.since - more),
    ):
        assert set(less.kept) <= set(decided(wider).kept)
    young = [one.timestamp for one in less.dropped if one.kind is RefKind.CATALOG]
    assert keep.since is None or all(timestamp < keep.since for timestamp in young)
