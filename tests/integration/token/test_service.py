"""The token service with the Momento emulator, an emulated SSM and a real key set."""

import asyncio
import logging
import random
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from momento import CredentialProvider
from momento.errors import MomentoErrorCode
from momento.responses import CacheGet, CacheSet, TopicSubscribe, TopicSubscriptionItem

from services.common.messages.notification import Format, finished
from services.common.momento.app_context import MOMENTO
from services.common.momento.history import MAX_ENTRIES, NEWEST, HistoryEntry, NotificationHistory
from services.token.vending import vendor
from tests.support.identity import (
    ABSENT,
    AUDIENCE,
    ISSUER,
    claims,
    header,
    public_pem,
    rsa_key,
    token,
)
from tests.support.momento.clients import MomentoSdk, open_momento_sdk
from tests.support.momento.errors import error_code
from tests.support.served_app import Answer, Served, log_lines
from tests.support.served_service import PAGE, id_token
from tests.support.token_service import PARAMETER, Backends, get
from tests.support.waiting import wait_until


@asynccontextmanager
async def client_of(backends: Backends, answer: Answer) -> AsyncIterator[MomentoSdk]:
    """The unmodified SDK with the token of a response."""
    inner = CredentialProvider.from_disposable_token(answer.json["token"]).auth_token
    async with open_momento_sdk(backends.emulator, inner) as sdk:
        yield sdk


def vended(backends: Backends) -> int:
    """Tokens that Momento has vended so far, in all tests."""
    return int(backends.emulator.stats()["vendedTokens"])


async def test_the_response_has_everything_a_client_needs(service: Served, backends: Backends) -> None:
    before = time.time()
    answer = await get(service)
    assert answer.status == 200
    assert set(answer.json) == {"token", "endpoint", "cacheName", "topic", "expiresAt"}
    assert (answer.json["cacheName"], answer.json["topic"]) == (backends.cache, "alice")
    assert answer.json["endpoint"]
    assert before + 1_799 <= answer.json["expiresAt"] <= time.time() + 1_801
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE


async def test_a_configured_momento_endpoint_is_in_the_response(backends: Backends) -> None:
    async with backends.service(MOMENTO_WEB_ENDPOINT="http://localhost:8085") as service:
        overrides = (await get(service)).json["endpointOverrides"]
    assert overrides == dict.fromkeys(("cacheEndpoint", "controlEndpoint", "tokenEndpoint"), "http://localhost:8085")


async def test_the_token_can_subscribe_to_the_users_topic(service: Served, backends: Backends) -> None:
    async with client_of(backends, await get(service)) as client:
        subscription = await client.subscriber.subscribe(backends.cache, "alice")
        assert isinstance(subscription, TopicSubscribe.SubscriptionAsync)
        await backends.sdk.topics.publish(backends.cache, "alice", "hello")
        async with asyncio.timeout(10):
            item = await subscription.__anext__()
        assert isinstance(item, TopicSubscriptionItem.Text)
        assert item.value == "hello"


async def test_the_token_permits_nothing_else(service: Served, backends: Backends) -> None:
    await backends.sdk.caches.set(backends.cache, "key", "x")
    assert isinstance(await backends.sdk.caches.set(backends.cache, "history:alice", "x"), CacheSet.Success)
    other_cache = await backends.sdk.new_cache()
    async with client_of(backends, await get(service)) as client:
        refused = [
            await client.subscriber.subscribe(backends.cache, "bob"),
            await client.subscriber.subscribe(backends.cache, "alice2"),
            await client.subscriber.subscribe(other_cache, "alice"),
            await client.topics.publish(backends.cache, "alice", "forged"),
            await client.topics.publish(backends.cache, "bob", "forged"),
            await client.caches.get(backends.cache, "history:alice"),
            await client.caches.set(backends.cache, "key", "y"),
            await client.caches.dictionary_fetch(backends.cache, "history:alice"),
            await client.caches.create_cache("mine"),
            await client.caches.list_caches(),
        ]
        codes = {error_code(answer) for answer in refused}
    assert codes <= {MomentoErrorCode.PERMISSION_ERROR, MomentoErrorCode.AUTHENTICATION_ERROR}


async def test_a_token_is_vended_once_for_concurrent_callers_and_kept(service: Served, backends: Backends) -> None:
    before = vended(backends)
    answers = await asyncio.gather(*(get(service) for _ in range(20)))
    answers.append(await get(service))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.json["token"] for answer in answers}) == 1
    assert vended(backends) == before + 1


async def test_a_new_token_is_vended_after_half_its_validity(backends: Backends) -> None:
    async with backends.service(TOKEN_VALID_SECONDS="2") as service:
        first = await get(service)
        async with asyncio.timeout(10):
            while (await get(service)).json["token"] == first.json["token"]:  # noqa: ASYNC110 -- a clock signals nothing
                await asyncio.sleep(0.05)
        assert time.time() >= first.json["expiresAt"] - 1


async def test_replicas_share_tokens_and_the_cache_has_none_in_plain_text(backends: Backends) -> None:
    before = vended(backends)
    async with backends.service() as one:
        first = await get(one)
    async with backends.service() as other:
        assert (await get(other)).json == first.json
        assert (await get(other, user_id="bob")).json["token"] != first.json["token"]
    assert vended(backends) == before + 2
    stored = await backends.sdk.caches.get(backends.cache, "token:alice")
    assert isinstance(stored, CacheGet.Hit)
    inner = CredentialProvider.from_disposable_token(first.json["token"]).auth_token
    for secret in (first.json["token"], inner, first.json["endpoint"], "expires"):
        assert secret.encode() not in stored.value_bytes


async def test_after_a_change_of_the_api_key_shared_tokens_are_not_opened(backends: Backends) -> None:
    async with backends.service() as one:
        first = await get(one)
    await backends.store_key(backends.emulator.make_key().v1)
    async with backends.service() as other:
        assert (await get(other)).json["token"] != first.json["token"]


async def test_a_v2_key_vends_as_well(backends: Backends) -> None:
    await backends.store_key(backends.key.v2 + "\n")
    async with backends.service() as service, client_of(backends, await get(service)) as client:
        assert isinstance(await client.subscriber.subscribe(backends.cache, "alice"), TopicSubscribe.SubscriptionAsync)


@pytest.mark.usefixtures("impatient")
async def test_an_unavailable_momento_gives_503_until_it_is_available(service: Served, backends: Backends) -> None:
    backends.emulator.change(faults=[{"method": "*", "status": "UNAVAILABLE"}])
    answer = await get(service)
    assert answer.status == 503
    assert answer.headers["Retry-After"] == "1"
    assert answer.json["detail"] == "The notification service is briefly unavailable. Try again."
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    backends.emulator.change(faults=[])
    assert (await get(service)).status == 200


async def test_a_hanging_cache_does_not_prevent_tokens(service: Served, backends: Backends) -> None:
    backends.emulator.change(
        faults=[{"method": "Get", "neverAnswer": True}, {"method": "Set", "status": "UNAVAILABLE"}]
    )
    started = time.perf_counter()
    assert (await get(service)).status == 200
    assert time.perf_counter() - started < 4


async def test_a_retry_succeeds_after_an_exceeded_quota(service: Served, backends: Backends) -> None:
    quota = {"method": "GenerateDisposableToken", "status": "RESOURCE_EXHAUSTED", "calls": 2}
    backends.emulator.change(faults=[quota])
    assert (await get(service)).status == 200


def vend_calls(backends: Backends) -> dict[str, int]:
    """The number of token calls that the emulator has answered, by status."""
    return dict(backends.emulator.stats()["calls"].get("GenerateDisposableToken", {}))


async def test_while_the_quota_is_exceeded_no_more_calls_are_made_than_usual(
    backends: Backends, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vendor, "VEND_SECONDS", 1.0)
    backends.emulator.change(faults=[{"method": "GenerateDisposableToken", "status": "RESOURCE_EXHAUSTED"}])
    users = [f"user-{number}" for number in range(40)]
    async with backends.service(VENDING_PER_SECOND="10", VENDING_WAIT_SECONDS="2") as service:
        before, started = vend_calls(backends), time.perf_counter()
        answers = await asyncio.gather(*(get(service, user_id=user) for user in users))
        took = time.perf_counter() - started
        refused = vend_calls(backends).get("RESOURCE_EXHAUSTED", 0) - before.get("RESOURCE_EXHAUSTED", 0)
        assert {(answer.status, "Retry-After" in answer.headers) for answer in answers} == {(503, True)}
        assert 10 <= refused <= 10 * took + 1
        backends.emulator.change(faults=[])
        assert (await get(service, user_id=users[0])).status == 200


async def test_many_users_are_served_by_two_replicas_within_the_quota(backends: Backends) -> None:
    def replica() -> AbstractAsyncContextManager[Served]:
        return backends.service(VENDING_PER_SECOND="40", VENDING_REPLICAS="2", VENDING_WAIT_SECONDS="1")

    backends.emulator.change(tokensPerSecond=50)
    before, seen = vend_calls(backends), Counter[int]()
    async with replica() as one, replica() as other:
        crowd = [one_of_the_crowd([one, other], f"user-{number}", seen) for number in range(160)]
        async with asyncio.timeout(30):
            await asyncio.gather(*crowd)
    assert seen[200] == 160
    assert set(seen) == {200, 503}
    after = vend_calls(backends)
    assert after.pop("OK") - before.pop("OK", 0) == 160
    assert after == before, "Momento has refused some"


async def one_of_the_crowd(services: Sequence[Served], user: str, seen: Counter[int]) -> None:
    """Retry on any replica until served; half of the users retry too early, which has no effect."""
    while True:
        answer = await get(random.choice(services), user_id=user)
        seen[answer.status] += 1
        if answer.status == 200:
            return
        assert "Many users are signing in" in answer.json["detail"]
        retry_after = int(answer.headers["Retry-After"])
        assert retry_after >= 1
        await asyncio.sleep(random.choice([0.5, retry_after]))


async def test_without_ssm_the_service_reports_why_it_is_not_ready_and_answers_503(backends: Backends) -> None:
    await backends.ssm.delete_parameter(Name=PARAMETER)
    async with backends.service(ready=False) as service:
        answer = await get(service)
        assert answer.status == 503
        assert answer.headers["Retry-After"] == "5"
        assert PARAMETER not in answer.json["detail"]
        await wait_until(lambda: "ParameterNotFound" in service.lifecycle.readiness_problems().get("momento", ""))
        await backends.store_key(backends.key.v1)
        await service.ready()
        assert (await get(service)).status == 200


async def test_ssm_may_be_unavailable_once_the_key_was_read(service: Served, backends: Backends) -> None:
    await backends.ssm.delete_parameter(Name=PARAMETER)
    assert (await get(service)).status == 200
    assert service.lifecycle.readiness_problems() == {}


def attacks() -> dict[str, Callable[[dict[str, Any]], str | None]]:
    """Forged tokens for alice, each with the times of a current id token."""
    stranger: rsa.RSAPrivateKey = rsa_key("stranger")
    return {
        "none": lambda _: None,
        "empty": lambda _: "",
        "junk": lambda _: "not.a.token",
        "200 kB": lambda _: "x" * 200_000,
        "signed by a stranger": lambda now: token(header(), claims(**now), key=stranger),
        "algorithm none": lambda now: jwt.encode(claims(**now), "", "none", {"kid": header()["kid"]}),
        "HS256": lambda now: token(header(alg="HS256"), claims(**now), sign_as="HS256", key=b"x" * 32),
        "RS512": lambda now: token(header(alg="RS512"), claims(**now), sign_as="RS512"),
        "an access token": lambda now: token(
            header(), claims(**now, token_use="access", aud=ABSENT, client_id=AUDIENCE)
        ),
        "an access token with our audience": lambda now: token(header(), claims(**now, token_use="access")),
        "another application's": lambda now: token(header(), claims(**now, aud="another")),
        "another user pool's": lambda now: token(header(), claims(**now, iss=ISSUER + "x")),
        "expired": lambda now: token(header(), claims(**{**now, "exp": int(time.time()) - 1})),
        "never expires": lambda now: token(header(), claims(**{**now, "exp": 1e308})),
        "no expiry": lambda now: token(header(), claims(**{**now, "exp": ABSENT})),
        "no subject": lambda now: token(header(), claims(**now, sub=ABSENT)),
        "another's topic for a subject": lambda now: token(header(), claims(**now, sub="bob\n")),
        "a key that is not in use": lambda now: token(header(kid="other"), claims(**now)),
    }


@pytest.mark.parametrize("attack", attacks())
@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("GET", path) for path in ("/token", "/notifications", "/task/t-1", "/task/t-1/result")),
        *(("POST", path) for path in ("/task/t-1/cancel", "/notifications/read")),
    ],
)
async def test_an_invalid_token_is_401(service_with_key_set: Served, attack: str, method: str, path: str) -> None:
    now = int(time.time())
    forged = attacks()[attack]({"iat": now, "auth_time": now, "exp": now + 3_600})
    headers = {"Origin": PAGE} | ({} if forged is None else {"Authorization": f"Bearer {forged}"})
    answer = await service_with_key_set.ask(method, path, headers=headers)
    assert answer.status == 401
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.fixture
async def service_with_key_set(service: Served) -> Served:
    """A service that has read the key set, so that only the token can be the reason of a refusal."""
    assert (await get(service)).status == 200
    assert public_pem(rsa_key()) != public_pem(rsa_key("stranger"))
    return service


async def test_a_typing_error_in_the_key_is_503_and_is_corrected_without_a_restart(backends: Backends) -> None:
    await backends.store_key("s3cr3t-but-no-key")
    async with backends.service(ready=False) as service:
        await wait_until(lambda: "neither a v1 nor a v2" in service.lifecycle.readiness_problems().get("momento", ""))
        assert (await get(service)).status == 503
        await backends.store_key(backends.key.v2)
        await wait_until(lambda: not service.lifecycle.readiness_problems())
        assert (await get(service)).status == 200


async def test_sign_ins_that_cannot_be_checked_are_503(backends: Backends) -> None:
    backends.jwks.fail()
    async with backends.service(ready=False) as service:
        answer = await get(service)
        assert (answer.status, answer.headers["Retry-After"]) == (503, "10")
        assert "No signing keys" in service.lifecycle.readiness_problems()["keys"]


# GET /notifications


async def store_notifications(service: Served, *entries: tuple[str, str, int]) -> None:
    """Write entries of (user, task, age in milliseconds), as the processor does."""
    history = NotificationHistory(service.app[MOMENTO], 86_400.0)
    now_ms = int(time.time() * 1000)
    await asyncio.gather(
        *(
            history.write(user, HistoryEntry(notification=finished(task, "x", now_ms - age)), now_ms - age)
            for user, task, age in entries
        )
    )


async def ids_of(service: Served, path: str, user_id: str = "alice") -> list[str]:
    answer = await get(service, path, user_id)
    assert answer.status == 200, answer.body
    return [one["taskId"] for one in answer.json["notifications"]]


async def test_users_read_their_own_notifications_in_order(service: Served) -> None:
    await store_notifications(
        service, ("alice", "a2", 1_000), ("alice", "a1", 2_000), ("bob", "b1", 1_500), ("alice", "a3", 0)
    )
    assert await ids_of(service, "/notifications") == ["a1", "a2", "a3"]
    assert await ids_of(service, "/notifications", "bob") == ["b1"]
    assert await ids_of(service, "/notifications", "carol") == []


async def test_notifications_are_returned_as_they_were_published(service: Served) -> None:
    now_ms = int(time.time() * 1000)
    published = finished("t-1", "größer 👍🏽" + "x" * 5_000, now_ms)
    history = NotificationHistory(service.app[MOMENTO], 86_400.0)
    await history.write("alice", HistoryEntry(notification=published, body_hash="ab12"), now_ms)
    answer = await get(service, "/notifications")
    cursor = answer.json["cursor"]
    assert (
        answer.body.decode()
        == f'{{"notifications":[{published.encode(Format.JSON)}],"cursor":"{cursor}","readUntil":0}}'
    )


async def test_only_entries_that_the_cursor_does_not_name_are_returned_whatever_their_time(service: Served) -> None:
    await store_notifications(service, ("alice", "first", 1_000))
    answer = await get(service, "/notifications")
    cursor = answer.json["cursor"]
    await store_notifications(
        service, ("alice", "late", 3_600_000), ("alice", "ahead", -3_600_000), ("alice", "first", 1_000_000)
    )
    assert await ids_of(service, f"/notifications?after={cursor}") == ["late", "first", "ahead"]
    after = (await get(service, f"/notifications?after={cursor}")).json["cursor"]
    assert await ids_of(service, f"/notifications?after={after}") == []
    assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_.~-]{0,4095}", after)


async def test_a_page_of_the_version_before_asks_with_a_time_and_gets_all(service: Served) -> None:
    await store_notifications(service, ("alice", "old", 60_000), ("alice", "new", 1_000))
    for after in ("", "0", str(int(time.time() * 1000))):
        assert await ids_of(service, f"/notifications?after={after}") == ["old", "new"]


async def test_a_cursor_with_the_largest_history_is_accepted(backends: Backends) -> None:
    async with backends.service(HISTORY_OPERATIONS_PER_SECOND="1000") as service:
        await store_notifications(service, *(("alice", f"ahead-{number}", -600_000) for number in range(NEWEST)))
        await store_notifications(service, *(("alice", f"t{number}", 60_000) for number in range(MAX_ENTRIES)))
        answer = await get(service, "/notifications")
        assert len(answer.json["notifications"]) == NEWEST + MAX_ENTRIES
        assert await ids_of(service, f"/notifications?after={answer.json['cursor']}") == []


async def test_the_newest_of_the_last_day_are_returned(service: Served) -> None:
    too_old = 86_400_001
    await store_notifications(
        service,
        ("alice", "old", too_old),
        *(("alice", f"t{number:03}", 1_000_000 - number) for number in range(NEWEST + 5)),
    )
    answer = await get(service, "/notifications")
    assert [one["taskId"] for one in answer.json["notifications"]] == [f"t{n:03}" for n in range(5, NEWEST + 5)]
    cursor = answer.json["cursor"]
    assert await ids_of(service, f"/notifications?after={cursor}") == []


@pytest.mark.parametrize(
    "query",
    [
        *("after=-1", "after=1.5", "after=now", "after=1e3", "after=%D9%A1", "after=1&after=2", "after=&after="),
        *("after=" + "9" * 16, "after=" + "0" * 40 + "1", "after=" + "9" * 10_000, "after=c1." + "A" * 8_000),
        *("after=c1.AAAA%20AAA", "after=c1.AAAA+AAA", "after=c1.AAAAA", "after=c1.AAAAAAAA%0A", "after=c1.%FF"),
    ],
    ids=lambda query: query[:24],
)
async def test_an_invalid_cursor_is_400(service: Served, query: str) -> None:
    answer = await get(service, f"/notifications?{query}")
    assert answer.status == 400
    assert "`cursor` of an earlier response" in answer.json["detail"]


async def test_without_a_history_there_are_no_notifications_and_no_call(backends: Backends) -> None:
    async with backends.service(HISTORY_RETENTION_SECONDS="0") as service:
        await store_notifications(service, ("alice", "a1", 0))
        backends.emulator.change(down=True)
        answer = await get(service, "/notifications")
        assert answer.json["notifications"] == []
        assert await ids_of(service, f"/notifications?after={answer.json['cursor']}") == []
        assert (await get(service, "/notifications?after=x")).status == 400


async def test_a_user_who_reads_too_often_gets_a_retry_time_and_others_are_not_affected(service: Served) -> None:
    await store_notifications(service, ("alice", "a1", 0), ("bob", "b1", 0))
    answers = await asyncio.gather(*(get(service, "/notifications") for _ in range(40)))
    assert Counter(answer.status for answer in answers) == {200: 10, 429: 30}
    refused = next(answer for answer in answers if answer.status == 429)
    assert refused.headers["Content-Type"].startswith("application/problem+json")
    assert 1 <= int(refused.headers["Retry-After"]) <= 2
    assert "Retry-After" in refused.headers["Access-Control-Expose-Headers"]
    assert await ids_of(service, "/notifications", "bob") == ["b1"]


async def flood(service: Served, users: Sequence[str], statuses: Counter[int]) -> None:
    """Read histories without a pause, for each of the users in turn."""
    while True:
        for user in users:
            statuses[(await get(service, "/notifications", user)).status] += 1


@pytest.mark.parametrize("users", [1, 20])
async def test_a_flood_of_reads_leaves_quota_for_writes(backends: Backends, users: int) -> None:
    """With Momento's default quota: a read of 500 entries costs 2.5 times what a second permits."""
    flooders, statuses = [f"flooder-{number}" for number in range(users)], Counter[int]()
    async with backends.service() as service:
        for user in flooders:
            await store_notifications(service, *((user, f"t{number}", 0) for number in range(MAX_ENTRIES)))
        with backends.emulator.changed(cacheOperationsPerSecond=100):
            floods = [asyncio.create_task(flood(service, flooders[number:], statuses)) for number in range(users)]
            floods += [asyncio.create_task(flood(service, flooders, statuses)) for _ in range(10)]
            history, now_ms = NotificationHistory(service.app[MOMENTO], 86_400.0), int(time.time() * 1000)
            for number in range(40):
                entry = HistoryEntry(notification=finished(f"t{number}", "x", now_ms))
                await history.write(f"other-{number % 5}", entry, now_ms)
            if users == 1:
                assert await ids_of(service, "/notifications", "other-0") == sorted(f"t{n}" for n in range(0, 40, 5))
            for task in floods:
                task.cancel()
            await asyncio.wait(floods)
    assert statuses[429] > 0
    assert set(statuses) <= {200, 429, 503}


@pytest.mark.usefixtures("impatient")
async def test_an_unavailable_history_is_503(service: Served, backends: Backends) -> None:
    backends.emulator.change(faults=[{"method": "DictionaryFetch", "status": "UNAVAILABLE"}])
    answer = await get(service, "/notifications")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")


async def test_logs_show_no_token_of_either_kind_and_no_key(
    backends: Backends, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="services")
    async with backends.service() as service:
        answer = await get(service)
        await get(service, "/notifications")
        await service.ask("GET", "/token", headers={"Authorization": "Bearer s3cr3t.s3cr3t.s3cr3t"})
    own_lines = log_lines([record for record in caplog.records if record.name.startswith("services.")])
    assert "token vended" in own_lines
    for hidden in (answer.json["token"], backends.key.v1, backends.key.v2, "s3cr3t", id_token(now=time.time())[:60]):
        assert hidden not in own_lines
