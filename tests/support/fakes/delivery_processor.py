"""A delivery processor without an outage, for tests of its callers."""

from types import SimpleNamespace
from typing import cast

from services.processor.delivery.process import DeliveryProcessor
from services.processor.delivery.retry_policy import RetryPolicies, RetryPolicy
from services.processor.receiver.lease import Lease
from services.processor.receiver.outcome import Outcome


class FakeDeliveryProcessor:
    """Concludes no last delivery."""

    breaker = SimpleNamespace(is_open=False)
    policies = RetryPolicies({}, RetryPolicy(max_attempts=5, base_seconds=0, cap_seconds=0))

    def as_delivery_processor(self) -> DeliveryProcessor:
        return cast("DeliveryProcessor", self)

    async def conclude_if_last(self, lease: Lease, outcome: Outcome) -> Outcome:
        return outcome
