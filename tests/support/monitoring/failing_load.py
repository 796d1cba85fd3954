"""One failure of each kind in the local stack, so that the panels of failures have data."""

from dataclasses import dataclass

import aiohttp
from aiobotocore.session import get_session

from local.demo.sign_up import application, signed_in_user
from tests.support.processes.local_stack import LocalStack
from tests.support.processes.momento import MomentoEmulator

HANDLER = {"TASK_HANDLER": "tests.support.monitoring.failing_handler:handle"}
FAULTS = [
    {"method": "Publish", "status": "UNAVAILABLE", "calls": 1},
    *(
        {"method": method, "status": "INVALID_ARGUMENT", "calls": 1}
        for method in ("Get", "DictionaryGet", "GenerateDisposableToken")
    ),
]
"""One failed publish, one failed read of the shared tokens and of the history, and one failed vending."""


@dataclass(frozen=True)
class FailingLoad:
    """The processor has to run with `HANDLER`."""

    stack: LocalStack

    async def once(self) -> None:
        """A task that fails, one that succeeds in the second attempt, a malformed message, and faults of Momento."""
        self.momento.change(faults=FAULTS)
        async with application(self.stack.page_url) as app, aiohttp.ClientSession() as session:
            # A new user each time: the token of an existing one is in memory.
            user = await signed_in_user(app)
            authorised = {"Authorization": f"Bearer {user.id_token}"}
            for way in ("fail", "stumble"):
                task = {"data": way, "do": way}
                async with session.post(f"{user.config.api_url}/task", json=task, headers=authorised) as response:
                    assert response.status == 202, await response.text()
            async with session.get(f"{user.config.api_url}/token", headers=authorised) as response:
                assert response.status >= 500
        await self._send_malformed_message()

    def end(self) -> None:
        """Remove the faults."""
        self.momento.change(faults=[])

    @property
    def momento(self) -> MomentoEmulator:
        ports = self.stack.ports
        return MomentoEmulator(ports.momento_grpc, ports.momento_web)

    async def _send_malformed_message(self) -> None:
        async with get_session().create_client("sqs", **self.stack.aws_client()) as sqs:
            await sqs.send_message(
                QueueUrl=self.stack.outputs.queue_url, MessageBody="no task", MessageGroupId="unknown"
            )
