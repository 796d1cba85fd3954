"""A minimal service, run like a real one: `python -m tests.support.processes.small_service_program`.

`GET /slow` answers after SLOW_SECONDS; `POST /fail` makes a background task fail. `POST /exit`, `/stop` and `/cancel`
end the event loop as code of others can.
"""

import asyncio
import logging
import os
import sys

from aiohttp import web
from environs import Env

from services.common.lifecycle import Lifecycle
from services.common.run import main
from services.common.settings import HttpSettings, OidcSettings, read_http, read_service
from services.common.web.app import LIFECYCLE, create_web_app
from services.ingest.settings import IngestSettings

logger = logging.getLogger(__name__)

SLOW_SECONDS = 0.5


def read_settings(env: Env) -> IngestSettings:
    return IngestSettings(
        service=read_service(env),
        http=read_http(env, default_max_body_bytes=1_000),
        oidc=OidcSettings(issuer="", audience="", jwks_url=""),
        task_queue_url="",
        tasks_per_minute=0,
    )


def create_app(settings: IngestSettings, lifecycle: Lifecycle) -> web.Application:
    http: HttpSettings = settings.http
    app = create_web_app(http, lifecycle)
    if "LACKS" in os.environ:
        lifecycle.add_check("part", lambda: os.environ["LACKS"])
    app.router.add_get("/slow", _slow)
    app.router.add_post("/fail", _fail)
    app.router.add_post("/exit", _exit)
    app.router.add_post("/stop", _stop)
    app.router.add_post("/cancel", _cancel)
    app.on_cleanup.append(_clean_up)
    return app


async def _slow(_request: web.Request) -> web.Response:
    await asyncio.sleep(SLOW_SECONDS)
    return web.Response(text="slept")


async def _fail(request: web.Request) -> web.Response:
    async def fails() -> None:
        raise RuntimeError("the task failed")

    request.app[LIFECYCLE].background.spawn("worker", fails())
    return web.Response()


async def _exit(_request: web.Request) -> web.Response:
    asyncio.get_running_loop().call_soon(sys.exit, 0)
    return web.Response()


async def _stop(_request: web.Request) -> web.Response:
    asyncio.get_running_loop().stop()
    return web.Response()


async def _cancel(_request: web.Request) -> web.Response:
    for task in asyncio.all_tasks():
        task.cancel()
    return web.Response()


async def _clean_up(_app: web.Application) -> None:
    logger.info("cleaned up", extra={"action": "clean"})


if __name__ == "__main__":
    from tests.support.processes import small_service_program as program  # a service is named by its module

    main(program.read_settings, program.create_app)
