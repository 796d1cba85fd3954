"""What the demonstration refuses before it starts, and how it reads a disposable token."""

import asyncio
import base64
import json

import pytest

from local.demo.__main__ import BadCountError, count_from, main
from local.demo.errors import DemoError
from local.demo.identity import fresh_credentials
from local.demo.news import News, credentials
from local.demo.run import hear_all, progress
from local.demo.summary import Tally


@pytest.mark.parametrize(("raw", "count"), [("", 3), (" ", 3), ("1", 1), (" 20 ", 20), ("10000", 10_000)])
def test_n_is_the_number_of_tasks(raw: str, count: int) -> None:
    assert count_from({"N": raw}) == count
    assert count_from({}) == 3


@pytest.mark.parametrize("raw", ["0", "-1", "2.5", "three", "10001", "9" * 5000, "٣", "1e3"])
def test_another_n_is_refused_in_a_sentence(raw: str) -> None:
    with pytest.raises(BadCountError, match="N must be a whole number from 1 to 10000"):
        count_from({"N": raw})


@pytest.mark.parametrize("environ", [{"N": "x"}, {"LOCAL_PORT_BASE": "x"}])
def test_what_cannot_start_as_asked_ends_with_status_2(
    environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(environ) == 2
    assert "must be" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["Finished task: demo task 1", "Failed task: demo task 1"])
async def test_news_in_plain_text_are_refused_at_once_in_a_sentence(text: str) -> None:
    heard: asyncio.Queue[News] = asyncio.Queue()
    heard.put_nowait(News(text, 1.0))
    async with asyncio.timeout(5):
        with pytest.raises(DemoError, match="NOTIFICATION_FORMAT"):
            await hear_all(Tally(1), heard, progress(1))


def token(endpoint: str, key: str = "key") -> str:
    return base64.b64encode(json.dumps({"endpoint": endpoint, "api_key": key}).encode()).decode()


def test_a_token_of_the_emulator_leads_there_in_plaintext_with_the_real_key() -> None:
    provider = credentials(token("127.0.0.1:8084", "key"))
    assert (provider.auth_token, provider.cache_endpoint, provider.port) == ("key", "127.0.0.1", 8084)


def test_a_token_of_the_real_service_leads_there_over_tls() -> None:
    provider = credentials(token("cell-1.prod.a.momentohq.com"))
    assert provider.port == 443
    assert provider.cache_endpoint == "cache.cell-1.prod.a.momentohq.com"


@pytest.mark.parametrize("text", ["", "no base64!", "e30=", "W10=", token("host:port"), "Z" * 7])
def test_what_is_no_disposable_token_is_said_without_quoting_it(text: str) -> None:
    with pytest.raises(DemoError, match="no disposable token"):
        credentials(text)


def test_every_user_is_new_and_no_password_is_shown() -> None:
    one, other = fresh_credentials(), fresh_credentials()
    assert one.email != other.email
    assert one.password != other.password
    assert one.password not in repr(one)
