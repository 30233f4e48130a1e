"""A server answers from its first moment, stops when told, and says why it could not start."""

import contextlib
import http.client
import socket
import threading
from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI

from fondaco.web.app import create_app
from fondaco.web.errors import ServerFailed
from fondaco.web.serve import LOOPBACK, Address, _listening, serve
from fondaco.web.site import Site


def application() -> FastAPI:
    return create_app(Site(repositories={}))


def status_at(address: Address) -> int:
    connection = http.client.HTTPConnection(address.host, address.port, timeout=60)
    with contextlib.closing(connection):
        connection.request("GET", "/healthz")
        return connection.getresponse().status


def test_it_answers_at_once_and_no_longer_than_its_block() -> None:
    before = threading.active_count()
    with serve(application()) as address:
        assert address.url == f"http://{LOOPBACK}:{address.port}"
        assert status_at(address) == 200
    with pytest.raises(ConnectionRefusedError):
        status_at(address)
    assert not [thread for thread in threading.enumerate() if thread.name == "web"]
    assert threading.active_count() <= before + 1  # the framework may keep a worker thread for a moment


def test_it_stops_with_idle_connections_open_and_the_port_is_free_again() -> None:
    with serve(application()) as address, socket.create_connection((address.host, address.port)):
        assert status_at(address) == 200
    with serve(application(), port=address.port) as again:
        assert again == address
        assert status_at(again) == 200


def test_a_taken_port_is_named() -> None:
    with (
        serve(application()) as address,
        pytest.raises(ServerFailed, match=str(address.port)),
        serve(application(), port=address.port),
    ):
        pytest.fail("two servers on one port")


def test_an_application_that_does_not_start_is_an_error() -> None:
    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        raise RuntimeError("no")
        yield

    with pytest.raises(ServerFailed, match="did not start"), serve(FastAPI(lifespan=lifespan)):
        pytest.fail("it started")


def test_an_error_in_the_block_stops_the_server_and_comes_out() -> None:
    addresses = []

    def fail() -> None:
        with serve(application()) as address:
            addresses.append(address)
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        fail()
    with pytest.raises(ConnectionRefusedError):
        status_at(addresses[0])


def test_answers_do_not_wait_for_the_clients_acknowledgement() -> None:
    """Connections are taken over a listener without Nagle's algorithm, and inherit that."""
    with _listening(LOOPBACK, 0) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
