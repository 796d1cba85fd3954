"""Which settings of a client and a pool are corrected, for values that AWS reports and an emulator does not."""

from typing import Any

import pytest

from k8s.operator.resources.user_pool import UserPoolSettings
from k8s.operator.resources.user_pool_client import SETTINGS, UserPoolClient

SRP, REFRESH = "ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"


def client(**changes: Any) -> UserPoolClient:
    return UserPoolClient({**SETTINGS, **changes})


def test_a_created_client_has_no_drift() -> None:
    assert client().drift() == {}


def test_refresh_token_rotation_stays_without_the_flow_that_it_excludes() -> None:
    rotating = {"RefreshTokenRotation": {"Feature": "ENABLED"}}

    assert client(ExplicitAuthFlows=[SRP], **rotating).drift() == {}
    assert client(ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH"], **rotating).drift() == {"ExplicitAuthFlows": [SRP]}
    assert client(ExplicitAuthFlows=[SRP], RefreshTokenRotation={"Feature": "DISABLED"}).drift() == {
        "ExplicitAuthFlows": [SRP, REFRESH]
    }


@pytest.mark.parametrize(
    ("changes", "drift"),
    [
        ({"TokenValidityUnits": {}, "IdTokenValidity": 1, "AccessTokenValidity": 1}, {}),  # hours, and days to refresh
        (
            {"TokenValidityUnits": {}, "IdTokenValidity": 2, "AccessTokenValidity": 1},
            {"IdTokenValidity": 60, "TokenValidityUnits": {"IdToken": "minutes"}},
        ),
        ({"RefreshTokenValidity": 0}, {"RefreshTokenValidity": 30, "TokenValidityUnits": {"RefreshToken": "days"}}),
    ],
)
def test_validities_are_compared_in_their_units(changes: dict[str, Any], drift: dict[str, Any]) -> None:
    assert client(**changes).drift() == drift


def test_a_created_pool_has_no_drift_and_an_empty_one_gets_every_setting() -> None:
    settings = UserPoolSettings(deletion_protection=True)
    never_changed = {"UsernameAttributes", "UsernameConfiguration"}

    assert settings.drift(settings.at_creation()) == {}
    assert settings.drift({}).keys() == settings.at_creation().keys() - never_changed


@pytest.mark.parametrize("asked", [False, True])
def test_an_active_protection_is_never_drift(asked: bool) -> None:
    settings = UserPoolSettings(deletion_protection=asked)

    assert "DeletionProtection" not in settings.drift({"DeletionProtection": "ACTIVE"})
    assert ("DeletionProtection" in settings.drift({"DeletionProtection": "INACTIVE"})) == asked
