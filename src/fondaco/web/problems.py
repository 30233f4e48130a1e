"""Errors as RFC 9457 problem documents.

An error that the caller can mend says what, why and how. One that is ours says no more than its kind: addresses, paths
and other services' answers belong in the log.
"""

import json
import logging
import re
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from fondaco.errors import ExitCode, FondacoError
from fondaco.web.errors import Unauthorized, WebError
from fondaco.web.text import shown

MEDIA_TYPE = "application/problem+json"

STATUS_OF: dict[ExitCode, HTTPStatus] = {
    ExitCode.OK: HTTPStatus.INTERNAL_SERVER_ERROR,  # no error ends so
    ExitCode.FAILED: HTTPStatus.INTERNAL_SERVER_ERROR,
    ExitCode.USAGE: HTTPStatus.BAD_REQUEST,
    ExitCode.REFUSED: HTTPStatus.BAD_REQUEST,
    ExitCode.NOT_FOUND: HTTPStatus.NOT_FOUND,
    ExitCode.UNTRUSTED: HTTPStatus.BAD_GATEWAY,  # what we were given by a store or service does not hold
    ExitCode.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    ExitCode.CONFLICT: HTTPStatus.CONFLICT,
    ExitCode.INTERRUPTED: HTTPStatus.SERVICE_UNAVAILABLE,
}

_log = logging.getLogger(__name__)


class Fault(BaseModel):
    """One thing that is wrong with a request."""

    where: str = Field(description="the parameter, such as query.state")
    what: str


class Problem(BaseModel):
    """A problem document: https://www.rfc-editor.org/rfc/rfc9457."""

    model_config = ConfigDict(json_schema_extra={"description": "An error, as RFC 9457 wants it told."})

    type: str = Field(description="the kind of error, stable: urn:fondaco:problem:… or about:blank")
    title: str = Field(description="the kind of error in words")
    status: int = Field(description="the HTTP status")
    detail: str = Field(default="", description="what failed and why")
    hint: str = Field(default="", description="what can be done about it")
    faults: list[Fault] = Field(default=[], description="each parameter that is wrong")


RESPONSES: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "What went wrong, as a problem document.",
        "content": {MEDIA_TYPE: {"schema": Problem.model_json_schema()}},
    }
}
"""For the `responses` of a router: every error looks so."""


def install(app: FastAPI) -> None:
    """Answer every error of *app* with a problem document."""
    app.add_exception_handler(FondacoError, _of_error)
    app.add_exception_handler(RequestValidationError, _of_parameters)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(Exception, _of_defect)


def status_of(error: FondacoError) -> HTTPStatus:
    """The HTTP status that stands for *error*."""
    return error.status if isinstance(error, WebError) else STATUS_OF[error.exit_code]


async def _of_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, FondacoError):  # the type that the framework gives handlers says nothing
        raise error
    status = status_of(error)
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", type(error).__name__).lower().removesuffix("-error")
    problem = Problem(type=f"urn:fondaco:problem:{name}", title=_sentence(name), status=status)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR and not isinstance(error, WebError):
        _log.error("%s %s: %s", request.method, shown(request.url.path), error)
        problem.hint = "try again later; the reason is in the server's log"
    else:
        problem.detail = shown(f"{error.what}: {error.why}" if error.why else error.what)
        problem.hint = shown(error.hint)
    headers = {"WWW-Authenticate": "Bearer"} if isinstance(error, Unauthorized) else {}
    return _answer(problem, headers)


async def _of_parameters(_: Request, error: Exception) -> Response:
    """A parameter of the wrong form. What was given is not repeated."""
    if not isinstance(error, RequestValidationError):
        raise error
    faults = [Fault(where=shown(".".join(map(str, one["loc"]))), what=shown(str(one["msg"]))) for one in error.errors()]
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    problem = Problem(type="urn:fondaco:problem:bad-parameter", title="Bad parameter", status=status, faults=faults)
    return _answer(problem)


async def _of_http(_: Request, error: Exception) -> Response:
    """What the framework itself refuses: no such route, no such method."""
    if not isinstance(error, HTTPException):
        raise error
    problem = Problem(type="about:blank", title=HTTPStatus(error.status_code).phrase, status=error.status_code)
    return _answer(problem, dict(error.headers or {}))


async def _of_defect(request: Request, error: Exception) -> Response:
    """Anything else is a defect; the server logs the traceback behind this line."""
    _log.error("%s %s: unexpected %s", request.method, shown(request.url.path), type(error).__name__)
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    return _answer(Problem(type="about:blank", title=status.phrase, status=status))


def _answer(problem: Problem, headers: dict[str, str] | None = None) -> Response:
    content = json.dumps(problem.model_dump(exclude_defaults=True))
    return Response(content, status_code=problem.status, headers=headers, media_type=MEDIA_TYPE)


def _sentence(name: str) -> str:
    return name.replace("-", " ").capitalize()
