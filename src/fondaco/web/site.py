"""What the web face serves: the collaborators that an application is made with."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from fondaco.cvmfs.fqrn import check_fqrn
from fondaco.cvmfs.stores.base import ReadableStore
from fondaco.software.ledger import Ledger
from fondaco.web.errors import NoSuchRepository

Mark = Callable[[str, frozenset[str]], int]
"""Told a bucket and keys in it that may have changed; how many of them are worth a look. Must return at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedRepository:
    """A repository as clients fetch it, and the bucket that it shows."""

    fqrn: str
    store: ReadableStore
    bucket: str | None = None  # None: it is not made from a bucket
    ledger: Ledger | None = None  # what became of the bucket's keys; None: nobody keeps one

    def __post_init__(self) -> None:
        check_fqrn(self.fqrn)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """Where object stores report changes to."""

    token: str = field(repr=False)  # each report has to carry it
    mark: Mark

    def __post_init__(self) -> None:
        if not self.token.isascii() or not self.token.strip():
            raise ValueError("the token of the hook must be ASCII and not empty")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """Who runs this server, as /cvmfs/info/v1/meta.json tells."""

    administrator: str = ""
    email: str = ""
    organisation: str = ""


def _no_faults() -> Sequence[str]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """All that the application needs; it keeps nothing of its own."""

    repositories: Mapping[str, ServedRepository]  # by fqrn; may change while the application runs
    hook: Hook | None = None  # None: reports are not taken
    contact: Contact = field(default_factory=Contact)
    faults: Callable[[], Sequence[str]] = _no_faults  # what keeps the service from its work right now

    def repository(self, fqrn: str) -> ServedRepository:
        """The repository of exactly this name, else NoSuchRepository."""
        found = self.repositories.get(fqrn)
        if found is None:
            raise NoSuchRepository("there is no such repository", "nothing of this name is served here")
        return found

    def buckets(self) -> frozenset[str]:
        """The buckets that repositories are made from."""
        return frozenset(one.bucket for one in tuple(self.repositories.values()) if one.bucket is not None)


def _site_of(request: Request) -> Site:
    site: Site = request.app.state.site
    return site


SiteOf = Annotated[Site, Depends(_site_of)]
"""A parameter of this type is the application's site."""
