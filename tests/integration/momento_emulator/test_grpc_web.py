"""The gRPC-web front, called as by a browser."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from momento.auth.access_control.disposable_token_scopes import DisposableTokenScopes
from momento_wire_types import cacheclient_pb2 as cache_pb
from momento_wire_types import cachepubsub_pb2 as pb
from momento_wire_types import common_pb2
from momento_wire_types import token_pb2 as token_pb

from tests.support.momento.clients import MomentoSdk
from tests.support.momento.grpc_web import FrameReader, MomentoWeb, encode, momento_web, read_answer
from tests.support.processes.momento import PAGE_ORIGIN, MomentoEmulator
from tests.support.waiting import wait_until

PUBLISH = "/cache_client.pubsub.Pubsub/Publish"
GET = "/cache_client.Scs/Get"
SET = "/cache_client.Scs/Set"
OK, INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND, PERMISSION_DENIED = 0, 3, 4, 5, 7
RESOURCE_EXHAUSTED, UNIMPLEMENTED, UNAVAILABLE, UNAUTHENTICATED = 8, 12, 14, 16


@pytest.fixture
async def browser(momento_emulator: MomentoEmulator) -> AsyncIterator[MomentoWeb]:
    async with momento_web(momento_emulator, momento_emulator.make_key().v2) as client:
        yield client


def message(cache: str, text: str = "hello") -> pb._PublishRequest:
    return pb._PublishRequest(cache_name=cache, topic="topic", value=pb._TopicValue(text=text))


async def test_a_browser_and_a_service_use_the_same_topic(momento_sdk: MomentoSdk, browser: MomentoWeb) -> None:
    cache = await momento_sdk.new_cache()
    async with browser.subscribe(cache, "topic") as stream:
        assert await stream.next_kind() == "heartbeat"
        await momento_sdk.topics.publish(cache, "topic", "from the service ✓")
        assert (await stream.item()).value.text == "from the service ✓"
        assert (await browser.call(PUBLISH, message(cache, "from the browser"))).status == OK
        assert (await stream.item()).value.text == "from the browser"


async def test_a_unary_answer_is_one_message_and_the_trailers(momento_sdk: MomentoSdk, browser: MomentoWeb) -> None:
    cache = await momento_sdk.new_cache()
    set_request = cache_pb._SetRequest(cache_key=b"key", cache_body=b"\x00value", ttl_milliseconds=60_000)
    assert (await browser.call(SET, set_request, {"cache": cache})).status == OK
    answer = await browser.call(GET, cache_pb._GetRequest(cache_key=b"key"), {"cache": cache})
    assert [cache_pb._GetResponse.FromString(each).cache_body for each in answer.messages] == [b"\x00value"]
    assert answer.trailers == {"grpc-status": "0"}


async def test_a_conditional_write_of_the_web_sdk_happens_once(momento_sdk: MomentoSdk, browser: MomentoWeb) -> None:
    cache = await momento_sdk.new_cache()
    claim = cache_pb._SetIfRequest(cache_key=b"k", cache_body=b"v", ttl_milliseconds=60_000, absent=common_pb2.Absent())
    answers = [await browser.call("/cache_client.Scs/SetIf", claim, {"cache": cache}) for _ in range(2)]
    results = [cache_pb._SetIfResponse.FromString(each.messages[0]).WhichOneof("result") for each in answers]
    assert results == ["stored", "not_stored"]


async def test_a_browser_can_vend_tokens(browser: MomentoWeb) -> None:
    """The web SDK has an AuthClient, too; the key travels in the body."""
    answer = await browser.call(
        "/token.Token/GenerateDisposableToken", token_pb._GenerateDisposableTokenRequest(auth_token=browser.token)
    )
    assert answer.status == INVALID_ARGUMENT  # no expiry was asked for, but the key was good


async def test_an_unsubscribed_browser_leaves_no_stream(
    momento_emulator: MomentoEmulator, momento_sdk: MomentoSdk, browser: MomentoWeb
) -> None:
    cache = await momento_sdk.new_cache()
    # Without heartbeats no write fails: only the cancelled handler removes the subscriber.
    with momento_emulator.changed(heartbeatsSilenced=True):
        async with browser.subscribe(cache, "topic") as stream:
            assert await stream.next_kind() == "heartbeat"
            assert momento_emulator.stats()["liveStreamsByTopic"][cache] == {"topic": 1}
        await wait_until(lambda: not momento_emulator.stats()["liveStreamsByTopic"][cache])


async def test_heartbeats_come_as_frames_of_their_own(
    momento_emulator: MomentoEmulator, momento_sdk: MomentoSdk, browser: MomentoWeb
) -> None:
    cache = await momento_sdk.new_cache()
    with momento_emulator.changed(heartbeatSeconds=0.05):
        async with browser.subscribe(cache, "topic") as stream:
            assert [await stream.next_kind() for _ in range(3)] == ["heartbeat"] * 3


async def test_a_preflight_allows_what_the_sdk_sends(momento_emulator: MomentoEmulator, browser: MomentoWeb) -> None:
    wanted = "agent,authorization,content-type,runtime-version,x-grpc-web,x-user-agent,cache,grpc-timeout"
    headers = {
        "origin": PAGE_ORIGIN,
        "access-control-request-method": "POST",
        "access-control-request-headers": wanted,
    }
    async with browser.session.options(browser.url(PUBLISH), headers=headers) as response:
        assert response.status == 204
        assert response.headers["access-control-allow-origin"] == PAGE_ORIGIN
        assert "POST" in response.headers["access-control-allow-methods"]
        assert set(wanted.split(",")) <= set(response.headers["access-control-allow-headers"].split(","))


@pytest.mark.parametrize("path", [PUBLISH, "/cache_client.pubsub.Pubsub/Subscribe", "/no.Such/Method"])
async def test_web_pages_can_read_every_answer(browser: MomentoWeb, path: str) -> None:
    origin = {"origin": PAGE_ORIGIN}
    for headers in (browser.headers(origin), browser.headers({"content-type": "text/plain", **origin})):
        async with browser.session.post(browser.url(path), data=b"junk", headers=headers) as response:
            assert response.headers["access-control-allow-origin"] == PAGE_ORIGIN


async def test_an_error_is_http_200_with_its_status_in_the_trailers(browser: MomentoWeb) -> None:
    answer = await browser.call(PUBLISH, message("no-such-cache"))
    assert (answer.messages, answer.status) == ([], NOT_FOUND)
    assert answer.trailers["grpc-message"] == "Cache with name: no-such-cache does not exist"


async def test_the_error_trailer_names_the_quota(momento_sdk: MomentoSdk, browser: MomentoWeb) -> None:
    cache = await momento_sdk.new_cache()
    answer = await browser.call(PUBLISH, message(cache, "x" * 4097))
    assert (answer.status, answer.trailers["err"]) == (RESOURCE_EXHAUSTED, "request_size_limit_exceeded")


async def test_an_invalid_credential_is_unauthenticated(
    momento_emulator: MomentoEmulator, momento_sdk: MomentoSdk
) -> None:
    cache = await momento_sdk.new_cache()
    async with momento_web(momento_emulator, "nonsense") as stranger:
        assert (await stranger.call(PUBLISH, message(cache))).status == UNAUTHENTICATED
        async with stranger.subscribe(cache, "topic") as stream:
            assert (await stream.trailers())["grpc-status"] == str(UNAUTHENTICATED)


async def test_a_subscribers_token_may_not_publish(momento_emulator: MomentoEmulator, momento_sdk: MomentoSdk) -> None:
    cache = await momento_sdk.new_cache()
    token = await momento_sdk.vend(DisposableTokenScopes.topic_subscribe_only(cache, "topic"))
    async with momento_web(momento_emulator, token) as user, user.subscribe(cache, "topic") as stream:
        assert await stream.next_kind() == "heartbeat"
        assert (await user.call(PUBLISH, message(cache))).status == PERMISSION_DENIED


async def test_a_stream_that_the_server_ends_has_its_reason_in_the_trailers(
    momento_emulator: MomentoEmulator, momento_sdk: MomentoSdk, browser: MomentoWeb
) -> None:
    cache = await momento_sdk.new_cache()
    token = await momento_sdk.vend(DisposableTokenScopes.topic_subscribe_only(cache, "topic"), seconds=1)
    async with momento_web(momento_emulator, token) as user, user.subscribe(cache, "topic") as stream:
        assert (await stream.trailers())["grpc-status"] == str(UNAUTHENTICATED)
    async with browser.subscribe(cache, "topic") as stream:
        assert await stream.next_kind() == "heartbeat"
        momento_emulator.end_streams()
        assert await stream.trailers() == {"grpc-status": "0"}


async def test_an_aborted_stream_has_no_trailers(
    momento_emulator: MomentoEmulator, momento_sdk: MomentoSdk, browser: MomentoWeb
) -> None:
    cache = await momento_sdk.new_cache()
    async with browser.subscribe(cache, "topic") as stream:
        assert await stream.next_kind() == "heartbeat"
        momento_emulator.abort_streams()
        # A clean end without trailers would be an IncompleteReadError.
        with pytest.raises(aiohttp.ClientError):
            await stream.next()


async def test_a_call_ends_at_its_grpc_timeout(
    momento_emulator: MomentoEmulator, momento_sdk: MomentoSdk, browser: MomentoWeb
) -> None:
    cache = await momento_sdk.new_cache()
    with momento_emulator.changed(faults=[{"method": "Publish", "neverAnswer": True}]):
        answer = await browser.call(PUBLISH, message(cache), {"grpc-timeout": "50m"})
    assert answer.status == DEADLINE_EXCEEDED


async def test_a_proxys_http_error_can_be_injected(
    momento_emulator: MomentoEmulator, momento_sdk: MomentoSdk, browser: MomentoWeb
) -> None:
    cache = await momento_sdk.new_cache()
    for method, path in (("Publish", PUBLISH), ("Subscribe", "/cache_client.pubsub.Pubsub/Subscribe")):
        with momento_emulator.changed(faults=[{"method": method, "httpStatus": 503}]):
            async with browser.session.post(
                browser.url(path), data=encode(message(cache)), headers=browser.headers({"origin": PAGE_ORIGIN})
            ) as response:
                assert response.status == 503
                assert response.headers["access-control-allow-origin"] == PAGE_ORIGIN


MALFORMED = [
    pytest.param(b"", id="nothing"),
    pytest.param(b"!!!!", id="not base64"),
    pytest.param(b"AAAA", id="half a frame head"),
    pytest.param(b"AAAAAAk=", id="less than it says"),
    pytest.param(b"gAAAAAA=", id="trailers instead of data"),
    pytest.param(b"AAAAAAL//w==", id="not a message"),
]


@pytest.mark.parametrize("body", MALFORMED)
async def test_a_malformed_request_is_an_invalid_argument(browser: MomentoWeb, body: bytes) -> None:
    async with browser.session.post(browser.url(PUBLISH), data=body, headers=browser.headers()) as response:
        assert response.status == 200
        assert (await read_answer(FrameReader(response.content))).status == INVALID_ARGUMENT


async def test_a_malformed_timeout_is_an_invalid_argument(browser: MomentoWeb) -> None:
    assert (await browser.call(PUBLISH, message("c"), {"grpc-timeout": "soon"})).status == INVALID_ARGUMENT


async def test_an_unknown_method_is_unimplemented(browser: MomentoWeb) -> None:
    assert (await browser.call("/cache_client.Scs/ListFetch", cache_pb._GetRequest())).status == UNIMPLEMENTED


async def test_another_content_type_is_rejected(browser: MomentoWeb) -> None:
    headers = browser.headers({"content-type": "application/grpc-web+proto"})
    async with browser.session.post(browser.url(PUBLISH), data=b"", headers=headers) as response:
        assert response.status == 415
