"""A running application over stores in memory, asked through real connections."""

import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from fondaco.software.ledger import Ledger
from fondaco.web.app import create_app
from fondaco.web.serve import Address, serve
from fondaco.web.site import Contact, Hook, ServedRepository, Site
from tests.cvmfs.stores.memory import MemoryStore

FQRN = "web.example.org"
BUCKET = "repo"
TOKEN = "a token of the tests"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def problem(self) -> Any:
        """The problem document that an error has to be."""
        assert self.headers["content-type"] == "application/problem+json"
        found = self.json()
        assert found["status"] == self.status
        assert found["title"]
        return found


@dataclass
class Face:
    """The application under test and what lies behind it."""

    address: Address
    store: MemoryStore
    ledger: Ledger
    marked: list[tuple[str, frozenset[str]]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        """Send exactly *path*: nothing in it is cleaned up."""
        connection = http.client.HTTPConnection(self.address.host, self.address.port, timeout=60)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            named = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(status=answer.status, headers=named, body=answer.read())
        finally:
            connection.close()

    def get(self, path: str) -> Answer:
        return self.ask("GET", path)

    def report(self, body: Any, authorization: str | None = f"Bearer {TOKEN}") -> Answer:
        """Send what an object store sends."""
        headers = {"Authorization": authorization} if authorization is not None else {}
        return self.ask("POST", "/hooks/s3", body, {**headers, "Content-Type": "application/json"})


@pytest.fixture(scope="module")
def running() -> Iterator[Face]:
    store, marked, faults = MemoryStore(), list[tuple[str, frozenset[str]]](), list[str]()

    def mark(bucket: str, keys: frozenset[str]) -> int:
        marked.append((bucket, keys))
        return sum(key.startswith("cvmfs/") for key in keys)

    with Ledger(":memory:", FQRN) as ledger:
        served = ServedRepository(fqrn=FQRN, store=store, bucket=BUCKET, ledger=ledger)
        site = Site(
            repositories={FQRN: served, "plain.example.org": ServedRepository(fqrn="plain.example.org", store=store)},
            hook=Hook(token=TOKEN, mark=mark),
            contact=Contact(administrator="A. Dmin", email="a@example.org", organisation="Example"),
            faults=lambda: tuple(faults),
        )
        with serve(create_app(site)) as address:
            yield Face(address=address, store=store, ledger=ledger, marked=marked, faults=faults)


@pytest.fixture
def face(running: Face) -> Face:
    """The application with nothing in it."""
    running.store.files.clear()
    running.store.asked.clear()
    running.ledger.record(forget=[row.key for row in running.ledger.page()])
    running.marked.clear()
    running.faults.clear()
    return running
