"""A real Prometheus (Debian's package) for tests, on 127.0.0.1 with a data directory of its own."""

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # comes with kopf, without stubs

from tests.support.ports import free_port
from tests.support.processes.child import Child
from tests.support.yaml_text import load_yaml

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Target:
    """One pod to scrape, with the labels that the PodMonitor gives it."""

    address: str
    labels: Mapping[str, str]
    path: str = "/metrics"
    scheme: str = "http"


@dataclass(frozen=True)
class Prometheus:
    """A running server."""

    url: str

    def series(self, query: str, seconds: float = 60.0) -> list[list[float]]:
        """The values of each series that `query` had within the last `seconds`, NaN and infinity left out."""
        now = time.time()
        found = self._get("query_range", query=query, start=now - seconds, end=now, step=1)["result"]
        values = [[float(value) for _, value in one["values"]] for one in found]
        return [finite for one in values if (finite := [value for value in one if abs(value) < float("inf")])]

    def label_values(self, selector: str, label: str) -> list[str]:
        """The values of `label` among the series of `selector`, as Grafana asks for a variable's."""
        return [str(value) for value in self._get(f"label/{label}/values", **{"match[]": selector})]

    def unhealthy_targets(self) -> dict[str, str]:
        """Why targets could not be scraped the last time, by URL."""
        found = self._get("targets")["activeTargets"]
        return {one["scrapeUrl"]: one["lastError"] for one in found if one["health"] != "up"}

    def rules(self) -> list[dict[str, Any]]:
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def _get(self, what: str, **parameters: object) -> Any:
        url = f"{self.url}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
        try:
            with _OPENER.open(url, timeout=20) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from None


@contextmanager
def prometheus(
    folder: Path, targets: Sequence[Target], rule_files: Sequence[Path], scrape: Mapping[str, Any] | None = None
) -> Iterator[Prometheus]:
    """Scrape `targets` every second and evaluate `rule_files` as often.

    :param scrape: more of the scrape configuration, such as its TLS settings.
    """
    port = free_port()
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(_every_second(path, folder)) for path in rule_files],
        "scrape_configs": [_job(number, target, scrape or {}) for number, target in enumerate(targets)],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    command = [
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    server = Prometheus(f"http://127.0.0.1:{port}")
    with Child(command, {}, folder / "prometheus.log") as child:
        child.wait_until_ready(f"{server.url}/-/ready")
        yield server


def _job(number: int, target: Target, scrape: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "job_name": f"target-{number}",
        "metrics_path": target.path,
        "scheme": target.scheme,
        "honor_labels": target.labels.get("service") == "operator",  # its series have these labels
        "static_configs": [{"targets": [target.address], "labels": dict(target.labels)}],
        **scrape,
    }


def _every_second(path: Path, folder: Path) -> Path:
    """A copy of a rule file whose groups are evaluated as often as the test scrapes."""
    content = load_yaml(path.read_text())
    for group in content["groups"]:
        group.pop("interval", None)
    copy = folder / f"rules-{path.name}"
    copy.write_text(yaml.safe_dump(content))
    return copy
