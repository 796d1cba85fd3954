"""Task messages are parsed as they were encoded; a message that is no task is refused with the reason."""

import json
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.common.messages.task_message import (
    INVALID_TYPE,
    MalformedTask,
    TaskMessage,
    delay_seconds_of,
    is_type_name,
    parse_task,
    task_type_of,
)

MESSAGE_ID = "9b0d1b4e-message"
# SendMessage, "Message characters": all that SQS takes.
TAKEN_BY_SQS = re.compile("[\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*")

texts = st.text(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from('\ufffe\uffff\\"\x00\n')))
user_ids = st.from_regex(r"[A-Za-z0-9_-]{1,128}", fullmatch=True)


types = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True)
json_values = st.recursive(st.none() | st.booleans() | st.integers() | texts, st.lists)
EPOCH_MS = 1_700_000_000_000


def body(**fields: object) -> str:
    return json.dumps({"userId": "alice", "payload": '{"data": "x"}', **fields})


@given(user_ids, texts, texts, st.booleans(), st.booleans())
@example("alice", "\ufffe\uffff", "\\\ufffe\\\\\uffff", True, True)
def test_a_task_is_parsed_as_it_was_encoded(
    user_id: str, data: str, other: str, idempotent: bool, escaped: bool
) -> None:
    payload = json.dumps({"data": data, "other": other}, ensure_ascii=escaped)
    sent = TaskMessage(task_id="t-1", user_id=user_id, payload=payload, traceparent="00-a", idempotent=idempotent)
    received, fields = parse_task(sent.body(), sent.attributes(), MESSAGE_ID)
    assert received == sent
    assert fields == {"data": data, "other": other}


@given(types, st.integers(0, 900), st.none() | st.integers(EPOCH_MS, EPOCH_MS * 2))
def test_type_delay_and_expiry_are_parsed_as_they_were_encoded(name: str, delay: int, expires_at: int | None) -> None:
    sent = TaskMessage(
        task_id="t-1",
        user_id="alice",
        payload='{"data":1}',
        type=name,
        delay_seconds=delay,
        expires_at_ms=expires_at,
    )
    assert parse_task(sent.body(), sent.attributes(), MESSAGE_ID)[0] == sent
    assert (task_type_of(sent.attributes()), delay_seconds_of(sent.attributes())) == (name, delay)
    assert all(isinstance(value, str) for value in sent.attributes().values())


@given(json_values.filter(lambda value: value is not None))
@example(0)
@example(False)
@example([])
@example({})
def test_data_may_be_any_json_but_null(data: object) -> None:
    _, fields = parse_task(body(payload=json.dumps({"data": data})), {}, MESSAGE_ID)
    assert fields["data"] == data
    assert type(fields["data"]) is type(data)


@given(texts)
def test_sqs_accepts_every_character_of_the_body(data: str) -> None:
    sent = TaskMessage(task_id="t-1", user_id="alice", payload=json.dumps({"data": data}, ensure_ascii=False))
    assert TAKEN_BY_SQS.fullmatch(sent.body())


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1, 10**400, [2**80, {"n": -(10**30)}]])
def test_an_integer_of_any_size_arrives_exactly(number: object) -> None:
    _, fields = parse_task(body(payload=json.dumps({"data": "x", "n": number})), {}, MESSAGE_ID)
    assert repr(fields["n"]) == repr(number)


def test_the_body_is_the_serverless_originals() -> None:
    sent = TaskMessage(task_id="t-1", user_id="alice", payload='{"data":"ü"}')
    assert json.loads(sent.body()) == {"userId": "alice", "payload": '{"data":"ü"}'}


def test_only_set_fields_become_attributes() -> None:
    assert TaskMessage(task_id="t-1", user_id="a", payload="{}").attributes() == {"taskId": "t-1"}
    full = TaskMessage(task_id="t-1", user_id="a", payload="{}", traceparent="00-x", idempotent=True)
    assert full.attributes() == {"taskId": "t-1", "traceparent": "00-x", "idempotent": "true"}
    later = TaskMessage(
        task_id="t-1", user_id="a", payload="{}", type="report", delay_seconds=60, expires_at_ms=EPOCH_MS
    )
    attributes = {"taskId": "t-1", "type": "report", "delaySeconds": "60", "expiresAt": str(EPOCH_MS)}
    assert later.attributes() == attributes


def test_a_task_of_the_serverless_original_has_its_message_id_for_an_id() -> None:
    task, _ = parse_task(body(), {}, MESSAGE_ID)
    assert task == TaskMessage(task_id=MESSAGE_ID, user_id="alice", payload='{"data": "x"}')


@pytest.mark.parametrize("task_id", ["", "x" * 129, "a b", "ü", "a\nb"])
def test_an_id_that_could_not_go_into_a_notification_is_replaced_by_the_message_id(task_id: str) -> None:
    task, _ = parse_task(body(), {"taskId": task_id}, MESSAGE_ID)
    assert task.task_id == MESSAGE_ID


@pytest.mark.parametrize("value", ["", "false", "True", "1"])
def test_only_the_exact_value_marks_a_task_as_idempotent(value: str) -> None:
    task, _ = parse_task(body(), {"idempotent": value}, MESSAGE_ID)
    assert not task.idempotent


@pytest.mark.parametrize("value", ["", "-1", "901", "1.5", "0x1", "60s", "٣", "9" * 9_000, " 5", "+5"])
def test_an_invalid_delay_is_ignored(value: str) -> None:
    task, _ = parse_task(body(), {"delaySeconds": value}, MESSAGE_ID)
    assert task.delay_seconds == delay_seconds_of({"delaySeconds": value}) == 0


@pytest.mark.parametrize("value", ["", "0", "-1", "1700000000", "2026-01-01T00:00:00Z", "1.7e12", "9" * 9_000])
def test_an_invalid_expiry_is_ignored(value: str) -> None:
    task, _ = parse_task(body(), {"expiresAt": value}, MESSAGE_ID)
    assert task.expires_at_ms is None


@pytest.mark.parametrize("value", ["", " ", ".report", "-", "re port", "x" * 65, "größe", "a\n", "x" * 200_000])
def test_an_invalid_type_is_one_that_no_handler_can_have(value: str) -> None:
    task, _ = parse_task(body(), {"type": value}, MESSAGE_ID)
    assert task.type == task_type_of({"type": value}) == INVALID_TYPE
    assert not is_type_name(INVALID_TYPE)


def test_a_message_that_is_not_a_task_has_a_type() -> None:
    assert task_type_of({}) == "default"
    assert task_type_of({"type": "report"}) == "report"


NOBODYS = [
    pytest.param("", "body is not JSON", id="empty"),
    pytest.param("hello", "body is not JSON", id="text"),
    pytest.param('{"userId": "alice"', "body is not JSON", id="cut off"),
    pytest.param("[" * 5_000, "body is not JSON", id="deeply nested"),
    pytest.param('{"userId": "\\ud800"}', "body is not JSON", id="lone surrogate"),
    pytest.param('{"userId": NaN}', "body is not JSON", id="NaN"),
    pytest.param("null", "body is not a JSON object", id="null"),
    pytest.param('["alice"]', "body is not a JSON object", id="list"),
    pytest.param("{}", "no valid userId", id="no user"),
    pytest.param(body(userId=None), "no valid userId", id="null user"),
    pytest.param(body(userId=7), "no valid userId", id="number for a user"),
    pytest.param(body(userId=""), "no valid userId", id="empty user"),
    pytest.param(body(userId="a" * 129), "no valid userId", id="long user"),
    pytest.param(body(userId="history:bob"), "no valid userId", id="user that would be another key"),
    pytest.param(body(userId="alice\n"), "no valid userId", id="user with a newline"),
]
ALICES = [
    pytest.param(json.dumps({"userId": "alice"}), "no payload text", id="no payload"),
    pytest.param(body(payload=None), "no payload text", id="null payload"),
    pytest.param(body(payload={"data": "x"}), "no payload text", id="payload that is no text"),
    pytest.param(body(payload=""), "payload is not JSON", id="empty payload"),
    pytest.param(body(payload="{'data': 1}"), "payload is not JSON", id="payload of another language"),
    pytest.param(body(payload="[" * 5_000), "payload is not JSON", id="deeply nested payload"),
    pytest.param(body(payload='{"data": "x", "n": 1e400}'), "payload is not JSON", id="number beyond a float"),
    pytest.param(body(payload=f'{{"data": "x", "n": {"9" * 9_000}}}'), "payload cannot be read", id="9,000 digits"),
    pytest.param(body(payload="null"), "payload is not a JSON object", id="payload null"),
    pytest.param(body(payload='"x"'), "payload is not a JSON object", id="payload a text"),
    pytest.param(body(payload="{}"), "no data", id="no data"),
    pytest.param(body(payload='{"data": null}'), "no data", id="null for data"),
]


@pytest.mark.parametrize(("text", "reason"), NOBODYS)
def test_a_message_without_a_valid_user_is_malformed(text: str, reason: str) -> None:
    with pytest.raises(MalformedTask, match=reason) as caught:
        parse_task(text, {}, MESSAGE_ID)
    assert caught.value.user_id is None


@pytest.mark.parametrize(("text", "reason"), ALICES)
def test_an_unreadable_task_names_its_user_where_that_can_be_read(text: str, reason: str) -> None:
    with pytest.raises(MalformedTask, match=reason) as caught:
        parse_task(text, {}, MESSAGE_ID)
    assert caught.value.user_id == "alice"


@given(st.text(st.characters()), st.dictionaries(st.text(max_size=9), st.text(max_size=9), max_size=3))
def test_any_body_is_at_worst_unreadable(text: str, attributes: dict[str, str]) -> None:
    with pytest.raises(MalformedTask):
        parse_task(text, attributes, MESSAGE_ID)


@given(st.recursive(st.integers() | texts, st.lists))
def test_a_body_made_of_bytes_is_the_one_made_of_text(data: object) -> None:
    for payload in (json.dumps({"data": data}, ensure_ascii=False, indent="\t"), json.dumps({"data": data})):
        text = TaskMessage(task_id="t-1", user_id="alice", payload=payload)
        encoded = TaskMessage(task_id="t-1", user_id="alice", payload=payload.encode())
        assert encoded.encoded_body() == text.encoded_body()
        assert encoded.body() == text.body()
