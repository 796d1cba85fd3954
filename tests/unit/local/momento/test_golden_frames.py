"""The frames with which the JavaScript client's tests feed its decoder are those of Momento's own messages."""

import json
from pathlib import Path
from typing import Any

import pytest
from momento_wire_types import cachepubsub_pb2 as pb

from local.momento.fronts.framing import data_frame, read_message, trailers_frame
from local.plan import ROOT

GOLDEN: dict[str, list[dict[str, Any]]] = json.loads(
    Path(ROOT / "sdk/javascript/src/testing/golden-frames.json").read_text(encoding="utf-8")
)


def named(kind: str) -> pytest.MarkDecorator:
    cases = GOLDEN[kind]
    return pytest.mark.parametrize("golden", cases, ids=[case["name"] for case in cases])


@named("answers")
def test_an_answer_is_what_momentos_messages_encode_to(golden: dict[str, Any]) -> None:
    frames = [data_frame(encoded_event(event)) for event in golden["events"]]
    if golden["trailers"] is not None:
        frames.append(trailers_frame(golden["trailers"]))
    assert golden["frames"] == [frame.decode() for frame in frames]


@named("requests")
def test_a_request_is_what_momentos_message_encodes_to(golden: dict[str, Any]) -> None:
    request = pb._SubscriptionRequest.FromString(read_message(golden["body"].encode()))
    page, sequence = map(int, (golden["position"] or "0:-1").split(":"))
    assert request == pb._SubscriptionRequest(
        cache_name=golden["cacheName"],
        topic=golden["topic"],
        resume_at_topic_sequence_number=sequence + 1,
        sequence_page=page,
    )


def encoded_event(event: dict[str, Any]) -> bytes:
    """The message of an event; `unknownFields` (hex) are those of a later version, after the others."""
    page, sequence = map(int, event.get("position", "0:0").split(":"))
    item = pb._SubscriptionItem()
    match event["type"]:
        case "item":
            value = pb._TopicValue(text=event["text"]) if event["text"] is not None else pb._TopicValue(binary=b"\xff")
            topic_item = pb._TopicItem(
                topic_sequence_number=sequence, sequence_page=page, value=value, publisher_id="publisher"
            )
            item = pb._SubscriptionItem(item=topic_item)
        case "gap":
            discontinuity = pb._Discontinuity(
                last_topic_sequence=max(0, sequence - 1), new_topic_sequence=sequence, new_sequence_page=page
            )
            item = pb._SubscriptionItem(discontinuity=discontinuity)
        case "heartbeat":
            item = pb._SubscriptionItem(heartbeat=pb._Heartbeat())
    encoded: bytes = item.SerializeToString() + bytes.fromhex(event.get("unknownFields", ""))
    return encoded
