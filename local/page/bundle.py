"""The browser application, as its build left it in `frontend/dist`."""

import re
from pathlib import Path

from aiohttp import web

_HASHED = re.compile(r"assets/.+-[A-Za-z0-9_-]{8,}\.[a-z0-9.]+")
"""The build puts a hash of the content into these names, so that a name never changes its content."""
IMMUTABLE = "public, max-age=31536000, immutable"
REVALIDATE = "no-cache"


def bundled(bundle: Path, path: str) -> web.StreamResponse | None:
    """The file at `path` of the bundle, or None; as .br or .gz where the build wrote one beside it."""
    name = path.lstrip("/") or "index.html"
    root = bundle.resolve()
    file = (root / name).resolve() if "\0" not in name else root
    if not file.is_relative_to(root) or not file.is_file():
        return None
    cache_control = IMMUTABLE if _HASHED.fullmatch(name) else REVALIDATE
    return web.FileResponse(file, headers={"Cache-Control": cache_control})
