"""What a store holds is known with few questions, and never wrongly said to be there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fondaco.cvmfs.stores import presence
from fondaco.cvmfs.stores.presence import QUESTIONS_BEFORE_LISTING, Presence


class Server:
    """Objects by key, and what was asked of it."""

    def __init__(self, page: int = 1_000) -> None:
        self.objects: dict[str, int] = {}
        self.asked = 0
        self.listed = 0
        self.page = page

    def ask(self, key: str) -> int | None:
        self.asked += 1
        return self.objects.get(key)

    def list_folder(self, folder: str) -> dict[str, int] | None:
        self.listed += 1
        found = {key: size for key, size in self.objects.items() if key.startswith(folder + "/")}
        return found if len(found) <= self.page else None


def publish(known: Presence, server: Server, keys: list[str]) -> int:
    """How many of *keys* were written."""
    written = 0
    for key in keys:
        if not known.holds(key, 1):
            server.objects[key] = 1
            known.add(key, 1)
            written += 1
    return written


KEYS = [f"data/{number % 4:02x}/{number:04d}" for number in range(400)]


def test_many_objects_take_few_questions_and_one_listing_a_folder() -> None:
    server = Server()
    assert publish(Presence(server.ask, server.list_folder), server, KEYS) == 400
    assert (server.asked, server.listed) == (4 * (QUESTIONS_BEFORE_LISTING - 1), 4)
    again = Presence(server.ask, server.list_folder)
    assert publish(again, server, KEYS) == 0
    assert server.listed == 8
    assert publish(again, server, KEYS) == 0
    assert server.listed == 8


def test_a_few_objects_take_no_listing() -> None:
    server = Server()
    assert publish(Presence(server.ask, server.list_folder), server, KEYS[:8]) == 8
    assert (server.asked, server.listed) == (8, 0)


def test_a_folder_that_is_too_large_is_listed_once_and_then_asked() -> None:
    server = Server(page=50)
    publish(Presence(server.ask, server.list_folder), server, KEYS)
    listed = server.listed
    known = Presence(server.ask, server.list_folder)
    assert publish(known, server, KEYS) == 0
    assert server.listed == listed + 4


def test_another_size_and_what_was_removed_or_forgotten_is_not_there() -> None:
    server = Server()
    known = Presence(server.ask, server.list_folder)
    publish(known, server, KEYS)
    assert not known.holds(KEYS[0], 2)
    known.remove(KEYS[0])
    assert not known.holds(KEYS[0], 1)
    server.objects.clear()
    assert known.holds(KEYS[1], 1)
    known.forget()
    assert not known.holds(KEYS[1], 1)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server()
    server.objects = dict.fromkeys(KEYS, 1)
    monkeypatch.setattr(presence, "MAX_KNOWN", 10)
    known = Presence(server.ask, server.list_folder)
    assert publish(known, server, KEYS * 2) == 0
    assert len(known._sizes) <= 10


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 2)), max_size=80), st.integers(0, 20))
def test_it_says_what_the_store_says(steps: list[tuple[int, int]], page: int) -> None:
    server = Server(page=page)
    known = Presence(server.ask, server.list_folder)
    for number, size in steps:
        key = f"data/{number % 3:02x}/{number}"
        assert known.holds(key, size) == (server.objects.get(key) == size)
        server.objects[key] = size
        known.add(key, size)
