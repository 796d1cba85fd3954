"""The pure decisions of the client."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notification_api.client import Notification, NotTheApiError, ServiceError, SignedOutError
from notification_api.client.errors import InvalidTokenError, StreamError, SubscriptionRefusedError
from notification_api.client.http import Answer
from notification_api.client.notification import FINAL_STATUSES, parse_item, parse_notification
from notification_api.client.retry import LONGEST_ASKED_SECONDS, MAX_TRIES, Backoff, pause_before_retry
from notification_api.client.subscription.decisions import Retry, after_failure, is_since, next_failures
from notification_api.client.subscription.disposable_token import Address, read_token
from notification_api.client.subscription.heartbeat import LONGEST_SECONDS, UNKNOWN_SECONDS, HeartbeatInterval
from notification_api.client.subscription.position import Position
from notification_api.client.waiting import poll_pause

JITTER = st.floats(0, 1)
BACKOFF = Backoff(1.0, 15.0)


class TestPauses:
    @given(st.integers(1, 2_000), JITTER)
    def test_they_double_up_to_the_cap(self, failures: int, jitter: float) -> None:
        assert BACKOFF.pause(failures, None, jitter) <= min(15.0, 2.0 ** min(failures - 1, 10))
        assert BACKOFF.pause(failures, None, 1.0) >= 1.0

    @given(st.integers(1, 50), st.integers(0, 3_600), JITTER)
    def test_the_time_that_a_service_names_is_the_least(self, failures: int, asked: int, jitter: float) -> None:
        assert BACKOFF.pause(failures, float(asked), jitter) >= min(asked, LONGEST_ASKED_SECONDS)

    @pytest.mark.parametrize("asked", [86_400.0, float("inf")])
    def test_a_time_that_is_far_too_long_is_not_waited_for(self, asked: float) -> None:
        assert BACKOFF.pause(1, asked, 1.0) == LONGEST_ASKED_SECONDS + 1.0

    def test_an_error_that_is_final_is_not_retried(self) -> None:
        assert pause_before_retry(ServiceError("x", 404), 1, 60.0, 0.5) is None

    def test_tries_and_time_are_bounded(self) -> None:
        busy = ServiceError("x", 503, retry_after_seconds=5)
        assert pause_before_retry(busy, 1, 60.0, 0.0) == 5.0
        assert pause_before_retry(busy, MAX_TRIES, 60.0, 0.0) is None
        assert pause_before_retry(busy, 1, 4.0, 0.0) is None

    @given(st.integers(0, 1_000), JITTER)
    def test_a_status_is_read_less_often_while_a_stream_is_open(self, polls: int, jitter: float) -> None:
        assert poll_pause(polls, jitter, is_open=False) <= poll_pause(polls, jitter, is_open=True) <= 75.0
        assert poll_pause(polls, jitter, is_open=False) >= 1.5


class TestAfterAFailure:
    def test_a_token_that_is_refused_is_replaced_at_once_and_then_with_pauses(self) -> None:
        refused = SubscriptionRefusedError("UNAUTHENTICATED", "expired")
        assert after_failure(refused, 1, 1.0, was_open=True) == Retry(0.0, needs_new_token=True)
        assert after_failure(refused, 2, 1.0, was_open=True) == Retry(10.0, needs_new_token=True)

    def test_a_quota_is_given_time_and_keeps_the_token(self) -> None:
        refused = SubscriptionRefusedError("RESOURCE_EXHAUSTED", "too many")
        assert after_failure(refused, 1, 1.0, was_open=False) == Retry(5.0, needs_new_token=False)

    def test_a_stream_that_broke_is_opened_again_with_its_token(self) -> None:
        assert after_failure(StreamError("broke"), 1, 0.5, was_open=True) == Retry(0.5, needs_new_token=False)

    @pytest.mark.parametrize("was_open", [True, False])
    def test_nothing_helps_where_the_user_is_signed_out(self, was_open: bool) -> None:
        assert after_failure(SignedOutError("x", 401), 1, 0.5, was_open=was_open) is None

    def test_a_wrong_url_is_final_only_before_the_first_connection(self) -> None:
        wrong = NotTheApiError("x", 404)
        assert after_failure(wrong, 1, 0.5, was_open=False) is None
        assert after_failure(wrong, 1, 0.5, was_open=True) == Retry(0.5, needs_new_token=False)

    def test_a_stream_that_was_stable_starts_a_new_count(self) -> None:
        assert next_failures(4, 9.9) == 5
        assert next_failures(4, 10.0) == 1


class TestPositions:
    def test_without_a_message_a_stream_starts_now(self) -> None:
        assert Position().resume_at == 0

    def test_it_resumes_after_the_last_message(self) -> None:
        place = Position().after_item(7, 3)
        assert (place.resume_at, place.page) == (4, 7)
        assert place.has(7, 3)
        assert not place.has(7, 4)
        assert not place.has(8, 1)

    def test_after_a_discontinuity_it_resumes_behind_the_gap_and_knows_what_it_has(self) -> None:
        place = Position().after_item(7, 3).after_discontinuity(7, 9)
        assert place.resume_at == 10
        assert place.has(7, 3)
        assert not place.has(7, 9)

    def test_a_topic_that_was_reset_starts_on_another_page(self) -> None:
        place = Position().after_item(7, 30).after_discontinuity(8, 0)
        assert (place.resume_at, place.page) == (0, 8)
        assert not place.has(8, 1)

    def test_a_discontinuity_without_a_page_keeps_the_page(self) -> None:
        assert Position().after_item(7, 3).after_discontinuity(0, 5) == Position(7, 5, 3)


class TestHeartbeats:
    def test_until_one_is_measured_the_stream_may_be_silent_for_long(self) -> None:
        assert HeartbeatInterval().silence_seconds == UNKNOWN_SECONDS

    @pytest.mark.parametrize(
        ("intervals", "silence"), [([0.0, 5.0], 15.0), ([5.0, 4.0], 15.0), ([0.1], 5.0), ([600.0], LONGEST_SECONDS)]
    )
    def test_three_of_the_longest_intervals_are_allowed(self, intervals: list[float], silence: float) -> None:
        heartbeats = HeartbeatInterval()
        for seconds in intervals:
            heartbeats.measured(seconds)
        assert heartbeats.silence_seconds == silence


def token_answer(endpoint: str, *, expires_at: int = 2_800, served_at: float | None = 1_000.0, **fields: Any) -> Answer:
    wrapped = base64.b64encode(json.dumps({"endpoint": endpoint, "api_key": "key"}).encode()).decode()
    body = {"token": wrapped, "cacheName": "cache", "topic": "user", "expiresAt": expires_at, **fields}
    return Answer("GET http://x/token", 200, body, served_at)


class TestDisposableTokens:
    def test_the_real_service_is_reached_with_tls(self) -> None:
        access = read_token(token_answer("cell-1.prod.a.momentohq.com"), None, 0).access
        assert access.address == Address("cache.cell-1.prod.a.momentohq.com", 443)
        assert access.address.uses_tls
        assert (access.credential, access.cache_name, access.topic) == ("key", "cache", "user")
        assert "key" not in repr(access)

    def test_an_emulator_is_reached_without(self) -> None:
        address = read_token(token_answer("127.0.0.1:8084"), None, 0).access.address
        assert (str(address), address.uses_tls) == ("127.0.0.1:8084", False)

    @pytest.mark.parametrize("endpoint", ["127.0.0.1:8084", "cell-1.prod.a.momentohq.com"])
    def test_a_given_endpoint_replaces_the_tokens_own(self, endpoint: str) -> None:
        access = read_token(token_answer(endpoint), Address("momento.local", 9084), 0).access
        assert str(access.address) == "momento.local:9084"

    @pytest.mark.parametrize("text", ["", "no base64!", "e30=", "W10=", "Z" * 7])
    def test_something_else_is_refused_without_quoting_it(self, text: str) -> None:
        with pytest.raises(InvalidTokenError, match="no disposable token") as refused:
            read_token(token_answer("x", token=text), None, 0)
        assert not text or text not in str(refused.value)

    def test_a_port_that_is_no_number_is_refused(self) -> None:
        with pytest.raises(InvalidTokenError):
            read_token(token_answer("host:port"), None, 0)

    @pytest.mark.parametrize(
        ("expires_at", "served_at", "renew_in"),
        [
            (2_800, 1_000.0, 900.0),
            (2_800, None, 900.0),
            (1_010, 1_000.0, 5.0),
            (900, 1_000.0, 2.0),
            (99_999, 1.0, 900.0),
        ],
    )
    def test_it_is_renewed_at_half_of_its_life_by_the_clock_of_the_service(
        self, expires_at: int, served_at: float | None, renew_in: float
    ) -> None:
        answer = token_answer("x", expires_at=expires_at, served_at=served_at)
        assert read_token(answer, None, 1_000.0).renew_in_seconds == renew_in


class TestNotifications:
    def test_plain_text_is_a_notification_without_an_id(self) -> None:
        notification = parse_item("Finished task: x")
        assert notification == Notification(message="Finished task: x")
        assert notification.key is None

    @pytest.mark.parametrize("text", ['{"readUntil": 1}', "{}", '{"taskId": "t", "status": "new", "message": "x"}'])
    def test_other_objects_are_none(self, text: str) -> None:
        assert parse_item(text) is None

    def test_one_from_a_backend_is_known_by_its_own_id(self) -> None:
        notification = parse_notification({"notificationId": "n", "message": "x", "data": 1, "time": 5})
        assert notification is not None
        assert (notification.key, notification.task_id, notification.data) == (("n",), None, 1)

    @pytest.mark.parametrize("status", sorted(FINAL_STATUSES))
    def test_the_end_of_a_task_is_known_by_task_and_status(self, status: str) -> None:
        notification = parse_notification({"taskId": "t", "status": status, "message": "x", "time": 5})
        assert notification is not None
        assert notification.key == ("t", status)

    @given(st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
    def test_nothing_that_is_published_raises(self, text: str) -> None:
        parse_item(text)

    @given(
        st.fixed_dictionaries(
            {},
            optional={
                name: st.none() | st.booleans() | st.integers() | st.text()
                for name in ("taskId", "notificationId", "status", "message", "time", "percent", "truncated", "error")
            },
        )
    )
    def test_fields_of_another_type_are_ignored(self, fields: dict[str, Any]) -> None:
        notification = parse_notification(fields)
        assert notification is None or isinstance(notification.message, str)

    @pytest.mark.parametrize(
        ("time_ms", "expected"), [(99_999, False), (100_000, True), (204_999, True), (205_000, False)]
    )
    def test_only_a_plausible_time_since_the_start_counts(self, time_ms: int, expected: bool) -> None:
        notification = Notification(message="x", time_ms=time_ms)
        assert is_since(notification, started_at=100.0, served_at=200.0) is expected
