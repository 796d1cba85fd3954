"""What the demonstration refuses."""

from collections.abc import AsyncIterator

import pytest

from local.demo.__main__ import InvalidCountError, count_from, main
from local.demo.errors import DemoError
from local.demo.run import progress_bar, receive_all
from local.demo.sign_up import random_credentials
from local.demo.summary import Summary
from notification_api.client import Notification


@pytest.mark.parametrize(("raw", "count"), [("", 3), (" ", 3), ("1", 1), (" 20 ", 20), ("10000", 10_000)])
def test_n_is_the_number_of_tasks(raw: str, count: int) -> None:
    assert count_from({"N": raw}) == count
    assert count_from({}) == 3


@pytest.mark.parametrize("raw", ["0", "-1", "2.5", "three", "10001", "9" * 5000, "٣", "1e3"])
def test_an_invalid_n_is_rejected(raw: str) -> None:
    with pytest.raises(InvalidCountError, match="N must be a whole number from 1 to 10000"):
        count_from({"N": raw})


@pytest.mark.parametrize("environ", [{"N": "x"}, {"LOCAL_PORT_BASE": "x"}])
def test_an_invalid_setting_ends_with_status_2(environ: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(environ) == 2
    assert "must be" in capsys.readouterr().err


async def test_notifications_in_plain_text_are_refused_at_once() -> None:
    async def received() -> AsyncIterator[Notification]:
        yield Notification(message="Finished task: demo task 1")

    with pytest.raises(DemoError, match="NOTIFICATION_FORMAT"):
        await receive_all(Summary(1), received(), progress_bar(1))


def test_every_user_is_new_and_no_password_is_shown() -> None:
    one, other = random_credentials(), random_credentials()
    assert one.email != other.email
    assert one.password != other.password
    assert one.password not in repr(one)
