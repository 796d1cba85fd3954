"""The ready pods of Services, from a watch of EndpointSlices."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local.forward.kubectl import read_lines, run_kubectl

RESTART_SECONDS = 1.0
SERVICE_LABEL = "kubernetes.io/service-name"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A ready pod and the port of its container."""

    pod: str
    port: int


@dataclass(frozen=True, slots=True)
class Change:
    """The current state of one EndpointSlice. A deleted one has no ready pods."""

    service: str
    slice_name: str
    ports: Mapping[str, int]
    ready_pods: tuple[str, ...]


def parse_change(line: str) -> Change:
    """Read one watch event, a line of JSON from kubectl."""
    event: dict[str, Any] = json.loads(line)
    current = event["object"]
    endpoints = current.get("endpoints") or [] if event["type"] != "DELETED" else []
    return Change(
        service=current["metadata"].get("labels", {}).get(SERVICE_LABEL, ""),
        slice_name=current["metadata"]["name"],
        ports={port.get("name") or "": port["port"] for port in current.get("ports") or [] if port.get("port")},
        # A missing condition counts as true (API reference of EndpointConditions).
        ready_pods=tuple(
            endpoint["targetRef"]["name"]
            for endpoint in endpoints
            if "targetRef" in endpoint and endpoint.get("conditions", {}).get("ready", True)
        ),
    )


class Endpoints:
    """The ready pods of one namespace. The caller runs `watch` as a task."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._slices: dict[str, dict[str, Change]] = defaultdict(dict)
        self._changed = asyncio.Event()

    def ready(self, service: str, port_name: str) -> list[Endpoint]:
        """Return the ready pods of a Service, in the order of the cluster."""
        return [
            Endpoint(pod, change.ports[port_name])
            for change in self._slices[service].values()
            if port_name in change.ports
            for pod in change.ready_pods
        ]

    async def wait_for_change(self) -> None:
        """Wait for the next change."""
        await self._changed.wait()

    def apply(self, change: Change) -> None:
        self._slices[change.service][change.slice_name] = change
        self._changed.set()
        self._changed = asyncio.Event()

    async def watch(self) -> None:
        """Watch until cancelled. A watch that ends is restarted, since the API server ends each one after a time."""
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
            async with run_kubectl(*arguments) as process:
                async for line in read_lines(process):
                    self.apply(parse_change(line))
            await asyncio.sleep(RESTART_SECONDS)
