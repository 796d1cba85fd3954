"""The operations port: /livez, /readyz and /metrics, apart from the API and never reached from outside."""

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import REGISTRY
from prometheus_client.exposition import choose_encoder

from services.common.lifecycle import Lifecycle
from services.common.web.problem import from_http_exception, new_request_id, problem_response

LIFECYCLE = web.AppKey("lifecycle", Lifecycle)


def create_operations_app(lifecycle: Lifecycle) -> web.Application:
    """Build the application of the operations port."""
    app = web.Application(middlewares=[_answered])
    app[LIFECYCLE] = lifecycle
    app.on_response_prepare.append(_keep_to_origin)
    app.router.add_get("/livez", get_livez)
    app.router.add_get("/readyz", get_readyz)
    app.router.add_get("/metrics", get_metrics)
    return app


async def _keep_to_origin(_request: web.Request, response: web.StreamResponse) -> None:
    """Let no page of another origin include an answer, for example as a script."""
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"


@web.middleware
async def _answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give refusals (404, 405) the form that they have on the API's port."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        return problem_response(from_http_exception(error), new_request_id())


async def get_livez(_request: web.Request) -> web.Response:
    """Answer as long as the event loop turns; also while draining."""
    return web.Response(text="live\n")


async def get_readyz(request: web.Request) -> web.Response:
    """Answer 200, or 503 with the reasons by component. Warnings and faults are added where there are any."""
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
    """Answer in the exposition format that the scraper asked for (OpenMetrics carries exemplars)."""
    request.app[LIFECYCLE].readiness_problems()  # brings the ready gauge up to date
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return web.Response(body=encode(REGISTRY), headers={"Content-Type": content_type})
