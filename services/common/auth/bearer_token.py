"""The id token in the Authorization header."""

from multidict import MultiMapping

from services.common.auth.id_token import InvalidIdToken, Reason

SCHEME = "bearer"


def id_token_of(headers: MultiMapping[str]) -> str:
    """The token of `Authorization: Bearer <token>`, or of the bare header, which API Gateway took too.

    Only finds it: the verifier looks at what it is. Raises InvalidIdToken (missing, malformed).
    """
    values = headers.getall("Authorization", [])
    if len(values) > 1:
        # Two parties that each read another one of two headers would see two users.
        raise InvalidIdToken(Reason.MALFORMED)
    words = values[0].split() if values else []
    if words and words[0].lower() == SCHEME:
        words = words[1:]
    if not words:
        raise InvalidIdToken(Reason.MISSING)
    if len(words) > 1:
        raise InvalidIdToken(Reason.MALFORMED)
    return words[0]
