"""The addresses of a stage."""

import pytest

from notification_api.client.config import StageConfig

FIELDS = {"tokenUrl": "https://a/token", "taskUrl": "https://a/task", "userPoolClientId": "client"}


@pytest.mark.parametrize(
    ("pool", "url"),
    [
        ("eu-central-1_AbC", "https://cognito-idp.eu-central-1.amazonaws.com"),
        ("cn-north-1_AbC", "https://cognito-idp.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_cognito_is_in_the_region_of_the_user_pool(pool: str, url: str) -> None:
    assert StageConfig.from_json({**FIELDS, "userPoolId": pool}).cognito_url == url


def test_an_emulator_has_an_endpoint_of_its_own() -> None:
    fields = {**FIELDS, "userPoolId": "us-east-1_1", "cognitoEndpoint": "http://localhost:4566"}
    assert StageConfig.from_json(fields).cognito_url == "http://localhost:4566"
