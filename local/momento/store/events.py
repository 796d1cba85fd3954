"""What travels on a subscription, in its wire form: made once, written to every stream by both fronts."""

from momento_wire_types import cachepubsub_pb2 as pb

HEARTBEAT: bytes = pb._SubscriptionItem(heartbeat=pb._Heartbeat()).SerializeToString()


def discontinuity(last_sequence: int, new_sequence: int, page: int) -> bytes:
    """Messages after `last_sequence` up to `new_sequence` are missing; the next is the one after."""
    return pb._SubscriptionItem(
        discontinuity=pb._Discontinuity(
            last_topic_sequence=last_sequence, new_topic_sequence=new_sequence, new_sequence_page=page
        )
    ).SerializeToString()


def item(sequence: int, page: int, value: pb._TopicValue, publisher_id: str) -> bytes:
    return pb._SubscriptionItem(
        item=pb._TopicItem(topic_sequence_number=sequence, sequence_page=page, value=value, publisher_id=publisher_id)
    ).SerializeToString()
