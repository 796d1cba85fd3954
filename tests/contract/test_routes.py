"""Every route, problem and limit of the services is in openapi.yaml, and nothing else."""

import ast
import re

import pytest
from aiohttp import web

import services.ingest.app
import services.ingest.settings
import services.token.app
import services.token.settings
from k8s.contract_files import OPENAPI, ROOT, load
from k8s.recorded_settings import record
from services.common.lifecycle import Lifecycle
from services.common.web.cors import ALLOWED_HEADERS, ALLOWED_METHODS, EXPOSED_HEADERS, PREFLIGHT_SECONDS
from services.common.web.problem_types import ProblemType
from tests.support.contract import PROBLEM_JSON, Operation, operation_of, operations

SERVICES = ("token", "ingest")
ON_EVERY_ROUTE = {
    ProblemType.MALFORMED_REQUEST,
    ProblemType.BODY_TOO_LARGE,
    ProblemType.URI_TOO_LONG,
    ProblemType.UNSUPPORTED_MEDIA_TYPE,
    ProblemType.MISDIRECTED_REQUEST,
    ProblemType.HEADERS_TOO_LARGE,
    ProblemType.INTERNAL_ERROR,
    ProblemType.OVERLOADED,
    ProblemType.TIMED_OUT,
    ProblemType.UNAVAILABLE,
}
"""Those of the HTTP parser and of the middleware."""
ON_NO_ROUTE = {ProblemType.PATH_NOT_FOUND, ProblemType.METHOD_NOT_ALLOWED}
PUBLIC = {"getOpenapi"}
BY_URI = {problem_type.uri: problem_type for problem_type in ProblemType}


def app_of(service: str) -> web.Application:
    """The application with default settings; those that are required are missing, which its routes do not need."""
    if service == "token":
        return services.token.app.create_app(record(services.token.settings.read_settings).defaults, Lifecycle())
    return services.ingest.app.create_app(record(services.ingest.settings.read_settings).defaults, Lifecycle())


def routes_of(service: str) -> set[tuple[str, str]]:
    """The method and the path of each route but HEAD, which aiohttp adds to GET."""
    resources = ((route.method, route.resource) for route in app_of(service).router.routes())
    return {(method, resource.canonical) for method, resource in resources if resource and method != "HEAD"}


def types_in(operation: Operation) -> dict[ProblemType, int]:
    """The problem types of an operation, with the status that they are described at."""
    return {
        BY_URI[uri]: status
        for status, response in operation.responses.items()
        if PROBLEM_JSON in response["content"]
        for uri in operation.problem_types(status)
    }


def named_in(folder: str) -> set[ProblemType]:
    """The problem types that the code in a folder names."""
    trees = (ast.parse(path.read_text()) for path in (ROOT / folder).rglob("*.py"))
    return {
        ProblemType[node.attr]
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "ProblemType"
    }


def operations_of(service: str) -> list[Operation]:
    routes = routes_of(service)
    return [each for each in operations() if (each.method, each.path) in routes]


def test_every_route_is_described_and_every_description_has_a_route() -> None:
    described = {(each.method, each.path) for each in operations()}
    assert described == routes_of("token") | routes_of("ingest")
    assert not routes_of("token") & routes_of("ingest")


def test_the_problem_types_are_the_same_in_the_code_and_in_the_description() -> None:
    listed = load(OPENAPI)["components"]["schemas"]["ProblemType"]["oneOf"]
    described = {each["const"]: (each["title"], each["description"].partition(":")[0]) for each in listed}
    assert described == {each.uri: (each.title, str(int(each.status))) for each in ProblemType}


@pytest.mark.parametrize("operation", operations(), ids=lambda operation: operation.id)
def test_each_problem_type_of_a_route_has_its_status(operation: Operation) -> None:
    assert {each: int(each.status) for each in types_in(operation)} == types_in(operation)


@pytest.mark.parametrize("operation", operations(), ids=lambda operation: operation.id)
def test_the_problems_of_every_route_are_described_on_every_route(operation: Operation) -> None:
    expected = ON_EVERY_ROUTE if operation.id in PUBLIC else {*ON_EVERY_ROUTE, ProblemType.INVALID_ID_TOKEN}
    assert expected <= types_in(operation).keys()
    assert not ON_NO_ROUTE & types_in(operation).keys()
    assert ("security" in operation.spec) == (operation.id in PUBLIC)


def test_the_common_code_names_the_problems_of_every_route() -> None:
    assert named_in("services/common") == ON_EVERY_ROUTE | ON_NO_ROUTE | {ProblemType.INVALID_ID_TOKEN}


@pytest.mark.parametrize("service", SERVICES)
def test_the_other_problems_of_a_service_are_those_that_its_code_names(service: str) -> None:
    described = {each for operation in operations_of(service) for each in types_in(operation)}
    common = ON_EVERY_ROUTE | {ProblemType.INVALID_ID_TOKEN}
    assert described - common == named_in(f"services/{service}") - common


@pytest.mark.parametrize("operation", operations(), ids=lambda operation: operation.id)
def test_what_may_be_repeated_later_says_when(operation: Operation) -> None:
    later = {429, 503} & operation.responses.keys()
    assert [status for status in later if "Retry-After" not in operation.responses[status]["headers"]] == []


def test_every_status_has_the_header_that_every_answer_has() -> None:
    missing = [
        (operation.id, status)
        for operation in operations()
        for status, response in operation.responses.items()
        if "X-Request-Id" not in response["headers"]
    ]
    assert missing == []


def test_what_pages_may_do_is_described() -> None:
    cors = load(OPENAPI)["info"]["description"].partition("## CORS")[2].partition("##")[0]
    named = set(re.findall(r"`([\w-]+)`", cors))
    assert named >= {*ALLOWED_METHODS.split(", "), *ALLOWED_HEADERS, *EXPOSED_HEADERS.split(", ")}
    assert f"{int(PREFLIGHT_SECONDS):,} s" in cors


def test_a_path_with_a_task_id_is_found() -> None:
    found = operation_of("HEAD", "/task/01a21f2a-1581-7000-8000-000000000001")
    assert found is not None
    assert found.id == "getTask"
    assert operation_of("GET", "/task/a/b") is None
