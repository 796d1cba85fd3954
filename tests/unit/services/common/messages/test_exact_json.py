"""JSON parsed without a change of value: every integer arrives as it was written, or the document is refused."""

import json
import math
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.messages.exact_json import NestedTooDeeplyError, NumberNotExactError, loads_64_bit, loads_exact

BEYOND_FLOATS = "1" * 400
integers = st.one_of(
    st.integers(),
    st.integers(min_value=-(10**30), max_value=10**30),
    st.sampled_from([sign * (2**bits) + delta for bits in (53, 63, 64) for sign in (1, -1) for delta in (-1, 0, 1)]),
)
texts = st.text(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from('0123456789"\\-')))
values = st.recursive(
    st.one_of(st.none(), st.booleans(), integers, st.floats(allow_nan=False, allow_infinity=False), texts),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(texts, inner)),
    max_leaves=12,
)


def is_64_bit(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(is_64_bit, value.values()))
    if isinstance(value, list):
        return all(map(is_64_bit, value))
    return not isinstance(value, int) or -(2**63) <= value < 2**64


def same(value: Any, other: Any) -> bool:
    """Equal, and of the same types: 1 == 1.0 == True."""
    return repr(value) == repr(other)


@given(st.one_of(values, st.dictionaries(texts, values)), st.booleans())
def test_every_document_arrives_exactly_or_is_refused(value: Any, escaped: bool) -> None:
    text = json.dumps(value, ensure_ascii=escaped)
    assert same(loads_exact(text), value)
    if is_64_bit(value):
        assert same(loads_64_bit(text.encode()), value)
    else:
        with pytest.raises(NumberNotExactError):
            loads_64_bit(text.encode())


@given(st.text(st.characters()), st.sampled_from(["", BEYOND_FLOATS, "9" * 20, "1e400", "NaN", '"\\ud800"']))
def test_what_orjson_refuses_is_refused_for_an_error_of_one_kind(text: str, other: str) -> None:
    for document in (text, f"[{other}, {text}]", f'{{"a": {other}, "b": "{text}"}}'):
        try:
            expected = json.loads(document, parse_constant=lambda _: math.nan)
        except (ValueError, RecursionError):
            expected = None
        try:
            found = loads_exact(document)
        except ValueError:
            continue
        assert same(found, expected)


@pytest.mark.parametrize(
    "document",
    [
        "18446744073709551616",
        '{"a": 18446744073709551616}',
        '{"a": [[{"b": -9223372036854775809}]]}',
        '{"a": 1e400}',
        '{"a": -1E+309}',
        '{"a": [1.5, 1' + "0" * 309 + ".0]}",
        f'{{"a": {BEYOND_FLOATS}}}',
        f'{{"a": -{"9" * 200_000}}}',
    ],
    ids=lambda document: document[:30],
)
def test_a_number_that_would_change_is_named(document: str) -> None:
    with pytest.raises(NumberNotExactError) as caught:
        loads_64_bit(document.encode())
    assert caught.value.number.rstrip("…") in document
    assert 3 < len(caught.value.number) <= 41
    assert caught.value.number not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("18446744073709551615", 2**64 - 1),
        ("-9223372036854775808", -(2**63)),
        ("-0", 0),
        ("-0.0", -0.0),
        ("1E+2", 100.0),
        ("1e-400", 0.0),
        ("0.1234567890123456789012345", 0.12345678901234568),
        ("12345678901234567890123.0", 1.2345678901234568e22),
        ("1e22", 1e22),
    ],
)
def test_other_numbers_stay_what_they_are(text: str, value: float) -> None:
    for document, expected in ((text, value), (f'{{"a": [{text}]}}', {"a": [value]})):
        assert same(loads_64_bit(document.encode()), expected)
        assert same(loads_exact(document), expected)


def test_an_integer_of_4300_digits_is_exact_and_a_longer_one_is_refused() -> None:
    assert loads_exact(f'{{"a": {"7" * 4_300}}}') == {"a": int("7" * 4_300)}
    for digits in (4_301, 1_000_000):
        with pytest.raises(NumberNotExactError):
            loads_exact(f'{{"a": [-{"7" * digits}]}}')


@pytest.mark.parametrize("rest", ["NaN", "-Infinity", "1e400", '"\\ud800"', '{"\\udc00": 1}', "01", "'x'"])
def test_a_document_with_an_integer_beyond_floats_is_parsed_as_strictly(rest: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        loads_exact(f"[{BEYOND_FLOATS}, {rest}]")


@pytest.mark.parametrize("number", ["9" * 20, BEYOND_FLOATS])
def test_deep_nesting_beside_a_long_number_does_not_exhaust_the_stack(number: str) -> None:
    for levels in (501, 1_000, 200_000):
        nested = f"{'[' * levels}{number}{']' * levels}"
        for document in (nested, f"[{number}, {nested}]"):
            with pytest.raises(ValueError, match=r"."):
                loads_64_bit(document.encode())
            with pytest.raises(ValueError, match=r"."):
                loads_exact(document)


@pytest.mark.parametrize("number", ["9" * 20, BEYOND_FLOATS])
def test_500_levels_beside_a_long_number_are_read(number: str) -> None:
    value = loads_exact(f"{'[' * 500}{number}{']' * 500}")
    for _ in range(500):
        (value,) = value
    assert value == int(number)


def test_a_deeply_nested_document_has_its_own_error() -> None:
    with pytest.raises((NestedTooDeeplyError, NumberNotExactError)):  # a newer Python has more levels
        loads_64_bit(b'{"a": ' + b"[" * 1_000 + b"9" * 20 + b"]" * 1_000 + b"}")
    with pytest.raises(orjson.JSONDecodeError):
        loads_64_bit(b'{"a": 9')
