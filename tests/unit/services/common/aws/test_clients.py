"""The SDK with less in memory does what it does with all of it."""

import json
from typing import Any

import pytest
from aiobotocore.session import AioSession, get_session

from services.common.aws.clients import SERVICES, aws_session

REGIONS = ["us-east-1", "eu-central-1", "us-gov-west-1", "cn-north-1"]


def loaded(session: AioSession, service: str) -> dict[str, Any]:
    model: dict[str, Any] = session.get_component("data_loader").load_service_model(service, "service-2")
    return model


@pytest.fixture(scope="module")
def whole() -> AioSession:
    return get_session()


@pytest.fixture(scope="module")
def lean() -> AioSession:
    return aws_session()


def undocumented(part: Any) -> Any:
    if isinstance(part, dict):
        return {
            key: undocumented(value)
            for key, value in part.items()
            if key != "documentation" or not isinstance(value, str)
        }
    return [undocumented(each) for each in part] if isinstance(part, list) else part


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_a_model_lacks_its_documentation_and_nothing_else(whole: AioSession, lean: AioSession, service: str) -> None:
    assert loaded(lean, service) == undocumented(loaded(whole, service))
    assert len(json.dumps(loaded(lean, service))) < len(json.dumps(loaded(whole, service))) / 1.5


@pytest.mark.parametrize("region", REGIONS)
async def test_endpoints_are_the_same(whole: AioSession, lean: AioSession, region: str) -> None:
    for service in sorted(SERVICES):
        endpoints = []
        for session in (whole, lean):
            keys = {"region_name": region, "aws_access_key_id": "a", "aws_secret_access_key": "b"}
            async with session.create_client(service, **keys) as client:  # type: ignore[call-overload]
                endpoints.append(client.meta.endpoint_url)
        assert endpoints[0] == endpoints[1]
