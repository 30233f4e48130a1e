"""Run an application on loopback for as long as a block of code lasts.

>>> with serve(create_app(site)) as address:
...     print(address.url)  # http://127.0.0.1:41234, and it answers already
"""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import uvicorn
from starlette.types import ASGIApp

from fondaco.web.errors import ServerFailed

LOOPBACK = "127.0.0.1"
BACKLOG = 2048  # connections that wait to be accepted
STOP_SECONDS = 5  # after which answers under way are cut off


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a running server is."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        return f"http://{self.host}:{self.port}"


@contextlib.contextmanager
def serve(app: ASGIApp, *, host: str = LOOPBACK, port: int = 0) -> Iterator[Address]:
    """Serve *app* from a thread of its own; port 0 takes a free one. ServerFailed when it does not start.

    At the end of the block answers under way are finished, for a few seconds at most.
    """
    with _listening(host, port) as listener:
        server = _Server(app)
        thread = threading.Thread(target=server.run_until_told, args=(listener,), name="web", daemon=True)
        thread.start()
        server.decided.wait()
        try:
            if not server.started:
                raise ServerFailed("the web server did not start", "its application failed to", "look into the log")
            yield Address(host=host, port=listener.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join()


class _Server(uvicorn.Server):
    """uvicorn's, telling when it is known whether it started."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,  # logging is set up by who runs us
                access_log=False,
                ws="none",
                proxy_headers=False,  # nobody in front of us is trusted to tell who asks
                server_header=False,
                timeout_graceful_shutdown=STOP_SECONDS,
            )
        )
        self.decided = threading.Event()

    def run_until_told(self, listener: socket.socket) -> None:
        """Serve until `should_exit` is set."""
        try:
            with contextlib.suppress(SystemExit):  # how uvicorn says that the application failed; it has logged why
                asyncio.run(self.serve([listener]))
        finally:
            self.decided.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.decided.set()


@contextlib.contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    try:
        listener = socket.create_server((host, port), backlog=BACKLOG)
    except OSError as error:
        raise ServerFailed(
            f"the web server cannot listen on {host}:{port}",
            error.strerror or str(error),
            "stop what uses the port, or choose another one",
        ) from error
    with listener:
        # Accepted connections inherit it. asyncio sets it only where a socket names its protocol, which this one does
        # not; without it every answer on a kept connection waits 40 ms for the client's acknowledgement.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield listener
