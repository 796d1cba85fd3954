"""A delivery processor without an outage, for tests of its callers."""

from types import SimpleNamespace
from typing import cast

from services.common.aws.task_queue import ReceivedMessage
from services.common.messages.task_details import DEFAULT_TYPE
from services.processor.delivery.process import DeliveryProcessor
from services.processor.receiver.lease import Lease
from services.processor.receiver.outcome import Outcome


class FakeDeliveryProcessor:
    """Concludes no last delivery."""

    breaker = SimpleNamespace(is_open=False)

    def as_delivery_processor(self) -> DeliveryProcessor:
        return cast("DeliveryProcessor", self)

    def label_of(self, _message: ReceivedMessage) -> str:
        return DEFAULT_TYPE

    async def conclude_if_last(self, lease: Lease, outcome: Outcome) -> Outcome:
        return outcome
