"""kubectl, helm and new namespaces on the cluster that KUBECONFIG names."""

import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from tests.support import waiting
from tests.support.helm_charts import Object

IMAGE = os.environ.get("IMAGE", "localhost/notification-api")
IMAGE_TAG = os.environ.get("IMAGE_TAG", "0.1.0")
PATIENCE_SECONDS = 120.0
wait_until_sync = partial(waiting.wait_until_sync, timeout_seconds=PATIENCE_SECONDS)


class ClusterError(AssertionError):
    """A command failed; the text is its output."""


def why_no_cluster() -> str | None:
    """Return why there is no cluster to test on, None when there is one."""
    for tool in ("kubectl", "helm"):
        if shutil.which(tool) is None:
            return f"missing: {tool}"
    done = subprocess.run(
        ["kubectl", "get", "--raw", "/readyz", "--request-timeout=5s"], capture_output=True, text=True
    )
    return f"no cluster answers (KUBECONFIG): {done.stderr.strip().splitlines()[-1]}" if done.returncode else None


def run(*command: str, given: str | None = None, seconds: float = PATIENCE_SECONDS) -> str:
    """Run a command and return its output. Raises ClusterError with the command's error output."""
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=seconds)
    if done.returncode:
        raise ClusterError(f"{' '.join(command)}: {done.stderr}{done.stdout}")
    return done.stdout


class Namespace:
    """A namespace and its releases."""

    def __init__(self, name: str) -> None:
        self.name = name

    def kubectl(self, *arguments: str, given: str | None = None, seconds: float = PATIENCE_SECONDS) -> str:
        return run("kubectl", "-n", self.name, *arguments, given=given, seconds=seconds)

    def get(self, *arguments: str) -> Any:
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def apply(self, *objects: Object) -> None:
        self.kubectl("apply", "-f", "-", given=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))

    def helm(self, *arguments: str, values: Mapping[str, Any] | None = None) -> str:
        given = ("-f", "-") if values is not None else ()
        text = json.dumps(values) if values is not None else None
        return run("helm", *arguments, "-n", self.name, *given, given=text)

    def pods(self, selector: str) -> list[Object]:
        items: list[Object] = self.get("pods", "-l", selector)["items"]
        return items

    def of_component(self, release: str, component: str) -> list[Object]:
        """Pods that are not being deleted: a terminating one may not answer."""
        pods = self.pods(f"app.kubernetes.io/instance={release},app.kubernetes.io/component={component}")
        return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]

    def python(self, pod: str, code: str, container: str = "") -> str:
        """Run Python in a container of the product's image, which has no other tools."""
        chosen = ("-c", container) if container else ()
        return self.kubectl("exec", pod, *chosen, "--", "python", "-c", code)


def image_values(suffix: str = "") -> Object:
    return {"image": {"repository": f"{IMAGE}{suffix}", "tag": IMAGE_TAG}}


@contextmanager
def fresh_namespace(labels: Mapping[str, str] | None = None) -> Iterator[Namespace]:
    """Create a namespace that enforces the restricted profile, and delete it at the end."""
    name = f"test-{secrets.token_hex(4)}"
    metadata = {"name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted", **(labels or {})}}
    run(
        "kubectl",
        "create",
        "-f",
        "-",
        given=json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}),
    )
    try:
        yield Namespace(name)
    finally:
        run("kubectl", "delete", "namespace", name, "--wait=false", "--ignore-not-found")


def ready(pod: Object) -> bool:
    conditions = {each["type"]: each["status"] for each in pod.get("status", {}).get("conditions", [])}
    return conditions.get("Ready") == "True"


def read_text(name: str) -> str:
    """The text of a file of this folder."""
    return (Path(__file__).parent / name).read_text(encoding="utf-8")
