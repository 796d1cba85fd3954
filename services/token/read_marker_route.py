"""The route POST /notifications/read: moves the user's read marker."""

import orjson
from aiohttp import ClientPayloadError, web

from services.common.auth.authentication import USER
from services.common.web.problem import Problem
from services.common.web.problem_types import ProblemType
from services.token.history.read_marker import ReadMarkerMover
from services.token.tasks.task_routes import check_history

MOVER = web.AppKey("read_marker", ReadMarkerMover)
EXAMPLE = 'Send a JSON object like {"until": 1767225600000}, the `time` of the latest notification that was read.'


def add_read_marker_route(app: web.Application) -> None:
    """Add the route. `MOVER` is set when the application starts."""
    app.router.add_post("/notifications/read", post_read)


async def post_read(request: web.Request) -> web.Response:
    """Move the read marker, and return where it is."""
    check_history(request)
    until_ms = await _until_ms(request)
    read_until_ms = await request.app[MOVER].move(request[USER].sub, until_ms)
    return web.Response(body=orjson.dumps({"readUntil": read_until_ms}), content_type="application/json")


async def _until_ms(request: web.Request) -> int:
    if request.content_type != "application/json":
        raise Problem(ProblemType.UNSUPPORTED_MEDIA_TYPE, "Send the body with Content-Type: application/json.")
    try:
        fields = orjson.loads(await request.read())
    except orjson.JSONDecodeError:
        raise Problem(ProblemType.INVALID_BODY, f"The body is not JSON. {EXAMPLE}") from None
    except (ConnectionError, ClientPayloadError, web.RequestPayloadError):
        # Mostly the client has disconnected, which is not a failure of the service.
        raise Problem(
            ProblemType.INCOMPLETE_BODY, "The body was not received completely. Send the request again."
        ) from None
    until_ms = fields.get("until") if isinstance(fields, dict) else None
    if type(until_ms) is not int:
        raise Problem(ProblemType.INVALID_BODY, f"`until` must be an integer. {EXAMPLE}")
    return until_ms
