"""Which tags stay."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fondaco.cvmfs.digest import Digest
from fondaco.cvmfs.history import TRUNK, TRUNK_PREVIOUS, Tag, automatic_tag
from fondaco.cvmfs.thinning import Keep, is_automatic, superfluous

START = datetime(2026, 11, 1, 12, tzinfo=UTC)


def tag(hours: float, name: str = "") -> Tag:
    time = int((START + timedelta(hours=hours)).timestamp())
    made = Tag(name="x", root=Digest(b"r" * 20), revision=1, timestamp=time)
    return automatic_tag(made) if not name else Tag(name=name, root=made.root, revision=1, timestamp=time)


TAGS = st.lists(st.integers(0, 24 * 200), max_size=40, unique=True).map(lambda hours: [tag(hour) for hour in hours])
COUNT = st.integers(0, 6)
KEEPS = st.builds(Keep, last=COUNT, daily=COUNT, weekly=COUNT, monthly=COUNT)


def names(tags: list[Tag]) -> set[str]:
    return {tag.name for tag in tags}


def kept(tags: list[Tag], keep: Keep) -> list[Tag]:
    gone = names(superfluous(tags, keep))
    return [tag for tag in tags if tag.name not in gone]


@given(TAGS, KEEPS)
def test_thinning_twice_is_thinning_once(tags: list[Tag], keep: Keep) -> None:
    assert superfluous(kept(tags, keep), keep) == []


@given(TAGS, KEEPS, KEEPS)
def test_more_to_keep_keeps_more(tags: list[Tag], keep: Keep, more: Keep) -> None:
    both = Keep(
        last=keep.last + more.last,
        daily=keep.daily + more.daily,
        weekly=keep.weekly + more.weekly,
        monthly=keep.monthly + more.monthly,
    )
    assert names(superfluous(tags, both)) <= names(superfluous(tags, keep))


@given(TAGS, KEEPS)
def test_as_many_stay_as_the_rules_say_and_the_newest_among_them(tags: list[Tag], keep: Keep) -> None:
    left = kept(tags, keep)
    assert len(left) >= min(len(tags), keep.last)
    assert len(left) <= keep.last + keep.daily + keep.weekly + keep.monthly
    if tags and not keep.nothing:
        assert max(tags, key=lambda one: one.timestamp) in left


@given(TAGS, st.integers(1, 6))
def test_daily_keeps_the_newest_of_each_of_the_last_days(tags: list[Tag], count: int) -> None:
    days: dict[object, Tag] = {}
    for one in sorted(tags, key=lambda one: one.timestamp):
        days[datetime.fromtimestamp(one.timestamp, UTC).date()] = one
    expected = [days[day] for day in sorted(days, reverse=True)[:count]]  # type: ignore[type-var]
    assert names(kept(tags, Keep(daily=count))) == names(expected)


def test_weeks_are_iso_weeks_and_months_those_of_the_calendar() -> None:
    tags = [tag(hours) for hours in (0, 1, 24, 24 * 8, 24 * 31)]  # Sunday the 1st twice, Monday, next week, December
    assert names(kept(tags, Keep(weekly=9))) == names([tags[1], tags[2], tags[3], tags[4]])
    assert names(kept(tags, Keep(monthly=2))) == names([tags[3], tags[4]])


def test_people_s_tags_stay_unless_asked_for_and_trunk_always() -> None:
    tags = [tag(0, "v1"), tag(1), tag(2, TRUNK), tag(1, TRUNK_PREVIOUS), tag(3)]
    assert superfluous(tags, Keep(last=1)) == [tags[1]]
    assert superfluous(tags, Keep(last=1), named_too=True) == [tags[1], tags[0]]


@pytest.mark.parametrize(
    ("name", "automatic"),
    [
        ("generic-2026-11-22T11:00:00Z", True),
        ("generic-2026-11-22T11:00:00.123Z", True),
        ("generic-2026", False),
        ("my-generic-2026-11-22T11:00:00Z", False),
    ],
)
def test_automatic_names_are_known(name: str, automatic: bool) -> None:
    assert is_automatic(name) == automatic


def test_a_negative_number_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="not negative"):
        Keep(daily=-1)
