"""A worker without an outage, for tests of what is around it."""

from types import SimpleNamespace
from typing import cast

from services.processor.lease import Lease
from services.processor.outcome import Verdict
from services.processor.worker import Worker


class FakeWorker:
    """Gives nothing up."""

    breaker = SimpleNamespace(is_open=False)

    def as_worker(self) -> Worker:
        return cast("Worker", self)

    async def give_up(self, lease: Lease, verdict: Verdict, *, is_last: bool) -> Verdict:
        return verdict
