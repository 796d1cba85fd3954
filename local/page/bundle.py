"""The files of the browser application, from its build in `frontend/dist`."""

import re
from pathlib import Path

from aiohttp import web

_HASHED = re.compile(r"assets/.+-[A-Za-z0-9_-]{8,}\.[a-z0-9.]+")
"""File names with a hash of the content, whose content never changes."""
IMMUTABLE = "public, max-age=31536000, immutable"
REVALIDATE = "no-cache"


def bundle_response(bundle: Path, path: str) -> web.StreamResponse | None:
    """Serve the file at `path`, or its .br or .gz variant; return None if there is none."""
    name = path.lstrip("/") or "index.html"
    root = bundle.resolve()
    file = (root / name).resolve() if "\0" not in name else root
    if not file.is_relative_to(root) or not file.is_file():
        return None
    cache_control = IMMUTABLE if _HASHED.fullmatch(name) else REVALIDATE
    return web.FileResponse(file, headers={"Cache-Control": cache_control})
