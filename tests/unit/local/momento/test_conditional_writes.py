"""Conditional writes of the Momento emulator."""

import pytest
from momento_wire_types import cacheclient_pb2 as pb
from momento_wire_types import common_pb2 as common

from local.momento.calls.cache import condition_of
from local.momento.errors import CallError

A = b"a"
# condition, and whether it is true for: nothing, "a", "b", the empty value
TABLE = [
    (pb._SetIfRequest(present=common.Present()), [False, True, True, True]),
    (pb._SetIfRequest(absent=common.Absent()), [True, False, False, False]),
    (pb._SetIfRequest(equal=common.Equal(value_to_check=A)), [False, True, False, False]),
    (pb._SetIfRequest(equal=common.Equal()), [False, False, False, True]),
    (pb._SetIfRequest(absent_or_equal=common.AbsentOrEqual(value_to_check=A)), [True, True, False, False]),
    (pb._SetIfRequest(not_equal=common.NotEqual(value_to_check=A)), [True, False, True, True]),
    (
        pb._SetIfRequest(present_and_not_equal=common.PresentAndNotEqual(value_to_check=A)),
        [False, False, True, True],
    ),
]


@pytest.mark.parametrize(("request_", "expected"), TABLE, ids=[str(n) for n in range(7)])
def test_each_condition_is_true_or_false_as_named(request_: pb._SetIfRequest, expected: list[bool]) -> None:
    assert [condition_of(request_)(current) for current in (None, A, b"b", b"")] == expected


def test_a_condition_is_required() -> None:
    with pytest.raises(CallError, match="condition"):
        condition_of(pb._SetIfRequest())
