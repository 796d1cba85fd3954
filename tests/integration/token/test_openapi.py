"""GET /openapi.json, over HTTP."""

import pytest

from k8s.contract_files import ROOT
from tests.support.served_app import Served
from tests.support.served_service import PAGE


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_the_description_is_public_and_cacheable(service: Served, method: str) -> None:
    answer = await service.ask(method, "/openapi.json", headers={"Origin": PAGE})
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    assert answer.headers["Vary"] == "Origin"
    expected = (ROOT / "services/token/openapi.json").read_bytes()
    assert answer.body == (expected if method == "GET" else b"")


async def test_an_id_token_is_not_looked_at(service: Served) -> None:
    answer = await service.ask("GET", "/openapi.json", headers={"Authorization": "Bearer invalid"})
    assert answer.status == 200


@pytest.mark.parametrize("path", ["/openapi.json/", "/token", "/token?x=/openapi.json"])
async def test_only_this_path_is_public(service: Served, path: str) -> None:
    assert (await service.ask("GET", path)).status in {401, 404}
