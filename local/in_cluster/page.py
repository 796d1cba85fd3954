"""`python -m local.in_cluster.page --outputs FILE`: the page, for whoever forwards its port.

It listens beyond loopback so that the kubelet can ask for its health; the check of the Host header stays: it serves
ALLOWED_HOSTS, which are the names that a port-forward has on the other machine.
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
from local.page.settings import Settings
from local.web_access import WebAccess

BUNDLE = Path(__file__).resolve().parents[2] / "frontend" / "dist"
STOP_WITHIN_SECONDS = 2.0


def page_settings(outputs: Outputs, environ: Mapping[str, str]) -> Settings:
    """What a browser is told: the addresses that `make forward` opens."""
    addresses = Addresses.from_environment(environ)
    return Settings(
        port=int(environ["PAGE_PORT"]),
        bundle=BUNDLE,
        mails_url=f"{environ['AWS_ENDPOINT_URL']}{MAILS_PATH}",
        mails_key=environ["AWS_SECRET_ACCESS_KEY"],
        access=WebAccess.from_environment(environ),
        token_url=environ["PAGE_TOKEN_URL"],
        task_url=environ["PAGE_TASK_URL"],
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
        host="0.0.0.0",  # noqa: S104 -- a pod is reached from outside it
        port=settings.port,
        access_log=None,
        print=None,
        shutdown_timeout=STOP_WITHIN_SECONDS,
    )


if __name__ == "__main__":
    main(os.environ)
