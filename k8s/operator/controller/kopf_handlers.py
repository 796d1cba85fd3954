"""The kopf handlers: watch, start, and the liveness endpoint.

The handlers only pass Stages on. A StageController is level-based: without any event it would do the same, only later.
So kopf keeps no state on the resources: no annotation, no finalizer.
"""

from collections.abc import Callable
from typing import Any

import kopf

from k8s.operator.api.client import log_in
from k8s.operator.api.stage import GROUP, PLURAL, VERSION
from k8s.operator.controller.stages import Stages

WATCH_SECONDS = 300
"""Duration of one watch request; kopf gives it up a little later (kopf issues 787 and 1276). A whole number: the API
server refuses a float."""


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
        # The chart installs the only CRD that is watched before it starts the operator.
        settings.scanning.disabled = True
        settings.posting.enabled = False

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=registry, id="stage")
    async def on_event(event: kopf.RawEvent, **_: Any) -> None:
        if event["type"] == "DELETED":
            stages().on_delete(dict(event["object"]))
        else:
            stages().on_change(dict(event["object"]))

    @kopf.on.probe(registry=registry, id="watch")
    async def watch_is_live(**_: Any) -> str:
        """Runs on the event loop, so an answer also shows that the event loop is not blocked."""
        if problem := stages().liveness_problem():
            raise kopf.PermanentError(problem)
        return "live"
