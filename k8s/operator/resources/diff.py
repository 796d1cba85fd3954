"""Comparing what is wanted with what AWS reports, pure.

AWS reports more than was asked for, lists in any order, and numbers inside JSON as numbers or strings.
"""

import json
from collections.abc import Mapping


def differing(wanted: Mapping[str, object], actual: Mapping[str, object]) -> dict[str, object]:
    """Those wanted settings that the actual ones do not satisfy."""
    return {key: value for key, value in wanted.items() if not satisfies(value, actual.get(key))}


def satisfies(wanted: object, actual: object) -> bool:
    """Whether `actual` holds all of `wanted`; settings that were not asked for do not count."""
    if isinstance(wanted, Mapping):
        return isinstance(actual, Mapping) and not differing(wanted, actual)
    if isinstance(wanted, list):
        return isinstance(actual, list) and sorted(map(_canonical, wanted)) == sorted(map(_canonical, actual))
    return wanted == actual


def same_json(one: str, other: str) -> bool:
    """Whether two JSON texts say the same, whatever their order and whether numbers are quoted."""
    try:
        return _canonical(json.loads(one)) == _canonical(json.loads(other))
    except ValueError:
        return False


def _canonical(value: object) -> str:
    if isinstance(value, Mapping):
        return json.dumps({key: _canonical(item) for key, item in value.items()}, sort_keys=True)
    if isinstance(value, list):
        return json.dumps(sorted(_canonical(item) for item in value))
    return str(value)
