"""`python -m local.in_cluster.page --outputs FILE`: the application's server, reached through `make forward`.

`make forward` forwards the API's paths, since only it knows the stage's Services. This server listens on all addresses,
for the kubelet's probes. It still checks the Host header, against ALLOWED_HOSTS: the host names of a port-forward.
"""

import argparse
import os
from collections.abc import Mapping
from pathlib import Path

from aiohttp import web

from local.aws.guard import MAILS_PATH
from local.in_cluster.values import Addresses
from local.outputs import Outputs
from local.page.app import create_app
from local.page.settings import Settings, page_port
from local.web_access.access import WebAccess

BUNDLE = Path(__file__).resolve().parents[2] / "frontend" / "dist"
STOP_TIMEOUT_SECONDS = 2.0


def page_settings(outputs: Outputs, environ: Mapping[str, str]) -> Settings:
    """Create the settings, with the addresses that `make forward` opens."""
    addresses = Addresses.from_environment(environ)
    return Settings(
        port=page_port(environ),
        bundle=BUNDLE,
        mails_url=f"{environ['AWS_ENDPOINT_URL']}{MAILS_PATH}",
        mails_key=environ["AWS_SECRET_ACCESS_KEY"],
        access=WebAccess.from_environment(environ),
        services=None,
        dev_view=None,
        momento_url=addresses.momento_web_url,
        cognito_url=environ["PAGE_COGNITO_URL"],
        region=addresses.region,
        user_pool_id=outputs.user_pool_id,
        user_pool_client_id=outputs.user_pool_client_id,
    )


def main(environ: Mapping[str, str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m local.in_cluster.page")
    parser.add_argument("--outputs", type=Path, required=True)
    settings = page_settings(Outputs.read(parser.parse_args().outputs), environ)
    web.run_app(
        create_app(settings),
        host="0.0.0.0",  # noqa: S104 -- the kubelet and port-forwards reach it from outside the pod
        port=settings.port,
        access_log=None,
        print=None,
        shutdown_timeout=STOP_TIMEOUT_SECONDS,
    )


if __name__ == "__main__":
    main(os.environ)
