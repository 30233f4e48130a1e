"""What a request can do wrong, or the server itself; one class, one meaning."""

from http import HTTPStatus
from typing import ClassVar

from fondaco.errors import ExitCode, FondacoError


class WebError(FondacoError):
    """Anything that this room raises on purpose."""

    status: ClassVar[HTTPStatus] = HTTPStatus.BAD_REQUEST


class Unauthorized(WebError):
    """A request without the token it needs, or with a wrong one."""

    exit_code: ClassVar[ExitCode] = ExitCode.REFUSED
    status: ClassVar[HTTPStatus] = HTTPStatus.UNAUTHORIZED


class BodyTooLarge(WebError):
    """A request with more content than is read; send less at once."""

    exit_code: ClassVar[ExitCode] = ExitCode.REFUSED
    status: ClassVar[HTTPStatus] = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class NoSuchRepository(WebError):
    """A repository that is not here; the list of repositories names those that are."""

    exit_code: ClassVar[ExitCode] = ExitCode.NOT_FOUND
    status: ClassVar[HTTPStatus] = HTTPStatus.NOT_FOUND


class NoSuchFile(WebError):
    """A path that no file of the repository has; what a repository consists of is named in its catalogs."""

    exit_code: ClassVar[ExitCode] = ExitCode.NOT_FOUND
    status: ClassVar[HTTPStatus] = HTTPStatus.NOT_FOUND


class BadCursor(WebError):
    """A place to go on from that no earlier answer gave; begin with the first page."""

    exit_code: ClassVar[ExitCode] = ExitCode.REFUSED


class NotReady(WebError):
    """The service runs but cannot do its work yet; ask again in a moment."""

    exit_code: ClassVar[ExitCode] = ExitCode.UNAVAILABLE
    status: ClassVar[HTTPStatus] = HTTPStatus.SERVICE_UNAVAILABLE


class ServerFailed(WebError):
    """The web server did not start: its port is taken, or the application refused to begin."""

    exit_code: ClassVar[ExitCode] = ExitCode.UNAVAILABLE
    status: ClassVar[HTTPStatus] = HTTPStatus.INTERNAL_SERVER_ERROR
