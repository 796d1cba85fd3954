"""Ready pods, as watch events of EndpointSlices tell them."""

import asyncio
import json
from typing import Any

from local.forward.endpoints import Change, Endpoint, Endpoints, parse_change


def event(kind: str = "MODIFIED", **states: Any) -> str:
    endpoints = [
        {"targetRef": {"kind": "Pod", "name": name}, "conditions": {} if state is None else {"ready": state}}
        for name, state in states.items()
    ]
    return json.dumps(
        {
            "type": kind,
            "object": {
                "metadata": {"name": "dev-token-x", "labels": {"kubernetes.io/service-name": "dev-token"}},
                "ports": [{"name": "http", "port": 8080}],
                "endpoints": endpoints,
            },
        }
    )


def test_only_ready_pods_count() -> None:
    change = parse_change(event(a=True, b=False))
    assert change == Change("dev-token", "dev-token-x", {"http": 8080}, ("a",))


def test_a_missing_condition_counts_as_true() -> None:
    assert parse_change(event(a=None)).ready_pods == ("a",)


def test_a_deleted_slice_has_no_pods() -> None:
    assert parse_change(event("DELETED", a=True)).ready_pods == ()


def test_a_slice_of_a_service_without_pods_is_read() -> None:
    change = json.loads(event())
    change["object"] |= {"ports": None, "endpoints": None}
    assert parse_change(json.dumps(change)) == Change("dev-token", "dev-token-x", {}, ())


def test_endpoints_without_a_pod_are_ignored() -> None:
    change = json.loads(event(a=True))
    change["object"]["endpoints"].append({"addresses": ["10.0.0.1"]})
    assert parse_change(json.dumps(change)).ready_pods == ("a",)


def test_a_port_is_found_by_its_name() -> None:
    endpoints = Endpoints("apps")
    endpoints.apply(parse_change(event(a=True, b=True)))
    assert endpoints.ready("dev-token", "http") == [Endpoint("a", 8080), Endpoint("b", 8080)]
    assert endpoints.ready("dev-token", "ops") == []
    assert endpoints.ready("dev-ingest", "http") == []


def test_slices_of_a_service_add_up_and_each_is_replaced_by_itself() -> None:
    endpoints = Endpoints("apps")
    endpoints.apply(Change("s", "one", {"http": 1}, ("a",)))
    endpoints.apply(Change("s", "two", {"http": 1}, ("b",)))
    endpoints.apply(Change("s", "one", {"http": 1}, ("c",)))
    assert [each.pod for each in endpoints.ready("s", "http")] == ["c", "b"]


async def test_each_change_wakes_waiters_once() -> None:
    endpoints = Endpoints("apps")
    waiting = asyncio.create_task(endpoints.wait_for_change())
    await asyncio.sleep(0)
    assert not waiting.done()
    endpoints.apply(Change("s", "one", {}, ()))
    await waiting
    again = asyncio.create_task(endpoints.wait_for_change())
    await asyncio.sleep(0)
    assert not again.done()
    again.cancel()
