"""Tags given and taken, many at once."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from fondaco.cvmfs.errors import AlreadyExists, BadChange, BadName, NotInRepository
from fondaco.cvmfs.head import Head
from fondaco.cvmfs.history import TRUNK, TRUNK_PREVIOUS, Tag
from fondaco.cvmfs.reflog import RefKind
from fondaco.cvmfs.repository import Repository
from fondaco.cvmfs.tagging import add_tags, remove_tags, thin_tags
from fondaco.cvmfs.thinning import Keep
from tests.cvmfs.conftest import KeyFolder
from tests.cvmfs.repositories import Place


@pytest.fixture
def place(tmp_path: Path, key_folder: KeyFolder) -> Place:
    """Revisions 1 to 4."""
    made = Place(tmp_path / "repository", key_folder.path).create()
    (tmp_path / "source").mkdir()
    for number in range(2, 5):
        (tmp_path / "source/f").write_bytes(b"%d" % number)
        made.publish(tmp_path / "source")
    return made


def head(place: Place) -> Head:
    with place.publisher.held() as held:
        return held


def tags(place: Place) -> dict[str, Tag]:
    return {tag.name: tag for tag in head(place).history.tags()}


def test_tags_are_made_in_one_commit_and_no_revision(place: Place) -> None:
    before, objects = place.manifest(), place.objects()
    place.clock.now += 60
    add_tags(place.publisher, ["a", "b"], description="for the paper")
    after = place.manifest()
    assert (after.revision, after.root_catalog) == (before.revision, before.root_catalog)
    assert after.published_at > before.published_at
    assert len(place.objects() - objects) == 1
    assert head(place).reflog.contains(RefKind.HISTORY, after.history) if after.history else False
    found = tags(place)
    assert {found["a"].root, found["b"].root} == {before.root_catalog}
    assert found["a"].description == "for the paper"
    assert found["a"].timestamp == found[TRUNK].timestamp == before.published_at, "that of the revision"
    assert found["a"].size == before.root_catalog_size


@pytest.mark.parametrize(("at", "revision"), [(None, 4), (TRUNK_PREVIOUS, 3), ("2", 2), ("4", 4), ("1", 1)])
def test_a_tag_goes_where_it_is_told(place: Place, at: str | None, revision: int) -> None:
    (tag,) = add_tags(place.publisher, ["here"], at=at)
    assert tag.revision == revision
    assert tags(place)["here"] == tag


def test_a_tag_that_looks_like_a_number_is_a_tag(place: Place) -> None:
    add_tags(place.publisher, ["4"], at="2")
    (at_it,) = add_tags(place.publisher, ["x"], at="4")
    (here,) = add_tags(place.publisher, ["y"])
    assert (at_it.revision, here.revision) == (2, 4)


def test_a_root_catalog_names_a_revision(place: Place) -> None:
    old = tags(place)[TRUNK_PREVIOUS]
    (tag,) = add_tags(place.publisher, ["here"], at=str(old.root))
    assert (tag.root, tag.revision) == (old.root, 3)


@pytest.mark.parametrize(
    ("names", "error"),
    [
        (["new", "old"], AlreadyExists),
        (["new", TRUNK], BadName),
        (["new", "with space"], BadName),
    ],
)
def test_one_bad_name_and_none_is_made(place: Place, names: list[str], error: type[Exception]) -> None:
    add_tags(place.publisher, ["old"])
    before = place.manifest()
    with pytest.raises(error):
        add_tags(place.publisher, names)
    assert place.manifest() == before


def test_many_go_in_one_commit(place: Place) -> None:
    add_tags(place.publisher, [f"t{number}" for number in range(300)])
    size = len(head(place).history.serialize())
    removed = remove_tags(place.publisher, [f"t{number}" for number in range(299)])
    assert len(removed) == 299
    assert tags(place).keys() == {"t299", TRUNK, TRUNK_PREVIOUS}
    assert len(head(place).history.serialize()) < size, "no room is kept for what went"


@pytest.mark.parametrize(
    ("names", "error", "why"),
    [
        ([TRUNK], BadName, "every publish moves"),
        (["a", TRUNK_PREVIOUS], BadName, "every publish moves"),
        (["a", "none"], NotInRepository, "no tag 'none'"),
    ],
)
def test_one_that_cannot_go_and_none_goes(place: Place, names: list[str], error: type[Exception], why: str) -> None:
    add_tags(place.publisher, ["a"])
    with pytest.raises(error, match=why):
        remove_tags(place.publisher, names)
    assert "a" in tags(place)


def test_thinning_removes_what_the_rules_do_not_keep(place: Place) -> None:
    automatic = [f"generic-2026-11-{day:02}T00:00:00Z" for day in range(1, 5)]
    add_tags(place.publisher, [*automatic, "mine"])
    would, _ = thin_tags(place.publisher, Keep(last=1), dry_run=True)
    assert tags(place).keys() >= {*automatic, "mine"}
    gone, left = thin_tags(place.publisher, Keep(last=1))
    assert gone == would
    assert tags(place).keys() == {automatic[-1], "mine", TRUNK, TRUNK_PREVIOUS}
    assert left == 4


def test_nothing_to_thin_commits_nothing(place: Place) -> None:
    before = place.manifest()
    assert thin_tags(place.publisher, Keep(last=1)) == ((), 2)
    assert place.manifest() == before


def test_rules_that_keep_nothing_are_a_mistake(place: Place) -> None:
    with pytest.raises(BadChange, match="keep none"):
        thin_tags(place.publisher, Keep())


def test_readers_find_revisions_without_a_tag(place: Place) -> None:
    repository = Repository.open(place.store, public_keys=(place.signer.public_key,), now=_aware(place.clock.now))
    assert repository.revision_of().revision == 4
    untagged = repository.revision_of("2")
    assert (untagged.revision, untagged.name) == (2, "")
    assert repository.revision_of(str(untagged.root)).revision == 2
    for named in ("0", "5", "none"):
        with pytest.raises(NotInRepository):
            repository.revision_of(named)


def test_a_collected_revision_ends_the_trail(place: Place) -> None:
    repository = Repository.open(place.store, public_keys=(place.signer.public_key,), now=_aware(place.clock.now))
    second = repository.revision_of("2").root
    place.store.delete(f"data/{str(second)[:2]}/{str(second)[2:]}C")
    with pytest.raises(NotInRepository, match="any more"):
        repository.revision_of("1")
    with pytest.raises(NotInRepository, match="collected"):
        repository.revision_of(str(second))


def _aware(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
