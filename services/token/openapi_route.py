"""The route GET /openapi.json: the description of the whole API, of this service and of ingest.

`make generate` writes the file from `docs/reference/openapi.yaml`.
"""

from pathlib import Path

from aiohttp import web

PATH = "/openapi.json"
DOCUMENT = Path(__file__).with_name("openapi.json")
CACHE_CONTROL = "public, max-age=300"


def add_openapi_route(app: web.Application) -> None:
    """Add the route. The document is read now, so that a missing file fails at start."""
    document = DOCUMENT.read_bytes()

    async def get_openapi(_request: web.Request) -> web.Response:
        return web.Response(body=document, content_type="application/json", headers={"Cache-Control": CACHE_CONTROL})

    app.router.add_get(PATH, get_openapi)
