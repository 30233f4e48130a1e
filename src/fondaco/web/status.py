"""/api/v1: what became of the files in a repository's bucket, for programs and the pages."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from fondaco.software.ledger import Ledger, SyncRecord
from fondaco.software.records import Row, State, Treatment
from fondaco.software.refusal import Reason, Refusal
from fondaco.web.errors import NoSuchRepository
from fondaco.web.problems import RESPONSES
from fondaco.web.site import ServedRepository, SiteOf
from fondaco.web.text import ExactKey, ShownText, behind, cursor, exact

MAX_PAGE = 1000  # files or publishes in one answer

router = APIRouter(prefix="/api/v1/repositories", tags=["repositories"], responses=RESPONSES)

Most = Annotated[int, Query(ge=1, le=MAX_PAGE, description="entries in one answer")]
After = Annotated[str, Query(max_length=4096, description="`next` of the answer before; empty for the first page")]


class RepositorySummary(BaseModel):
    """A repository that is served here."""

    fqrn: str
    url: str = Field(description="where clients fetch it, on this server")
    bucket: str | None = Field(description="the bucket that it is made from")


class RepositorySummaries(BaseModel):
    """All repositories, by name."""

    repositories: list[RepositorySummary]


class Publish(BaseModel):
    """One look at the bucket that changed something or failed, and when each step was done."""

    number: int = Field(description="counts up; gaps are looks that are no longer kept")
    cause: str = Field(description="events or sweep")
    seen_at: datetime = Field(description="when the first of its events came in, or the sweep began")
    planned_at: datetime
    published_at: datetime | None
    visible_at: datetime | None = Field(description="when the public address first showed it")
    revision: int | None = Field(description="null: nothing was published")
    fetched: int = Field(description="objects read")
    removed: int = Field(description="paths removed")
    refused: int = Field(description="keys refused")
    bytes: int = Field(description="read from the bucket")
    error: ShownText = Field(description="why it failed as a whole; empty when it did not")


class FileStatus(BaseModel):
    """What became of one key."""

    key: ShownText = Field(description="bytes that are not UTF-8 are written as \\xff")
    key_base64: ExactKey
    path: ShownText = Field(description="where it is in the repository, or would be")
    state: State
    treatment: Treatment = Field(description="what the key was taken for")
    reason: Reason | None = Field(description="why it is not published, or not in its newest version")
    explanation: ShownText = Field(description="the reason in words, with what is particular to this key; or notes")


class FilePage(BaseModel):
    """Some files, in the order of keys."""

    files: list[FileStatus]
    next: str | None = Field(description="give this as `after` for the files that follow; null: there are none")


class Counts(BaseModel):
    """How many keys are in each state."""

    pending: int = Field(description="being published")
    published: int
    refused: int


class RepositoryStatus(RepositorySummary):
    """How a repository and its bucket are getting on."""

    revision: int | None = Field(description="the newest that was published from the bucket")
    counts: Counts
    timeline: list[Publish] = Field(description="newest first")
    refusals: FilePage


@router.get("", summary="List the repositories")
def repositories(site: SiteOf) -> RepositorySummaries:
    """All repositories that are served here."""
    return RepositorySummaries(repositories=[_summary(one) for _, one in sorted(site.repositories.items())])


@router.get("/{fqrn}/status", summary="Show how a repository is getting on")
def status(fqrn: str, site: SiteOf, timeline: Most = 50, limit: Most = 100, after: After = "") -> RepositoryStatus:
    """The latest publishes, the number of files in each state, and a page of those refused with their reasons."""
    repository = site.repository(fqrn)
    ledger = _ledger(repository)
    publishes = ledger.timeline(most=MAX_PAGE)
    counts = ledger.counts()
    return RepositoryStatus(
        **_summary(repository).model_dump(),
        revision=next((record.revision for _, record in publishes if record.revision is not None), None),
        counts=Counts(**{state.value: counts.get(state.value, 0) for state in State}),
        timeline=[_publish(number, record) for number, record in publishes[:timeline]],
        refusals=_page(ledger.refusals(most=limit + 1, after=behind(after)), limit),
    )


@router.get("/{fqrn}/files", summary="List what became of the files")
def files(fqrn: str, site: SiteOf, state: State | None = None, limit: Most = 100, after: After = "") -> FilePage:
    """The keys of the bucket in the order of their names, all or those in one state."""
    ledger = _ledger(site.repository(fqrn))
    return _page(ledger.page(state, most=limit + 1, after=behind(after)), limit)


def _ledger(repository: ServedRepository) -> Ledger:
    if repository.ledger is None:
        raise NoSuchRepository("there is no status", "this repository is not made from a bucket here")
    return repository.ledger


def _summary(repository: ServedRepository) -> RepositorySummary:
    return RepositorySummary(fqrn=repository.fqrn, url=f"/cvmfs/{repository.fqrn}", bucket=repository.bucket)


def _publish(number: int, record: SyncRecord) -> Publish:
    return Publish(number=number, **asdict(record))


def _page(rows: Sequence[Row], limit: int) -> FilePage:
    """A page of *limit* out of rows of which one more was asked for."""
    shown = rows[:limit]
    return FilePage(files=[_file(row) for row in shown], next=cursor(shown[-1].key) if len(rows) > limit else None)


def _file(row: Row) -> FileStatus:
    return FileStatus(
        key=row.key,
        key_base64=exact(row.key),
        path=row.path,
        state=row.state,
        treatment=row.treatment,
        reason=row.reason,
        explanation=str(Refusal(reason=row.reason, detail=row.detail)) if row.reason else row.detail,
    )
