"""Which pods reach which: pods that listen and connect, and what the cluster lets through."""

import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from tests.support.cluster.tools import IMAGE, IMAGE_TAG, Namespace, read_text, wait_until_sync
from tests.support.helm_charts import Object

PORTS = ("tcp:53", "udp:53", *(f"tcp:{port}" for port in (80, 443, 4566, 5432, 8080, 8084, 8085, 9090, 9091)))
"""What every pod listens on: each port that a policy names, and one that none does."""
SETTLED_SECONDS = 40.0
"""How long a network plugin may take until a change of pods or policies is in force."""


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
    """The pods by name, and what reached what before there was any policy."""

    def __init__(self) -> None:
        self._places: dict[str, Namespace] = {}
        self._addresses: dict[str, str] = {}
        self.open_without_policies: set[Attempt] = set()

    def start(self, namespace: Namespace, labels: Mapping[str, Mapping[str, str]]) -> None:
        """One listener a name, ready when this returns."""
        namespace.apply(*(listener(name, given) for name, given in labels.items()))
        namespace.kubectl("wait", "pod", *labels, "--for=condition=Ready", "--timeout=90s")
        for name in labels:
            self._places[name] = namespace
            self._addresses[name] = namespace.get("pod", name)["status"]["podIP"]

    def pairs(self) -> list[Attempt]:
        """Every pod to every other, on every port."""
        return [
            Attempt(source, target, int(port), protocol)
            for source in self._places
            for target in self._places
            if source != target
            for protocol, port in (each.split(":") for each in PORTS)
        ]

    def reached(self, attempts: Iterable[Attempt]) -> set[Attempt]:
        """Those that led to a connection, or to an answer."""
        by_source: dict[str, list[Attempt]] = {}
        for each in attempts:
            by_source.setdefault(each.source, []).append(each)
        with ThreadPoolExecutor(len(by_source)) as pool:
            return set().union(*pool.map(self._reached_by_one, by_source.values()))

    def _reached_by_one(self, attempts: Sequence[Attempt]) -> set[Attempt]:
        source = attempts[0].source
        wanted = [[each.protocol, self._addresses.get(each.target, each.target), each.port] for each in attempts]
        output = self._places[source].kubectl(
            "exec", source, "--", "python", "-c", read_text("reach_attempts.py"), json.dumps(wanted)
        )
        return {each for each, is_reached in zip(attempts, json.loads(output), strict=True) if is_reached}

    def note_what_is_open(self, attempts: Sequence[Attempt]) -> None:
        """Without policies: all of these are reached. What a policy refuses later is refused by the policy."""
        missing = set(attempts)

        def is_all_open() -> bool:
            missing.difference_update(self.reached(missing))
            return not missing

        wait_until_sync(
            is_all_open, lambda: f"reached without policies: {sorted(missing)}", timeout_seconds=SETTLED_SECONDS
        )
        self.open_without_policies |= set(attempts)

    def expect(self, passes: Sequence[Attempt], refused: Sequence[Attempt]) -> None:
        """These connections are made and those are not, once policies are in force."""
        assert set(refused) <= self.open_without_policies, "a refusal that no policy causes proves nothing"
        wrong: set[Attempt] = set()

        def is_right() -> bool:
            nonlocal wrong
            wrong = self.reached([*passes, *refused]) ^ set(passes)
            return not wrong

        def what() -> str:
            return "\n".join(f"{'not ' if each in passes else ''}reached: {each}" for each in sorted(wrong))

        wait_until_sync(is_right, what, timeout_seconds=SETTLED_SECONDS)


def put_policies(namespace: Namespace, policies: Sequence[Object]) -> None:
    """These, and no other ones."""
    namespace.kubectl("delete", "networkpolicies", "--all")
    if policies:
        namespace.apply(*policies)
