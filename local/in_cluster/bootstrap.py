"""`python -m local.in_cluster.bootstrap --outputs FILE`: create one stage, and print the Helm values that install it.

It runs in the pod of the emulators, once for each stage, and again in each new pod. Its output is a values file, with
the changes as comments: `kubectl logs … -c bootstrap-dev > dev.yaml`.
"""

import argparse
import asyncio
import contextlib
import io
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import aiohttp
from botocore.exceptions import BotoCoreError, ClientError

from local.bootstrap import bootstrap
from local.in_cluster.values import Addresses, values_file
from local.outputs import Outputs
from notification_api import PermanentError, TransientError

TIMEOUT_SECONDS = 60.0
"""The emulators start at the same time, on a node that may be busy."""
FAILURES = (TimeoutError, TransientError, PermanentError, aiohttp.ClientError, BotoCoreError, ClientError)


async def create_stage(environ: Mapping[str, str]) -> tuple[Outputs, str]:
    """Create the stage; return its outputs and the printed changes."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        async with asyncio.timeout(TIMEOUT_SECONDS):
            outputs = await bootstrap(environ["MOMENTO_ENDPOINT"], environ["MOMENTO_ADMIN_URL"])
    return outputs, printed.getvalue()


def main(argv: list[str], environ: Mapping[str, str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m local.in_cluster.bootstrap")
    parser.add_argument("--outputs", type=Path, required=True)
    options = parser.parse_args(argv)
    try:
        outputs, changes = asyncio.run(create_stage(environ))
    except FAILURES as error:
        info(f"# The stage could not be created: {str(error) or f'not done within {TIMEOUT_SECONDS:g} s'}")
        return 1
    outputs.write(options.outputs)
    info("".join(f"# {line}\n" for line in changes.splitlines()))
    info(values_file(outputs, Addresses.from_environment(environ)))
    return 0


def info(text: str) -> None:
    sys.stdout.write(text.rstrip("\n") + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
