"""The operations port: /livez, /readyz and /metrics. It is separate from the API and not reachable from outside."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import REGISTRY
from prometheus_client.exposition import choose_encoder

from services.common.lifecycle import Lifecycle
from services.common.settings import ServiceSettings
from services.common.web.app import LIFECYCLE
from services.common.web.listener import listen
from services.common.web.problem import from_http_exception, new_request_id, problem_response

SHUTDOWN_SECONDS = 1.0


@asynccontextmanager
async def operations_port(service: ServiceSettings, lifecycle: Lifecycle) -> AsyncIterator[None]:
    """Serve the operations port during the block.

    :raises CannotListenError: when the port cannot be listened on.
    """
    runner = web.AppRunner(create_operations_app(lifecycle), shutdown_timeout=SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        await listen(runner, service.host, service.ops_port, service.allowed_hosts, setting="OPS_PORT")
        yield
    finally:
        await runner.cleanup()


def create_operations_app(lifecycle: Lifecycle) -> web.Application:
    """Create the application of the operations port."""
    app = web.Application(middlewares=[_respond])
    app[LIFECYCLE] = lifecycle
    app.on_response_prepare.append(_forbid_other_origins)
    app.router.add_get("/livez", get_livez)
    app.router.add_get("/readyz", get_readyz)
    app.router.add_get("/metrics", get_metrics)
    return app


async def _forbid_other_origins(_request: web.Request, response: web.StreamResponse) -> None:
    """Keep pages of other origins from including a response, for example as a script."""
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"


@web.middleware
async def _respond(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Send errors (404, 405) as problem+json, like the API."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        return problem_response(from_http_exception(error), new_request_id())


async def get_livez(_request: web.Request) -> web.Response:
    """Respond while the event loop runs, also while draining."""
    return web.Response(text="live\n")


async def get_readyz(request: web.Request) -> web.Response:
    """Respond 200, or 503 with the reasons by component; add warnings and faults if there are any."""
    lifecycle = request.app[LIFECYCLE]
    reasons, warnings = lifecycle.readiness_problems(), lifecycle.warnings()
    answer = {"ready": not reasons, "reasons": reasons, **({"warnings": warnings} if warnings else {})}
    if faults := lifecycle.faults():
        answer["faults"] = [
            {"cause": fault.cause, "message": fault.message, "blocking": fault.is_blocking} for fault in faults
        ]
    return web.Response(
        status=503 if reasons else 200,
        body=orjson.dumps(answer),
        content_type="application/json",
    )


async def get_metrics(request: web.Request) -> web.Response:
    """Respond in the exposition format that the scraper accepts (OpenMetrics has exemplars)."""
    request.app[LIFECYCLE].readiness_problems()  # updates the ready gauge
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return web.Response(body=encode(REGISTRY), headers={"Content-Type": content_type})
