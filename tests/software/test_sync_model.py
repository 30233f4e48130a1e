"""F1, F2 and K7 by chance: any order of writes, lost, doubled and shuffled events, sweeps, crashes and lost ledgers.

The model is a dictionary from keys to content. After the faults stop, one sweep later, the repository shows what the
dictionary says, in the words of `expected` below, which knows none of the code under test.
"""

import contextlib
import random
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from fondaco.cvmfs.transaction import Transaction
from fondaco.software.sync import Sync
from tests.software.conftest import Killed, MakeService, Service, killed

KEYS = ["a", "a/", "a/b", "a/b/c", "a/b/d", "a.rclonelink", "a/b.rclonelink", "e/f/g", "e/", "e", "h", "a//x", "../y"]
contents = st.sampled_from([b"1", b"22", b"#!/bin/sh", b"x" * 9000])


def fitting(key: str, content: bytes) -> bytes:
    """What a key of that kind can hold: markers nothing, links a path."""
    return b"" if key.endswith("/") else content[:100] if key.endswith(".rclonelink") else content


def expected(objects: dict[str, bytes]) -> dict[str, bytes | None]:
    """Path → content, None for a directory; said as plainly as it can be."""
    good = {key for key in objects if "//" not in key and ".." not in key}
    good -= {key for key in good if key.endswith("/") and objects[key]}
    names = {key: key.removesuffix("/").removesuffix(".rclonelink") for key in good}
    directories: set[str] = set()
    for key in good:
        parts = names[key].split("/")
        depth = len(parts) + 1 if key.endswith("/") else len(parts)
        directories |= {"/".join(parts[:end]) for end in range(1, depth)}
    shown: dict[str, bytes | None] = {f"/{name}": None for name in directories}
    for key in sorted(good, key=len):  # the plain key is shorter than the link's, and comes first
        if not key.endswith("/") and f"/{names[key]}" not in shown:
            link = key != names[key]
            shown[f"/{names[key]}"] = b"-> " + objects[key] if link else objects[key]
    return shown


class BucketMachine(RuleBasedStateMachine):
    """Someone writes, events come as they come, the service looks when it does."""

    make_service: Callable[[], Service]

    @initialize()
    def start(self) -> None:
        self.service = self.make_service()
        self.events: list[str] = []
        self.put("h", b"1")
        self.sweep()

    @rule(key=st.sampled_from(KEYS), content=contents, event=st.sampled_from([0, 1, 1, 1, 2]))
    def write(self, key: str, content: bytes, event: int) -> None:
        self.put(key, content)
        self.events += [key] * event

    @rule(key=st.sampled_from(KEYS), event=st.sampled_from([0, 1, 1, 1, 2]))
    def delete(self, key: str, event: int) -> None:
        self.service.bucket.delete(f"cvmfs/{key}")
        self.events += [key] * event

    @rule(key=st.sampled_from(KEYS), content=contents)
    def write_while_it_is_read(self, key: str, content: bytes) -> None:
        """F2: the same key is written once more while it is being published."""
        bucket = self.service.bucket

        def again(opened: str) -> None:
            if opened == f"cvmfs/{key}":
                bucket.before_open = None
                self.put(key, content)
                self.events.append(key)

        if not key.endswith("/"):
            self.put(key, b"first")
            self.events.append(key)
            bucket.before_open = again
            self.look(0)
            bucket.before_open = None

    @rule(seed=st.integers(0, 3))
    def look(self, seed: int) -> None:
        random.Random(seed).shuffle(self.events)
        keys, self.events = self.events, []
        outcome = self.service.sync.run_once([f"cvmfs/{key}" for key in keys])
        self.events += [key.removeprefix("cvmfs/") for key in outcome.again]

    @rule(when=st.sampled_from([(Transaction, "commit"), (Sync, "_remember")]), by_events=st.booleans())
    def crash(self, when: tuple[type, str], by_events: bool) -> None:
        with pytest.MonkeyPatch.context() as patch, contextlib.suppress(Killed):
            patch.setattr(*when, killed)
            if by_events:
                self.look(0)
            else:
                self.service.sync.sweep()

    @rule()
    def lose_the_ledger(self) -> None:
        self.service.ledger.close()
        self.service.new_ledger()

    @rule()
    def sweep(self) -> None:
        self.service.clock.now += 60
        self.service.sync.sweep()

    @precondition(lambda self: hasattr(self, "service"))
    @invariant()
    def whatever_is_visible_is_whole(self) -> None:
        """Every published file can be read through the verified chain."""
        self.service.files()

    def teardown(self) -> None:
        if not hasattr(self, "service"):
            return
        if all(key in ("a//x", "../y") for key in self.bucket()):
            self.service.sync.sweep()
        self.sweep()
        files = self.service.files()
        shown = {path: files.get(path) for path in self.service.tree()}
        assert shown == expected(self.bucket())
        revision = self.service.revision
        assert self.service.sync.sweep().plan.is_empty
        assert self.service.sync.run_once([f"cvmfs/{key}" for key in KEYS]).published is None
        assert self.service.revision == revision

    def put(self, key: str, content: bytes) -> None:
        self.service.bucket.put(f"cvmfs/{key}", fitting(key, content))

    def bucket(self) -> dict[str, bytes]:
        return {key.removeprefix("cvmfs/"): one.content for key, one in self.service.bucket.objects.items()}


def test_f1_f2_bucket_and_repository_converge(make_service: MakeService) -> None:
    class Machine(BucketMachine):
        pass

    Machine.make_service = staticmethod(make_service)

    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    run_state_machine_as_test(
        Machine,
        settings=settings(max_examples=25, stateful_step_count=20, suppress_health_check=checks),
    )


states = st.dictionaries(st.sampled_from(KEYS), contents, max_size=6)
changes = st.dictionaries(st.sampled_from(KEYS), contents | st.none(), max_size=4)


@given(first=states, changed=changes)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_events_and_sweeps_lead_to_the_same(
    make_service: MakeService, first: dict[str, bytes], changed: dict[str, bytes | None]
) -> None:
    """The same writes, once looked at key by key and once by a listing, leave equal repositories and refusals."""
    by_events, by_sweep = make_service(), make_service()
    for service in (by_events, by_sweep):
        for key, content in {"keep": b"1", **first}.items():
            service.bucket.put(f"cvmfs/{key}", fitting(key, content))
        service.sync.sweep()
        for key, content in changed.items():
            if content is None:
                service.bucket.delete(f"cvmfs/{key}")
            else:
                service.bucket.put(f"cvmfs/{key}", fitting(key, content))
    by_events.sync.run_once([f"cvmfs/{key}" for key in changed])
    by_sweep.sync.sweep()
    assert by_events.files() == by_sweep.files()
    assert set(by_events.tree()) == set(by_sweep.tree())
    assert by_events.refusals() == by_sweep.refusals()
    assert by_events.sync.sweep().plan.is_empty
