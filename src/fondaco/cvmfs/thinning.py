"""Which of many tags to keep (pure).

The rules are those that backup programs made known: keep the newest few, and of each of the last so many days, weeks
and months that have a tag at all the newest one. They look at tags only, not at the clock, so a repository that nobody
publishes to does not lose its tags; and applying them twice is the same as once.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass
from datetime import UTC, datetime

from fondaco.cvmfs.history import TRUNK, TRUNK_PREVIOUS, Tag

_AUTOMATIC = re.compile(r"generic-[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?Z", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """How many tags stay; a tag stays if any of the rules wants it. Days, weeks and months are those of UTC."""

    last: int = 0  # newest tags
    daily: int = 0  # days that have a tag: the newest tag of each
    weekly: int = 0  # ISO weeks
    monthly: int = 0

    def __post_init__(self) -> None:
        if any(count < 0 for count in astuple(self)):
            raise ValueError("a number of tags to keep is not negative")

    @property
    def nothing(self) -> bool:
        """Whether no tag would stay."""
        return not any(astuple(self))


def is_automatic(name: str) -> bool:
    """Whether a tag was named by a publisher for its time, and by no person."""
    return _AUTOMATIC.fullmatch(name) is not None


def superfluous(tags: Iterable[Tag], keep: Keep, *, named_too: bool = False) -> list[Tag]:
    """The tags that *keep* has no place for, newest first.

    Only automatic tags are looked at, all but the trunk tags with *named_too*.
    """
    considered = [
        tag for tag in tags if tag.name not in (TRUNK, TRUNK_PREVIOUS) and (named_too or is_automatic(tag.name))
    ]
    newest_first = sorted(considered, key=lambda tag: (tag.timestamp, tag.revision, tag.name), reverse=True)
    kept = {tag.name for tag in newest_first[: keep.last]}
    for count, period in ((keep.daily, _day), (keep.weekly, _week), (keep.monthly, _month)):
        kept |= _newest_of_each(newest_first, count, period)
    return [tag for tag in newest_first if tag.name not in kept]


_Period = tuple[int, ...]


def _newest_of_each(newest_first: list[Tag], count: int, period: Callable[[datetime], _Period]) -> set[str]:
    newest: dict[_Period, str] = {}
    for tag in newest_first:
        if len(newest) >= count:
            break
        newest.setdefault(period(datetime.fromtimestamp(tag.timestamp, UTC)), tag.name)
    return set(newest.values())


def _day(time: datetime) -> _Period:
    return time.year, time.month, time.day


def _week(time: datetime) -> _Period:
    return tuple(time.isocalendar())[:2]


def _month(time: datetime) -> _Period:
    return time.year, time.month
