"""Health, errors as problem documents, and a description of all of it."""

import re
from pathlib import Path

import pytest

from fondaco import errors as root_errors
from fondaco.errors import ExitCode, FondacoError
from fondaco.web import errors, problems
from fondaco.web.app import create_app
from fondaco.web.serve import serve
from fondaco.web.site import Site
from tests.web.conftest import Answer, Face


def test_it_is_healthy_while_it_answers_and_ready_while_nothing_is_wrong(face: Face) -> None:
    assert face.get("/healthz").json() == face.get("/readyz").json() == {"status": "ok"}
    face.faults[:] = ["no worker", "the bucket does not answer"]
    answer = face.get("/readyz")
    assert answer.status == 503
    assert answer.problem()["detail"] == "the service is not ready: no worker; the bucket does not answer"
    assert face.get("/healthz").status == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("DELETE", "/healthz", 405), ("GET", "/hooks/s3", 405), ("GET", "/docs", 404),
     ("GET", "//evil.example/", 404), ("GET", "/healthz/", 404)],
)  # fmt: skip
def test_s7_what_is_no_route_is_a_problem_and_no_redirect(face: Face, method: str, path: str, status: int) -> None:
    answer = face.ask(method, path, headers={"Host": "evil.example"})
    assert answer.status == status
    assert "location" not in answer.headers
    assert b"evil" not in answer.body
    assert answer.problem()["type"] == "about:blank"


def test_every_exit_code_has_a_status() -> None:
    assert set(problems.STATUS_OF) == set(ExitCode)
    assert all(status >= 400 for status in problems.STATUS_OF.values())


def subclasses(kind: type[FondacoError]) -> set[type[FondacoError]]:
    return {kind}.union(*(subclasses(one) for one in kind.__subclasses__()))


def test_errors_of_requests_blame_the_caller_and_others_do_not() -> None:
    for kind in subclasses(FondacoError):
        status = problems.status_of(kind("what"))
        if kind.exit_code in (ExitCode.USAGE, ExitCode.REFUSED, ExitCode.NOT_FOUND, ExitCode.CONFLICT):
            assert 400 <= status < 500, kind
        elif not issubclass(kind, errors.WebError):
            assert status >= 500, kind


def ask_failing(error: Exception) -> Answer:
    """The answer of a route that raises *error*."""
    app = create_app(Site(repositories={}))

    @app.get("/fails")
    def fails() -> None:
        raise error

    with serve(app) as address:
        return Face(address=address, store=None, ledger=None).get("/fails")  # type: ignore[arg-type]


def test_an_unexpected_error_is_logged_and_not_told(caplog: pytest.LogCaptureFixture) -> None:
    answer = ask_failing(RuntimeError("the secret is 12345"))
    assert answer.status == 500
    assert answer.problem() == {"type": "about:blank", "title": "Internal Server Error", "status": 500}
    assert "GET /fails: unexpected RuntimeError" in caplog.text
    assert "the secret is 12345" in caplog.text  # in the traceback, which the server logs


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (errors.BodyTooLarge("too much", "it has 9 bytes", "send less"), 413, True),
        (root_errors.FondacoError("what", "why", "hint"), 500, False),
    ],
)
def test_a_foreseen_error_tells_what_its_caller_can_use(error: FondacoError, status: int, told: bool) -> None:
    answer = ask_failing(error)
    assert answer.status == status
    found = answer.problem()
    assert found["type"].startswith("urn:fondaco:problem:")
    assert ("detail" in found) is told
    if told:
        assert (found["detail"], found["hint"]) == ("too much: it has 9 bytes", "send less")


def test_the_page_and_the_description_name_every_route_and_how_errors_look(face: Face) -> None:
    found = face.get("/api/v1/openapi.json").json()
    page = (Path(__file__).parents[2] / "docs" / "http.md").read_text()
    assert set(re.findall(r"^\| `(/[^`]*)` \|", page, re.MULTILINE)) == set(found["paths"])
    statuses = {*problems.STATUS_OF.values(), *(one.status for one in subclasses(errors.WebError))}  # type: ignore[attr-defined]
    assert {str(int(status)) for status in statuses} <= set(re.findall(r"^\| (\d+) \|", page, re.MULTILINE))
    for path, operations in found["paths"].items():
        for operation in operations.values():
            assert operation["summary"], path
            assert "422" not in operation["responses"], path
            problem = operation["responses"]["default"]["content"]["application/problem+json"]["schema"]
            assert {"type", "title", "status", "detail"} <= problem["properties"].keys()


def test_two_applications_share_nothing() -> None:
    one, two = create_app(Site(repositories={})), create_app(Site(repositories={}, faults=lambda: ("down",)))
    with serve(one) as first, serve(two) as second:
        statuses = [
            Face(address=address, store=None, ledger=None).get("/readyz").status  # type: ignore[arg-type]
            for address in (first, second)
        ]
    assert statuses == [200, 503]
