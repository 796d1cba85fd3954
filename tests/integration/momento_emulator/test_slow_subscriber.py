"""A slow subscriber on both fronts: its buffer is bounded, gaps are reported, and others are not delayed."""

from collections.abc import Iterator

import grpc
import pytest

from tests.support.momento.clients import MomentoSdk
from tests.support.momento.errors import error_code
from tests.support.momento.grpc_web import WebStream, momento_web
from tests.support.momento.stream import MomentoStream, momento_stream
from tests.support.processes.momento import MomentoEmulator, momento_emulator_process

# Far more than the sockets and HTTP/2 windows between the two processes buffer (a few MB on loopback).
MESSAGES = 64
MESSAGE_BYTES = 512 * 1024


@pytest.fixture(scope="module")
def momento_emulator() -> Iterator[MomentoEmulator]:
    with momento_emulator_process("--stream-buffer-messages=8", f"--max-payload-bytes={MESSAGE_BYTES}") as running:
        yield running


async def publish_many(momento_sdk: MomentoSdk, cache: str) -> None:
    for _ in range(MESSAGES):
        assert error_code(await momento_sdk.topics.publish(cache, "t", b"x" * MESSAGE_BYTES)) is None


async def kinds_until_a_gap(stream: MomentoStream | WebStream) -> list[str | None]:
    kinds: list[str | None] = []
    while "discontinuity" not in kinds:
        kinds.append(await stream.next_kind())
    return kinds


async def test_a_slow_grpc_subscriber_misses_messages_and_receives_a_discontinuity(
    momento_emulator: MomentoEmulator, momento_sdk: MomentoSdk
) -> None:
    cache = await momento_sdk.new_cache()
    with momento_emulator.changed(heartbeatSeconds=0.05):
        async with momento_stream(momento_emulator, momento_emulator.make_key().v2, cache, "t") as stream:
            assert await stream.next_kind() == "heartbeat"
            await publish_many(momento_sdk, cache)
            assert len(await kinds_until_a_gap(stream)) < MESSAGES


async def test_a_slow_browser_misses_messages_and_receives_a_discontinuity(
    momento_emulator: MomentoEmulator, momento_sdk: MomentoSdk
) -> None:
    cache = await momento_sdk.new_cache()
    key = momento_emulator.make_key().v2
    with momento_emulator.changed(heartbeatSeconds=0.05):
        async with momento_web(momento_emulator, key) as browser, browser.subscribe(cache, "t") as stream:
            assert await stream.next_kind() == "heartbeat"
            await publish_many(momento_sdk, cache)
            assert len(await kinds_until_a_gap(stream)) < MESSAGES


async def test_a_slow_subscriber_does_not_delay_another(
    momento_emulator: MomentoEmulator, momento_sdk: MomentoSdk
) -> None:
    cache = await momento_sdk.new_cache()
    key = momento_emulator.make_key().v2
    async with (
        momento_stream(momento_emulator, key, cache, "t") as slow,
        momento_stream(momento_emulator, key, cache, "t") as quick,
    ):
        assert await slow.next_kind() == await quick.next_kind() == "heartbeat"
        for number in range(300):
            await momento_sdk.topics.publish(cache, "t", b"x" * 4096)
            assert (await quick.item()).topic_sequence_number == number + 1


async def test_the_stream_of_a_slow_subscriber_ends_if_configured(
    momento_emulator: MomentoEmulator, momento_sdk: MomentoSdk
) -> None:
    cache = await momento_sdk.new_cache()
    with momento_emulator.changed(endSlowStreams=True):
        async with momento_stream(momento_emulator, momento_emulator.make_key().v2, cache, "t") as stream:
            assert await stream.next_kind() == "heartbeat"
            await publish_many(momento_sdk, cache)
            assert (await stream.refusal()).code() is grpc.StatusCode.RESOURCE_EXHAUSTED
