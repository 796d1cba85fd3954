"""Debian's nginx with the example's configuration, on a free port of 127.0.0.1."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from local.plan import ROOT
from tests.support.ports import free_port
from tests.support.processes.child import Child
from tests.support.requirements import nginx_path

TEMPLATE = ROOT / "examples" / "page-nginx" / "default.conf.template"
MAIN = """daemon off;
{user}
worker_processes 1;
pid {folder}/pid;
error_log stderr warn;
events {{}}
http {{
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/default.conf;
}}
"""


def filled_in(settings: dict[str, str]) -> str:
    """Return the configuration as the nginx image renders it: only variables of its environment are replaced."""
    text = TEMPLATE.read_text()
    for name, value in settings.items():
        assert f"${{{name}}}" in text
        text = text.replace(f"${{{name}}}", value)
    return text


@asynccontextmanager
async def nginx(folder: Path, root: Path, connect_src: str, services: Mapping[str, str]) -> AsyncIterator[int]:
    """Serve `root`, and the API from `services` (base URLs by name), until the end of the block; yields the port."""
    path, port = nginx_path(), free_port()
    assert path is not None
    settings = {
        "PAGE_PORT": f"127.0.0.1:{port}",
        "PAGE_ROOT": str(root),
        "PAGE_CONNECT_SRC": connect_src,
        "PAGE_TOKEN_URL": services["token"],
        "PAGE_INGEST_URL": services["ingest"],
    }
    (folder / "default.conf").write_text(filled_in(settings))
    (folder / "nginx.conf").write_text(MAIN.format(folder=folder, user=_user()))
    with Child([path, "-c", str(folder / "nginx.conf"), "-e", "stderr"], {}, folder / "nginx.log") as child:
        await asyncio.to_thread(child.wait_until_ready, f"http://127.0.0.1:{port}/")
        yield port


def _user() -> str:
    """Started by root, nginx works as another user, who may not read a test's folder."""
    return "user root;" if os.geteuid() == 0 else ""
