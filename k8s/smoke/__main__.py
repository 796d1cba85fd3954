"""Run with ``python -m k8s.smoke``. Exit status: 0 all is well, 1 it is not, 2 it cannot start as asked."""

import asyncio
import os
import sys

import aiohttp
from botocore.exceptions import BotoCoreError, ClientError

from k8s.smoke.checks import reachable, whole_job
from k8s.smoke.errors import SmokeError
from k8s.smoke.settings import SmokeSettings, read_settings
from k8s.smoke.srp import SrpError
from services.common.momento.api_key import InvalidApiKey
from services.common.settings import SettingsError, load

FAILURES = (SmokeError, SrpError, InvalidApiKey, TimeoutError, aiohttp.ClientError, BotoCoreError, ClientError)
CALL_WITHIN_SECONDS = 15.0


async def run(settings: SmokeSettings) -> None:
    """Do all that can be done; raises one of FAILURES."""
    async with (
        asyncio.timeout(settings.timeout_seconds),
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=CALL_WITHIN_SECONDS)) as http,
    ):
        await reachable(http, settings, say)
        if settings.user_pool is None:
            say("no user was given (tests.userSecret), so no task was posted")
        else:
            await whole_job(http, settings, settings.user_pool, say)


def main() -> int:
    try:
        settings = load(read_settings)
        asyncio.run(run(settings))
    except FAILURES as error:
        return fail(error)
    except (SettingsError, OSError) as error:  # the files of the Secret among them
        say(str(error))
        return 2
    say("all is well")
    return 0


def fail(error: Exception) -> int:
    say(f"FAILED: {str(error) or 'it took too long: see TIMEOUT_SECONDS, and whether the processor is ready'}")
    return 1


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    # The thread that reads the news never ends by itself.
    os._exit(main())
