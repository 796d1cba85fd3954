"""The outputs of a stage."""

import pytest

from k8s.operator.resources.spec import issuer, jwks_url

POOL = "eu-central-1_AbC123"
ISSUER = f"https://cognito-idp.eu-central-1.amazonaws.com/{POOL}"


def test_the_issuer_has_the_pools_region() -> None:
    assert issuer(POOL) == ISSUER


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://cognito-idp.eu-central-1.amazonaws.com",
        "https://cognito-idp-fips.us-east-1.amazonaws.com",
        "https://cognito-idp.eu-central-1.api.aws",
        "https://vpce-1.cognito-idp.eu-central-1.vpce.amazonaws.com",
    ],
)
def test_aws_has_its_key_set_below_the_issuer(endpoint: str) -> None:
    assert jwks_url(POOL, endpoint) == f"{ISSUER}/.well-known/jwks.json"


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:4566", "http://127.0.0.1:4566/"])
def test_an_emulator_has_its_key_set_below_itself(endpoint: str) -> None:
    assert jwks_url(POOL, endpoint) == f"http://127.0.0.1:4566/{POOL}/.well-known/jwks.json"


def test_a_host_that_only_looks_like_aws_is_not_aws() -> None:
    assert jwks_url(POOL, "https://evilamazonaws.com").startswith("https://evilamazonaws.com/")
