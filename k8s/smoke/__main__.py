"""Run with ``python -m k8s.smoke``. Exit status: 0 all checks passed, 1 one failed, 2 a setting is invalid."""

import asyncio
import sys

import aiohttp

from k8s.smoke.checks import SmokeError, check_notification, check_reachability
from k8s.smoke.settings import SmokeSettings, read_settings
from notification_api.client import NotificationApiError
from services.common.settings import SettingsError, load

FAILURES = (SmokeError, NotificationApiError, TimeoutError, aiohttp.ClientError)
CALL_TIMEOUT_SECONDS = 15.0


async def run(settings: SmokeSettings) -> None:
    """Run the checks that the settings allow; raises one of FAILURES."""
    timeout = aiohttp.ClientTimeout(total=CALL_TIMEOUT_SECONDS)
    async with asyncio.timeout(settings.timeout_seconds), aiohttp.ClientSession(timeout=timeout) as http:
        await check_reachability(http, settings, info)
        if settings.user is None:
            info("no user is configured (tests.userSecret), so no task was submitted")
        else:
            await check_notification(http, settings, settings.user, info)


def main() -> int:
    try:
        settings = load(read_settings)
        asyncio.run(run(settings))
    except FAILURES as error:
        return fail(error)
    except (SettingsError, OSError) as error:  # the files of the Secret among them
        info(str(error))
        return 2
    info("all checks passed")
    return 0


def fail(error: Exception) -> int:
    info(f"FAILED: {str(error) or 'it took too long: see TIMEOUT_SECONDS, and whether the processor is ready'}")
    return 1


def info(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
