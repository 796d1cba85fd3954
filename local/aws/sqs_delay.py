"""A switch that delays every call of the emulated SQS, to see how the services behave while it is slow."""

import asyncio
import re

SQS_DELAY_PATH = "/_local/sqs-delay"
"""GET returns the delay, PUT with `?seconds=` sets it."""
_QUERY = re.compile(rb"seconds=(\d{1,2}(?:\.\d{1,3})?)")
_SQS_SIGNATURE = re.compile(r"AWS4-HMAC-SHA256 Credential=[^/\s,]+/\d{8}/[a-z0-9-]+/sqs/aws4_request,.*")


class SqsDelay:
    """The delay of each call of SQS."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def set(self, query: bytes) -> bool:
        """Set the delay from a query such as `seconds=2`; return False if it is invalid."""
        if not (given := _QUERY.fullmatch(query)):
            return False
        self.seconds = float(given[1])
        return True

    async def wait(self, authorization: str) -> None:
        """Delay a call if its signature is one for SQS."""
        if self.seconds and _SQS_SIGNATURE.fullmatch(authorization):
            await asyncio.sleep(self.seconds)
