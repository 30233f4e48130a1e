"""When to look at a bucket: pure decisions on times that the caller gives, in seconds of one monotonic clock.

Events are gathered until they have been quiet for a while, but not for ever; sweeps come at an interval, on demand and
after whatever may have lost events; failures are followed by growing pauses; what could not be read is tried again.
"""

from dataclasses import dataclass, field
from enum import Enum


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """All in seconds."""

    quiet: float = 1.0  # without a further event before a publish begins
    longest: float = 10.0  # an event waits at most so long for quiet
    sweep: float = 300.0  # between two looks at the whole folder
    confirm: float = 30.0  # before an empty listing is looked at again
    first_retry: float = 1.0  # after a failure, doubled up to the longest
    longest_retry: float = 60.0
    first_again: float = 5.0  # before keys that could not be read are tried again, doubled up to the longest
    longest_again: float = 300.0


class Action(Enum):
    """What to do now."""

    LOOK = "look"  # at the keys of the events
    SWEEP = "sweep"
    AGAIN = "again"  # mark the keys that could not be read


@dataclass(slots=True)
class Schedule:
    """Told what happens, says what to do next."""

    timing: Timing
    _sweep_at: float = 0.0  # at once
    _first: float | None = None  # event that is not served yet
    _last: float = 0.0
    _not_before: float = 0.0  # after a failure
    _failures: int = 0
    _again_at: float | None = None
    _agains: int = 0
    _held: bool = field(default=False)

    # -- what happened -------------------------------------------------------------------------------------------------

    def marked(self, now: float) -> None:
        """Keys were marked."""
        self._first = now if self._first is None else self._first
        self._last = now

    def sweep_wanted(self, now: float) -> None:
        """Somebody asks for a sweep, or events may have been lost."""
        self._sweep_at = min(self._sweep_at, now)

    def began(self) -> None:
        """The marked keys were taken: later events count anew."""
        self._first = None

    def succeeded(self, now: float, *, swept: bool, held: bool, again: bool) -> None:
        """A look went well; *held*: the bucket seems empty; *again*: some keys could not be read."""
        self._failures = 0
        self._not_before = now
        if held:
            self._sweep_at = now + self.timing.confirm
        elif swept:
            self._sweep_at = now + self.timing.sweep
        if again:
            self._again_at = now + min(self.timing.first_again * 2**self._agains, self.timing.longest_again)
            self._agains += 1
        elif self._again_at is None:
            self._agains = 0

    def failed(self, now: float, *, share: float) -> None:
        """A look failed as a whole; *share*, from 0 to 1 and random, spreads those who fail together."""
        pause = min(self.timing.first_retry * 2**self._failures, self.timing.longest_retry)
        self._not_before = now + pause * (0.5 + share / 2)
        self._failures = min(self._failures + 1, 30)

    def again_marked(self) -> None:
        """The keys that could not be read were marked again."""
        self._again_at = None

    # -- what to do ----------------------------------------------------------------------------------------------------

    def next(self, now: float) -> tuple[Action | None, float]:
        """What to do now, or None and how long to wait at most for something to happen."""
        due = [(self._sweep_at, Action.SWEEP)]
        if self._first is not None:
            due.append((min(self._last + self.timing.quiet, self._first + self.timing.longest), Action.LOOK))
        if self._again_at is not None:
            due.append((self._again_at, Action.AGAIN))
        moment, action = min(due, key=lambda one: one[0])
        moment = max(moment, self._not_before)
        return (action, 0.0) if moment <= now else (None, moment - now)
