"""Which objects a remote store holds, asked with as few requests as that takes.

One question for each object is one round trip more for each; 10,000 of them are as much work for the server as the
10,000 uploads. So after a few questions about one folder (``data/ab``) the folder is listed, if one page shows it all.
"""

import threading
from collections.abc import Callable, Mapping

QUESTIONS_BEFORE_LISTING = 4  # of one folder: a listing is dearer than a question, and a small publish needs none
MAX_KNOWN = 500_000  # names remembered, some 150 bytes each

Ask = Callable[[str], int | None]  # size of the object of that key, None when there is none
ListFolder = Callable[[str], Mapping[str, int] | None]  # keys and sizes in a folder; None: too many for one page


class Presence:
    """What is known of one store since the last :meth:`forget`. Thread-safe.

    What others add meanwhile may be missed, and is then written again. What others remove is not noticed: who removes
    objects has to keep publishers out.
    """

    def __init__(self, ask: Ask, list_folder: ListFolder) -> None:
        self._ask = ask
        self._list_folder = list_folder
        self._lock = threading.Lock()
        self._sizes: dict[str, int] = {}
        self._questions: dict[str, int] = {}
        self._whole: set[str] = set()  # folders of which every object is known

    def holds(self, key: str, size: int) -> bool:
        """Whether the store has *key* with *size* bytes."""
        folder = key.rpartition("/")[0]
        with self._lock:
            if self._sizes.get(key) == size:
                return True
            if folder in self._whole:
                return False
            self._questions[folder] = self._questions.get(folder, 0) + 1
            listing = self._questions[folder] == QUESTIONS_BEFORE_LISTING  # one thread, once
        if listing:
            found = self._list_folder(folder)
            if found is not None and self._learn(folder, found):
                return found.get(key) == size
        answer = self._ask(key)
        if answer == size:
            self.add(key, size)
        return answer == size

    def add(self, key: str, size: int) -> None:
        """*key* is there from now on."""
        with self._lock:
            if len(self._sizes) < MAX_KNOWN:
                self._sizes[key] = size

    def remove(self, key: str) -> None:
        """*key* is gone."""
        with self._lock:
            self._sizes.pop(key, None)

    def forget(self) -> None:
        """Know nothing: others may have changed the store."""
        with self._lock:
            self._sizes.clear()
            self._questions.clear()
            self._whole.clear()

    def _learn(self, folder: str, found: Mapping[str, int]) -> bool:
        """Remember a listed folder; False when there is no room for it."""
        with self._lock:
            if len(self._sizes) + len(found) > MAX_KNOWN:
                return False
            for key, size in found.items():
                self._sizes.setdefault(key, size)
            self._whole.add(folder)
            return True
