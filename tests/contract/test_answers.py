"""The check of answers, with which the services' tests compare every answer that they get with the contract."""

from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from services.common.web.problem import CONTENT_TYPE, Problem, problem_response
from services.common.web.problem_types import ProblemType
from tests.support.contract import check_answer

TASK = "/task/01a21f2a-1581-7000-8000-000000000001"
JSON = {"Content-Type": "application/json", "X-Request-Id": "r"}
QUEUED = {"taskId": "01a21f2a-1581-7000-8000-000000000001", "status": "queued"}


def check(status: int, body: Any, headers: Mapping[str, str] = JSON, path: str = TASK, method: str = "GET") -> None:
    check_answer(method, path, status, headers, orjson.dumps(body))


def problem(problem_type: ProblemType) -> bytes:
    body = problem_response(Problem(problem_type, "Say it otherwise."), "r").body
    assert isinstance(body, bytes)
    return body


def test_what_is_described_is_accepted() -> None:
    check(200, QUEUED, {**JSON, "Retry-After": "2"})
    headers = {**JSON, "Content-Type": CONTENT_TYPE}
    check_answer("GET", TASK, 404, headers, problem(ProblemType.TASK_NOT_FOUND))
    check_answer("GET", "/nothing", 404, headers, problem(ProblemType.PATH_NOT_FOUND))


REFUSED = [
    pytest.param(201, QUEUED, JSON, TASK, id="another status"),
    pytest.param(200, {**QUEUED, "more": 1}, JSON, TASK, id="a field that is not described"),
    pytest.param(200, {**QUEUED, "status": "done"}, JSON, TASK, id="a value that is not described"),
    pytest.param(200, {"status": "queued"}, JSON, TASK, id="a field is missing"),
    pytest.param(200, QUEUED, {"Content-Type": "application/json"}, TASK, id="no request id"),
    pytest.param(200, QUEUED, {**JSON, "Content-Type": "text/html"}, TASK, id="another content type"),
    pytest.param(200, {"readUntil": 1}, {**JSON, "Retry-After": "2"}, "/token", id="a header that is not described"),
    pytest.param(200, QUEUED, JSON, "/nothing", id="a route that is not described"),
]


@pytest.mark.parametrize(("status", "body", "headers", "path"), REFUSED)
def test_what_is_not_described_is_refused(status: int, body: Any, headers: Mapping[str, str], path: str) -> None:
    with pytest.raises(AssertionError):
        check(status, body, headers, path)


def test_a_problem_of_another_route_is_refused() -> None:
    headers = {**JSON, "Content-Type": CONTENT_TYPE}
    with pytest.raises(AssertionError):
        check_answer("GET", TASK, 404, headers, problem(ProblemType.RESULT_NOT_READY))
