"""The addresses of a stage."""

import pytest

from notification_api.client.config import StageConfig

FIELDS = {"apiUrl": "https://api.test", "userPoolClientId": "client"}
URL = "https://app.test/config.json"


@pytest.mark.parametrize(
    ("pool", "url"),
    [
        ("eu-central-1_AbC", "https://cognito-idp.eu-central-1.amazonaws.com"),
        ("cn-north-1_AbC", "https://cognito-idp.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_cognito_is_in_the_region_of_the_user_pool(pool: str, url: str) -> None:
    assert StageConfig.from_json({**FIELDS, "userPoolId": pool}, URL).cognito_url == url


def test_an_emulator_has_an_endpoint_of_its_own() -> None:
    fields = {**FIELDS, "userPoolId": "us-east-1_1", "cognitoEndpoint": "http://localhost:4566"}
    assert StageConfig.from_json(fields, URL).cognito_url == "http://localhost:4566"


@pytest.mark.parametrize(
    ("api_url", "resolved"),
    [
        ("https://api.test/", "https://api.test"),
        ("/", "https://app.test"),
        ("/api", "https://app.test/api"),
        ("https://api.test/v1/", "https://api.test/v1"),
    ],
)
def test_the_api_may_be_relative_to_the_application(api_url: str, resolved: str) -> None:
    fields = {**FIELDS, "apiUrl": api_url, "userPoolId": "us-east-1_1"}
    assert StageConfig.from_json(fields, URL).api_url == resolved
