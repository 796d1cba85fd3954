"""Task messages are parsed as they were encoded; a message that is no task is refused with the reason."""

import json
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.common.messages.task_message import MalformedTask, TaskMessage, parse_task

MESSAGE_ID = "9b0d1b4e-message"
# SendMessage, "Message characters": all that SQS takes.
TAKEN_BY_SQS = re.compile("[\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*")

texts = st.text(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from('\ufffe\uffff\\"\x00\n')))
user_ids = st.from_regex(r"[A-Za-z0-9_-]{1,128}", fullmatch=True)


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
    pytest.param(body(payload="{}"), "no data text", id="no data"),
    pytest.param(body(payload='{"data": 1}'), "no data text", id="number for data"),
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
