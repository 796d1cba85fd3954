"""Which pods are ready behind a Service, as the cluster tells it while it changes."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local.forward.kubectl import lines, running

AGAIN_SECONDS = 1.0
SERVICE_LABEL = "kubernetes.io/service-name"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A ready pod and the port of its container."""

    pod: str
    port: int


@dataclass(frozen=True, slots=True)
class Change:
    """One EndpointSlice as it is now; a deleted one has no ready pods."""

    service: str
    slice_name: str
    ports: Mapping[str, int]
    ready_pods: tuple[str, ...]


def parse_change(line: str) -> Change:
    """One watch event as kubectl writes it, a JSON object a line."""
    event: dict[str, Any] = json.loads(line)
    seen = event["object"]
    endpoints = seen.get("endpoints") or [] if event["type"] != "DELETED" else []
    return Change(
        service=seen["metadata"].get("labels", {}).get(SERVICE_LABEL, ""),
        slice_name=seen["metadata"]["name"],
        ports={port.get("name") or "": port["port"] for port in seen.get("ports") or [] if port.get("port")},
        # A condition that is not told counts as true (API reference of EndpointConditions).
        ready_pods=tuple(
            endpoint["targetRef"]["name"]
            for endpoint in endpoints
            if "targetRef" in endpoint and endpoint.get("conditions", {}).get("ready", True)
        ),
    )


class Endpoints:
    """The ready pods of one namespace; somebody has to run `watch`."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._slices: dict[str, dict[str, Change]] = defaultdict(dict)
        self._changed = asyncio.Event()

    def ready(self, service: str, port_name: str) -> list[Endpoint]:
        """In the order in which the cluster lists them."""
        return [
            Endpoint(pod, change.ports[port_name])
            for change in self._slices[service].values()
            if port_name in change.ports
            for pod in change.ready_pods
        ]

    async def change(self) -> None:
        """Wait for the next change."""
        await self._changed.wait()

    def apply(self, change: Change) -> None:
        self._slices[change.service][change.slice_name] = change
        self._changed.set()
        self._changed = asyncio.Event()

    async def watch(self) -> None:
        """Follow the cluster until cancelled; a watch that ends is begun again, since the server ends each in time."""
        while True:
            arguments = (
                "-n",
                self._namespace,
                "get",
                "endpointslices",
                "--watch",
                "--output-watch-events",
                "-o",
                "json",
            )
            async with running(*arguments) as process:
                async for line in lines(process):
                    self.apply(parse_change(line))
            await asyncio.sleep(AGAIN_SECONDS)
