"""`python -m local.in_cluster.bootstrap --outputs FILE`: make one stage, and print the values file that installs it.

Runs beside the emulators in their own pod, once for each stage and again with each new pod. Its whole output is the
values file: what was done on the way is told in comments, so `kubectl logs … -c bootstrap-dev > dev.yaml` is all it
takes.
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
from services.common.errors import PermanentError, Transient

DEADLINE_SECONDS = 60.0
"""The emulators start at the same time, on a node that may be busy."""
FAILURES = (TimeoutError, Transient, PermanentError, aiohttp.ClientError, BotoCoreError, ClientError)


async def made(environ: Mapping[str, str]) -> tuple[Outputs, str]:
    """The stage's outputs, and what was done for them."""
    told = io.StringIO()
    with contextlib.redirect_stdout(told):
        async with asyncio.timeout(DEADLINE_SECONDS):
            outputs = await bootstrap(environ["MOMENTO_ENDPOINT"], environ["MOMENTO_ADMIN_URL"])
    return outputs, told.getvalue()


def main(argv: list[str], environ: Mapping[str, str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m local.in_cluster.bootstrap")
    parser.add_argument("--outputs", type=Path, required=True)
    options = parser.parse_args(argv)
    try:
        outputs, told = asyncio.run(made(environ))
    except FAILURES as error:
        say(f"# The stage could not be made: {str(error) or f'not done within {DEADLINE_SECONDS:g} s'}")
        return 1
    outputs.write(options.outputs)
    say("".join(f"# {line}\n" for line in told.splitlines()))
    say(values_file(outputs, Addresses.from_environment(environ)))
    return 0


def say(text: str) -> None:
    sys.stdout.write(text.rstrip("\n") + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
