"""An emulated AWS account, and an operator in this process that uses it."""

from collections.abc import AsyncIterator

import pytest

from tests.support.operator.aws_account import AwsAccount, open_aws_account
from tests.support.operator.in_memory import InMemoryOperator, in_memory_operator
from tests.support.processes.ministack import MiniStack


@pytest.fixture
async def aws_account(aws: MiniStack) -> AsyncIterator[AwsAccount]:
    async with open_aws_account(aws) as account:
        yield account


@pytest.fixture
async def operator(aws: MiniStack) -> AsyncIterator[InMemoryOperator]:
    async with in_memory_operator(aws) as operator:
        yield operator
