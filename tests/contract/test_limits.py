"""The limits in openapi.yaml are those of the code: each setting that a client can meet, with its default."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

import services.common.web.connection
import services.common.web.request_parser
import services.ingest.settings
import services.token.history.read_marker
import services.token.settings
import services.token.tasks.cancel_view
import services.token.tasks.task_canceller
import services.token.tasks.task_reader
from k8s.contract_files import OPENAPI, load
from k8s.recorded_settings import Recorded, record
from notification_api.json_rules import MAX_RESULT_BYTES
from services.common.setting_numbers import NumberRule
from services.common.web.problem_types import ProblemType
from services.ingest.body import BODY_SHARE
from tests.support.contract import Operation, operations

SETTINGS: dict[str, Recorded[Any]] = {
    "token": record(services.token.settings.read_settings),
    "ingest": record(services.ingest.settings.read_settings),
}
NO_LIMITS = {
    "PORT",
    "OPS_PORT",
    "SHUTDOWN_DELAY_SECONDS",
    "SHUTDOWN_GRACE_SECONDS",
    "VENDING_REPLICAS",  # divides limits of the stage among the replicas
    "TOKEN_LOOKUPS_PER_SECOND",  # beyond it tokens are vended, which no client notices
}
"""Numeric settings that no client can meet."""
REQUEST_PARSER = services.common.web.request_parser
CONSTANTS = {
    ("", "target of the request"): REQUEST_PARSER.MAX_LINE_BYTES,
    ("", "all headers together"): REQUEST_PARSER.MAX_HEADER_BYTES,
    ("", "number of headers"): REQUEST_PARSER.MAX_HEADERS,
    ("", "time for the headers"): services.common.web.connection.HEADERS_SECONDS,
    ("markRead", "requests, per user"): services.token.history.read_marker.MOVES_PER_MINUTE,
    ("markRead", "clock of the client ahead"): services.token.history.read_marker.AHEAD_SECONDS,
    ("getTask", "reads, results included, per user"): services.token.tasks.task_reader.READS_PER_MINUTE,
    ("getResult", "reads, statuses included, per user"): services.token.tasks.task_reader.READS_PER_MINUTE,
    ("getResult", "size of a result"): MAX_RESULT_BYTES,
    ("cancelTask", "requests, per user"): services.token.tasks.task_canceller.CANCELS_PER_MINUTE,
    ("cancelTask", "outstanding requests of a user"): services.token.tasks.cancel_view.MAX_OF_USER,
    ("cancelTask", "outstanding requests of the stage"): services.token.tasks.cancel_view.MAX_OF_STAGE,
}


class Limit(NamedTuple):
    """A row of a table of limits; `operation_id` is empty for those of every route."""

    operation_id: str
    name: str
    value: str
    setting: str
    beyond: str

    @property
    def number(self) -> float | None:
        found = re.match(r"[\d,.]+", self.value)
        return float(found[0].replace(",", "")) if found else None


def limits_in(description: str, operation_id: str) -> Iterator[Limit]:
    for line in description.splitlines():
        cells = [cell.strip().strip("`") for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) == 4 and cells[0] != "limit" and not cells[0].startswith("---"):
            yield Limit(operation_id, *cells)


def limits() -> list[Limit]:
    everywhere = limits_in(load(OPENAPI)["info"]["description"], "")
    return [*everywhere, *(limit for each in operations() for limit in limits_in(each.spec["description"], each.id))]


def service_of(operation_id: str) -> str:
    return "ingest" if operation_id == "submitTask" else "token"


def default_of(service: str, setting: str) -> Any:
    own = SETTINGS[service].defaults
    return next(
        getattr(group, setting.lower()) for group in (own, own.http, own.service) if hasattr(group, setting.lower())
    )


WITH_SETTING = [limit for limit in limits() if limit.setting]


@pytest.mark.parametrize("limit", WITH_SETTING, ids=lambda limit: f"{limit.operation_id}-{limit.name}")
def test_the_value_of_a_limit_is_the_default_of_its_setting(limit: Limit) -> None:
    default = default_of(service_of(limit.operation_id), limit.setting)
    expected = default * BODY_SHARE if limit.name == "time for the body" else default or None
    assert limit.number == expected


def test_the_value_of_a_limit_without_a_setting_is_that_of_the_code() -> None:
    described = {(limit.operation_id, limit.name): limit.number for limit in limits() if not limit.setting}
    described.pop(("submitTask", "size on the queue, quotes, backslashes and line breaks counted twice"))
    assert described == CONSTANTS


@pytest.mark.parametrize("service", SETTINGS)
def test_every_numeric_setting_that_a_client_can_meet_is_described(service: str) -> None:
    variables = SETTINGS[service].variables
    numeric = {name for name, variable in variables.items() if isinstance(variable.rule, NumberRule)}
    of_service = [limit for limit in limits() if limit.operation_id == "" or service_of(limit.operation_id) == service]
    described = {limit.setting for limit in of_service}
    assert numeric - NO_LIMITS == described & numeric


def problem_types() -> dict[str, ProblemType]:
    return {each.uri.rpartition(":")[2]: each for each in ProblemType}


@pytest.mark.parametrize("operation", operations(), ids=lambda operation: operation.id)
def test_what_happens_beyond_a_limit_is_a_problem_of_the_route(operation: Operation) -> None:
    known = problem_types()
    beyond = " ".join(limit.beyond for limit in limits_in(operation.spec["description"], operation.id))
    named = [each for name, each in known.items() if name in beyond]
    assert named
    assert [each for each in named if each.uri not in operation.problem_types(int(each.status))] == []
