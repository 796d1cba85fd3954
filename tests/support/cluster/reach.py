"""Pods that listen and connect to each other, to find which connections the cluster allows."""

import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from tests.support.cluster.tools import IMAGE, IMAGE_TAG, Namespace, read_text, wait_until_sync
from tests.support.helm_charts import Object

PORTS = ("tcp:53", "udp:53", *(f"tcp:{port}" for port in (80, 443, 4566, 5432, 8080, 8084, 8085, 9090, 9091)))
"""The ports of every pod: each port that a policy names, and one that no policy names."""
APPLY_SECONDS = 40.0
"""The longest time a network plugin may take to apply a change of pods or policies."""


class Attempt(NamedTuple):
    """A connection from a pod to a pod, by the names of this module, or to an address."""

    source: str
    target: str
    port: int
    protocol: str = "tcp"


def listener(name: str, labels: Mapping[str, str]) -> Object:
    """A pod that meets the restricted profile and listens on PORTS."""
    container: Object = {
        "name": "listener",
        "image": f"{IMAGE}:{IMAGE_TAG}",
        "command": ["python", "-c", read_text("reach_listener.py"), *PORTS],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "readinessProbe": {"tcpSocket": {"port": 9091}, "periodSeconds": 1},
    }
    spec: Object = {
        "terminationGracePeriodSeconds": 0,
        "securityContext": {
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
            "sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}],
        },
        "containers": [container],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": dict(labels)}, "spec": spec}


class Pods:
    """The pods by name, and the connections that succeed without policies."""

    def __init__(self) -> None:
        self._namespaces: dict[str, Namespace] = {}
        self._addresses: dict[str, str] = {}
        self.open_without_policies: set[Attempt] = set()

    def start(self, namespace: Namespace, labels: Mapping[str, Mapping[str, str]]) -> None:
        """Start one listener for each name, and wait until all are ready."""
        namespace.apply(*(listener(name, given) for name, given in labels.items()))
        namespace.kubectl("wait", "pod", *labels, "--for=condition=Ready", "--timeout=90s")
        for name in labels:
            self._namespaces[name] = namespace
            self._addresses[name] = namespace.get("pod", name)["status"]["podIP"]

    def pairs(self) -> list[Attempt]:
        """Attempts from every pod to every other, on every port."""
        return [
            Attempt(source, target, int(port), protocol)
            for source in self._namespaces
            for target in self._namespaces
            if source != target
            for protocol, port in (each.split(":") for each in PORTS)
        ]

    def reached(self, attempts: Iterable[Attempt]) -> set[Attempt]:
        """Return the attempts that got a connection or an answer."""
        by_source: dict[str, list[Attempt]] = {}
        for each in attempts:
            by_source.setdefault(each.source, []).append(each)
        with ThreadPoolExecutor(len(by_source)) as pool:
            return set().union(*pool.map(self._reached_by_one, by_source.values()))

    def _reached_by_one(self, attempts: Sequence[Attempt]) -> set[Attempt]:
        source = attempts[0].source
        wanted = [[each.protocol, self._addresses.get(each.target, each.target), each.port] for each in attempts]
        output = self._namespaces[source].kubectl(
            "exec", source, "--", "python", "-c", read_text("reach_attempts.py"), json.dumps(wanted)
        )
        return {each for each, is_reached in zip(attempts, json.loads(output), strict=True) if is_reached}

    def note_what_is_open(self, attempts: Sequence[Attempt]) -> None:
        """Expect all of these to succeed without policies, so that a later refusal is due to a policy."""
        missing = set(attempts)

        def is_all_open() -> bool:
            missing.difference_update(self.reached(missing))
            return not missing

        wait_until_sync(
            is_all_open, lambda: f"reached without policies: {sorted(missing)}", timeout_seconds=APPLY_SECONDS
        )
        self.open_without_policies |= set(attempts)

    def expect(self, passes: Sequence[Attempt], refused: Sequence[Attempt]) -> None:
        """Expect the first connections to succeed and the others to fail, once policies are applied."""
        assert set(refused) <= self.open_without_policies, "a refusal that no policy causes proves nothing"
        wrong: set[Attempt] = set()

        def is_right() -> bool:
            nonlocal wrong
            wrong = self.reached([*passes, *refused]) ^ set(passes)
            return not wrong

        def what() -> str:
            return "\n".join(f"{'not ' if each in passes else ''}reached: {each}" for each in sorted(wrong))

        wait_until_sync(is_right, what, timeout_seconds=APPLY_SECONDS)


def put_policies(namespace: Namespace, policies: Sequence[Object]) -> None:
    """Replace all policies of the namespace by these."""
    namespace.kubectl("delete", "networkpolicies", "--all")
    if policies:
        namespace.apply(*policies)
