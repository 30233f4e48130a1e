"""GET /cvmfs/…: repositories as CernVM-FS clients, caches and replicas fetch them.

Only paths that a repository's own files have are looked up at all: the manifest and its neighbours, and objects under
their hashes. Everything else (journals, locks, unfinished files, `..`) is not found, whatever lies in the store.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from fondaco.cvmfs.digest import DIGEST_BYTES, Algorithm, Suffix
from fondaco.cvmfs.errors import LimitExceeded, ObjectMissing
from fondaco.cvmfs.stores.base import MANIFEST, MASTER_REPLICA, REFLOG, WHITELIST, ReadableStore
from fondaco.web.errors import NoSuchFile
from fondaco.web.problems import RESPONSES
from fondaco.web.site import SiteOf

# What the reference web server says of them: root files are looked at again each minute, objects never change.
ROOT_FILE_HEADERS = {"Content-Type": "application/x-cvmfs", "Cache-Control": "max-age=61"}
OBJECT_HEADERS = {"Content-Type": "application/octet-stream", "Cache-Control": "max-age=259200"}
INFO_HEADERS = {"Cache-Control": "max-age=61"}
ROOT_FILES = frozenset(
    (
        MANIFEST,
        WHITELIST,
        REFLOG,
        MASTER_REPLICA,
        ".cvmfs_last_snapshot",
        ".cvmfs_is_snapshotting",
        ".cvmfs_status.json",
    )
)
WHOLE_BYTES = 4 << 20
"""Up to this size a file is read at once, larger ones as blocks; most objects of a repository are far smaller."""

_DIGITS = 2 * DIGEST_BYTES - 2  # hex digits behind the folder of two
_ALGORITHMS = "|".join(one.text for one in Algorithm)
_SUFFIXES = "".join(one.value for one in Suffix)
_OBJECT = re.compile(rf"data/[0-9a-f]{{2}}/[0-9a-f]{{{_DIGITS}}}(?:{_ALGORITHMS})[{_SUFFIXES}]?")

router = APIRouter(prefix="/cvmfs", tags=["cvmfs"], responses=RESPONSES)


class ListedRepository(BaseModel):
    """A repository in the list that monitors and clients read."""

    name: str
    url: str = Field(description="where it is on this server")


class RepositoryList(BaseModel):
    """/cvmfs/info/v1/repositories.json, as CernVM-FS servers write it."""

    model_config = {"populate_by_name": True}

    schema_version: int = Field(default=1, alias="schema")
    repositories: list[ListedRepository] = Field(description="published here")
    replicas: list[ListedRepository] = Field(default=[], description="copied from elsewhere: none")


class ServerMeta(BaseModel):
    """/cvmfs/info/v1/meta.json, as CernVM-FS servers write it."""

    administrator: str
    email: str
    organisation: str
    custom: dict[str, Any] = {}


@router.get("/info/v1/repositories.json", summary="List the repositories of this server")
def repositories(site: SiteOf, response: Response) -> RepositoryList:
    response.headers.update(INFO_HEADERS)
    listed = [ListedRepository(name=fqrn, url=f"/cvmfs/{fqrn}") for fqrn in sorted(site.repositories)]
    return RepositoryList(repositories=listed)


@router.get("/info/v1/meta.json", summary="Tell who runs this server")
def meta(site: SiteOf, response: Response) -> ServerMeta:
    response.headers.update(INFO_HEADERS)
    return ServerMeta(**asdict(site.contact))


@router.head("/{fqrn}/{path:path}", include_in_schema=False)
@router.get("/{fqrn}/{path:path}", summary="Fetch a file of a repository", response_class=Response)
def file(request: Request, fqrn: str, path: str, site: SiteOf) -> Response:
    """The manifest, the whitelist and such (`.cvmfspublished`, …), or an object (`data/ab/cdef…`)."""
    store = site.repository(fqrn).store
    headers = _headers(path)
    if headers is None:
        raise NoSuchFile("there is no such file", "no file of a repository has this path")
    if request.method == "HEAD":
        return Response(headers={**headers, "Content-Length": str(_size(store, path))})
    return _content(store, path, headers)


def _headers(path: str) -> Mapping[str, str] | None:
    """The headers of a repository's file at *path*, None when there can be none."""
    if path in ROOT_FILES:
        return ROOT_FILE_HEADERS
    return OBJECT_HEADERS if _OBJECT.fullmatch(path) else None


def _content(store: ReadableStore, path: str, headers: Mapping[str, str]) -> Response:
    try:
        return Response(store.get(path, limit=WHOLE_BYTES), headers=dict(headers))
    except ObjectMissing as error:
        raise _missing() from error
    except LimitExceeded:
        # Objects keep their size. A root file may be replaced in between: then the answer breaks off and is repeated.
        return StreamingResponse(store.stream(path), headers={**headers, "Content-Length": str(_size(store, path))})


def _size(store: ReadableStore, path: str) -> int:
    size = store.size(path)
    if size is None:
        raise _missing()
    return size


def _missing() -> NoSuchFile:
    return NoSuchFile("there is no such file", "the repository does not have it, or no longer")
