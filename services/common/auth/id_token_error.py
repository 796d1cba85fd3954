"""Why an id token was refused, and what the client is told about it."""

from enum import StrEnum

from services.common.errors import PermanentError

_SIGN_IN_AGAIN = "Sign in again and send the new id token."


class Reason(StrEnum):
    """Why a token was refused: a metric label, so the list is closed."""

    MISSING = "missing"
    MALFORMED = "malformed"
    ALGORITHM = "algorithm"
    KEY = "key"
    SIGNATURE = "signature"
    EXPIRED = "expired"
    TIME = "time"
    ISSUER = "issuer"
    AUDIENCE = "audience"
    TOKEN_USE = "token_use"  # noqa: S105 - the name of a claim
    SUBJECT = "subject"


_DETAILS = {
    Reason.MISSING: "Send the id token as 'Authorization: Bearer <id token>'.",
    Reason.MALFORMED: "The Authorization header holds no well-formed id token. Send 'Bearer <id token>'.",
    Reason.ALGORITHM: "The token is not signed the way this service accepts. " + _SIGN_IN_AGAIN,
    Reason.KEY: "The token is signed with a key that is not in use. " + _SIGN_IN_AGAIN,
    Reason.SIGNATURE: "The token's signature is wrong. " + _SIGN_IN_AGAIN,
    Reason.EXPIRED: "The token has expired. Refresh it or sign in again.",
    Reason.TIME: "The token's times are not plausible. Check the clock, sign in again.",
    Reason.ISSUER: "The token was issued by another user pool. Sign in to the user pool of this service.",
    Reason.AUDIENCE: "The token was issued for another application. Sign in through this application.",
    Reason.TOKEN_USE: "This is not an id token. Send the id token, not the access token.",
    Reason.SUBJECT: "The token names no usable user. " + _SIGN_IN_AGAIN,
}


class InvalidIdToken(PermanentError):
    """The request has no acceptable id token (401).

    `reason` is for a metric label, the message for the client; neither holds anything of the token.
    """

    def __init__(self, reason: Reason) -> None:
        super().__init__(_DETAILS[reason])
        self.reason = reason
