"""Comparing wanted settings with actual ones."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8s.operator.resources.drift import differing, same_json, satisfies

JSON = st.recursive(
    st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
SETTINGS = st.dictionaries(st.text(max_size=3), JSON, max_size=4)


@given(SETTINGS)
def test_wanted_settings_do_not_differ(settings: dict[str, Any]) -> None:
    assert differing(settings, settings) == {}


@given(SETTINGS, SETTINGS)
def test_other_settings_are_ignored(wanted: dict[str, Any], more: dict[str, Any]) -> None:
    assert differing(wanted, more | wanted) == {}


@given(SETTINGS, SETTINGS)
def test_writing_the_difference_removes_it(wanted: dict[str, Any], actual: dict[str, Any]) -> None:
    assert differing(wanted, actual | differing(wanted, actual)) == {}


@pytest.mark.parametrize(
    ("wanted", "actual"),
    [
        ({"a": 1}, {}),
        ({"a": 1}, {"a": 2}),
        ({"a": {"b": 1}}, {"a": {"c": 1}}),
        ({"a": {"b": 1}}, {"a": None}),
        ({"a": ["x"]}, {"a": ["x", "y"]}),
        ({"a": ["x", "y"]}, {"a": ["x"]}),
        ({"a": True}, {"a": False}),
    ],
)
def test_differing_settings_are_found(wanted: dict[str, Any], actual: dict[str, Any]) -> None:
    assert differing(wanted, actual) == wanted


@given(st.lists(JSON, max_size=4).flatmap(lambda items: st.tuples(st.just(items), st.permutations(items))))
def test_the_order_of_a_list_is_ignored(lists: tuple[list[Any], list[Any]]) -> None:
    assert satisfies(lists[0], lists[1])


@given(SETTINGS)
def test_json_is_compared_by_value(settings: dict[str, Any]) -> None:
    assert same_json(json.dumps(settings), json.dumps(settings, indent=3, sort_keys=True))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ('{"maxReceiveCount": 10}', '{"maxReceiveCount":"10"}', True),
        ('{"maxReceiveCount": 10}', '{"maxReceiveCount":"11"}', False),
        ('{"arns": ["a", "b"]}', '{"arns": ["b", "a"]}', True),
        ('{"arns": ["a"]}', '{"arns": ["a", "b"]}', False),
        ('{"a": 1}', "", False),
        ('{"a": 1}', "not json", False),
    ],
)
def test_policies_in_different_notation(one: str, other: str, same: bool) -> None:
    assert same_json(one, other) is same
