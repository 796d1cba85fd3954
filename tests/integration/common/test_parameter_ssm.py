"""The cached parameter with an emulated SSM."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

from services.common.aws.ssm_parameter import SsmParameter
from tests.support.clock import ManualClock
from tests.support.processes.ministack import MiniStack, new_account_id

if TYPE_CHECKING:
    from types_aiobotocore_ssm.client import SSMClient

NAME = "/notification-api/test/momento-api-key"


@pytest.fixture
async def ssm(aws: MiniStack) -> AsyncIterator["SSMClient"]:
    one_try = AioConfig(retries={"total_max_attempts": 1})
    settings = aws.client_settings(new_account_id())
    async with get_session().create_client("ssm", config=one_try, **settings) as client:
        yield client


async def test_a_secure_string_is_read_decrypted_and_again_after_its_rotation(ssm: "SSMClient") -> None:
    clock = ManualClock()
    parameter = SsmParameter(ssm, NAME, clock=clock)
    await ssm.put_parameter(Name=NAME, Value="first\n", Type="SecureString")
    assert await parameter.refresh_now()
    assert parameter.value() == "first"
    clock.advance(10)
    assert not await parameter.refresh_now()
    await ssm.put_parameter(Name=NAME, Value="second", Type="SecureString", Overwrite=True)
    clock.advance(10)
    assert await parameter.refresh_now()
    assert parameter.value() == "second"


async def test_a_missing_parameter_is_named_and_read_once_it_exists(ssm: "SSMClient") -> None:
    clock = ManualClock()
    parameter = SsmParameter(ssm, NAME, clock=clock)
    assert not await parameter.refresh_now()
    assert f"{NAME} cannot be read: ParameterNotFound" in str(parameter.readiness_problem())
    await ssm.put_parameter(Name=NAME, Value="late", Type="SecureString")
    clock.advance(10)
    assert await parameter.refresh_now()
    assert parameter.readiness_problem() is None


async def test_a_deleted_parameter_is_served_stale(ssm: "SSMClient") -> None:
    clock = ManualClock()
    parameter = SsmParameter(ssm, NAME, clock=clock)
    await ssm.put_parameter(Name=NAME, Value="kept", Type="SecureString")
    await parameter.refresh_now()
    await ssm.delete_parameter(Name=NAME)
    clock.advance(10)
    assert not await parameter.refresh_now()
    assert parameter.value() == "kept"
