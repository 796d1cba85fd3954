"""A worker without an outage, for tests of what is around it."""

from types import SimpleNamespace
from typing import cast

from services.processor.delivery.process import Worker
from services.processor.receiver.lease import Lease
from services.processor.receiver.outcome import Verdict


class FakeWorker:
    """Gives nothing up."""

    breaker = SimpleNamespace(is_open=False)

    def as_worker(self) -> Worker:
        return cast("Worker", self)

    async def give_up(self, lease: Lease, verdict: Verdict, *, is_last: bool) -> Verdict:
        return verdict
