"""What kopf is used for: the watch with its reconnecting, start and stop, and the liveness endpoint.

The handlers only pass on what they see. A StageController is level-based: it would do the same without any event, only
later. So kopf keeps no state on the resources, no annotation, no finalizer.
"""

from collections.abc import Callable
from typing import Any

import kopf

from k8s.operator.api.client import log_in
from k8s.operator.api.stage import GROUP, PLURAL, VERSION
from k8s.operator.controller.stages import Stages

WATCH_SECONDS = 300
"""A watch is asked anew so often, and given up a little later (kopf issues 787 and 1276). A whole number: a float is
sent as such, and refused."""


def register(registry: kopf.OperatorRegistry, stages: Callable[[], Stages]) -> None:
    """Add our handlers."""

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.ConnectionInfo:
        return log_in()

    @kopf.on.startup(registry=registry)
    async def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
        settings.watching.server_timeout = WATCH_SECONDS
        settings.watching.client_timeout = WATCH_SECONDS + 10
        settings.watching.connect_timeout = 10
        settings.networking.request_timeout = 30
        settings.networking.connect_timeout = 10
        # Nothing but the CRD that the chart brings is of interest, and it is there before we are.
        settings.scanning.disabled = True
        settings.posting.enabled = False

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=registry, id="stage")
    async def see(event: kopf.RawEvent, **_: Any) -> None:
        if event["type"] == "DELETED":
            stages().forgotten(dict(event["object"]))
        else:
            stages().watched(dict(event["object"]))

    @kopf.on.probe(registry=registry, id="watch")
    async def watch_is_live(**_: Any) -> str:
        """Answered on the event loop, so an answer at all shows that it turns."""
        if reason := stages().not_live():
            raise kopf.PermanentError(reason)
        return "live"
