"""The segments of a compact JWT, parsed more strictly than libraries do."""

import base64
import json
import re
from typing import Any, NoReturn

from services.common.messages.exact_json import has_more_levels

# Cognito's id tokens are about 1 KB; groups and custom attributes may make them a few KB.
MAX_TOKEN_CHARS = 8192
MAX_LEVELS = 32
"""Of objects and arrays in a segment. Cognito's tokens have two; the limits of JSON parsers differ."""
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


class SegmentError(ValueError):
    """The text is not a compact JWT."""


def split(token: str) -> tuple[str, str, str]:
    """Return header, payload and signature, still encoded. Cheap for any input.

    :raises SegmentError: when the text is not a compact JWT.
    """
    if len(token) > MAX_TOKEN_CHARS:
        raise SegmentError("too long")
    if not _COMPACT.fullmatch(token):
        raise SegmentError("not three base64url segments")
    header, payload, signature = token.split(".")
    return header, payload, signature


def json_object(segment: str) -> dict[str, Any]:
    """Return the JSON object in a segment: UTF-8, without duplicate names, NaN and Infinity.

    PyJWT checks that the base64url is canonical, together with the signature.

    :raises SegmentError: when it is not such an object.
    """
    try:
        # orjson accepts duplicate names, so the standard parser is needed.
        value = json.loads(
            base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)).decode("utf-8"),
            object_pairs_hook=_without_duplicates,
            parse_constant=_refuse_constant,
        )
    except (ValueError, RecursionError) as error:
        raise SegmentError("not a plain JSON object") from error
    if has_more_levels(value, MAX_LEVELS):
        raise SegmentError("nested too deeply")
    if not isinstance(value, dict):
        raise SegmentError("not a JSON object")
    return value


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(pairs)
    if len(names) != len(pairs):
        raise SegmentError("duplicate name")
    return names


def _refuse_constant(name: str) -> NoReturn:
    raise SegmentError(f"{name} is not a JSON number")
