"""The application: all routes over one site."""

from typing import Literal

from fastapi import APIRouter, FastAPI
from pydantic import BaseModel
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fondaco import __version__
from fondaco.web import cvmfs, hooks, problems, status
from fondaco.web.errors import NotReady
from fondaco.web.site import Site, SiteOf

health = APIRouter(tags=["health"], responses=problems.RESPONSES)


class Healthy(BaseModel):
    """That all is well; anything else is a problem document."""

    status: Literal["ok"] = "ok"


@health.get("/healthz", summary="Tell whether the process answers")
async def healthz() -> Healthy:
    """Restart the process when this does not answer."""
    return Healthy()


@health.get("/readyz", summary="Tell whether the service can do its work")
def readyz(site: SiteOf) -> Healthy:
    """Send no requests here while this answers 503."""
    faults = site.faults()
    if faults:
        raise NotReady("the service is not ready", "; ".join(faults), "ask again in a moment")
    return Healthy()


def create_app(site: Site) -> FastAPI:
    """The application for *site*. Two of them share nothing."""
    app = FastAPI(
        title="Fondaco",
        version=__version__,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # its pages fetch programs from elsewhere
        redoc_url=None,
        redirect_slashes=False,  # it would send callers to whatever host they named
    )
    app.state.site = site
    problems.install(app)
    for router in (health, hooks.router, cvmfs.router, status.router):
        app.include_router(router)
    app.add_middleware(_AsDeclared)
    return app


class _AsDeclared:
    """Tells browsers to take every answer for what its Content-Type says: file names and files are the users'."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Content-Type-Options"] = "nosniff"
            await send(message)

        await self._app(scope, receive, send_marked)
