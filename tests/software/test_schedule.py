"""When a bucket is looked at, on a clock that is moved by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fondaco.software.schedule import Action, Schedule, Timing

TIMING = Timing(quiet=1, longest=10, sweep=300, confirm=30, first_retry=1, longest_retry=60)


def after_first_sweep(now: float = 0.0) -> Schedule:
    schedule = Schedule(TIMING)
    assert schedule.next(now) == (Action.SWEEP, 0.0)
    schedule.began()
    schedule.succeeded(now, swept=True, held=False, again=False)
    return schedule


def test_the_first_thing_is_a_sweep_and_then_one_per_interval() -> None:
    schedule = after_first_sweep()
    assert schedule.next(1) == (None, 299)
    assert schedule.next(300) == (Action.SWEEP, 0.0)


def test_events_wait_for_quiet() -> None:
    schedule = after_first_sweep()
    schedule.marked(5.0)
    assert schedule.next(5.0) == (None, 1.0)
    schedule.marked(5.5)
    assert schedule.next(6.0) == (None, 0.5)
    assert schedule.next(6.5) == (Action.LOOK, 0.0)
    schedule.began()
    assert schedule.next(6.5)[0] is None


def test_events_do_not_wait_for_ever() -> None:
    schedule = after_first_sweep()
    for tenth in range(100):
        schedule.marked(5 + tenth / 10)
        assert schedule.next(5 + tenth / 10)[0] is None
    assert schedule.next(15.0) == (Action.LOOK, 0.0)


def test_a_wanted_sweep_comes_at_once_and_serves_the_events_too() -> None:
    schedule = after_first_sweep()
    schedule.marked(5.0)
    schedule.sweep_wanted(5.1)
    assert schedule.next(5.1) == (Action.SWEEP, 0.0)
    schedule.began()
    schedule.succeeded(5.2, swept=True, held=False, again=False)
    assert schedule.next(100)[0] is None


def test_an_empty_bucket_is_looked_at_again_sooner() -> None:
    schedule = after_first_sweep()
    schedule.succeeded(10, swept=True, held=True, again=False)
    assert schedule.next(10) == (None, 30)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_failures_are_followed_by_growing_bounded_pauses(share: float) -> None:
    schedule = after_first_sweep()
    now, pauses = 1000.0, []
    for _ in range(12):
        assert schedule.next(now)[0] is Action.SWEEP
        schedule.failed(now, share=share)
        action, pause = schedule.next(now)
        assert action is None
        pauses.append(pause)
        now += pause
    scale = 0.5 + share / 2
    assert pauses == [scale * min(2**number, 60) for number in range(12)]
    schedule.succeeded(now, swept=True, held=False, again=False)
    schedule.failed(now, share=1.0)
    assert schedule._failures == 1


def test_what_could_not_be_read_is_tried_ever_later() -> None:
    schedule = after_first_sweep()
    now, pauses = 0.0, []
    for _ in range(8):
        schedule.succeeded(now, swept=True, held=False, again=True)
        action, pause = schedule.next(now)
        assert action is None
        pauses.append(pause)
        now += pause
        assert schedule.next(now) == (Action.AGAIN, 0.0) or pauses[-1] == 300
        schedule.again_marked()
    assert pauses == [5, 10, 20, 40, 80, 160, 300, 300]
    schedule.succeeded(now, swept=True, held=False, again=False)
    schedule.succeeded(now, swept=True, held=False, again=True)
    assert schedule.next(now) == (None, 5)


steps = st.lists(st.tuples(st.sampled_from(["mark", "sweep", "fail", "wait"]), st.floats(0, 20)), max_size=40)


@given(steps)
def test_no_event_waits_longer_than_promised_while_nothing_fails(happened: list[tuple[str, float]]) -> None:
    schedule, now, oldest = after_first_sweep(), 0.0, None
    for what, passed in happened:
        end = now + passed
        while True:
            action, pause = schedule.next(now)
            if action is None:
                if now + pause > end:
                    break
                assert pause > 0
                now += pause
                continue
            assert oldest is None or now - oldest <= TIMING.longest + 1e-6
            schedule.began()
            schedule.succeeded(now, swept=action is Action.SWEEP, held=False, again=False)
            oldest = None
        now = end
        if what == "mark":
            schedule.marked(now)
            oldest = now if oldest is None else oldest
        elif what == "sweep":
            schedule.sweep_wanted(now)
