"""The id token in the Authorization header."""

from multidict import MultiMapping

from services.common.auth.id_token import InvalidIdToken, RefusalReason

SCHEME = "bearer"


def id_token_of(headers: MultiMapping[str]) -> str:
    """Return the token of `Authorization: Bearer <token>` or `Authorization: <token>`, which API Gateway accepts too.

    :raises InvalidIdToken: when there is no token or several. The token itself is not checked.
    """
    values = headers.getall("Authorization", [])
    if len(values) > 1:
        # A proxy could read the first header and this service the second.
        raise InvalidIdToken(RefusalReason.MALFORMED)
    words = values[0].split() if values else []
    if words and words[0].lower() == SCHEME:
        words = words[1:]
    if not words:
        raise InvalidIdToken(RefusalReason.MISSING)
    if len(words) > 1:
        raise InvalidIdToken(RefusalReason.MALFORMED)
    return words[0]
