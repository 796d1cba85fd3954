"""An ASGI application in front of MiniStack's, in the same process, so that there is no second port.

MiniStack itself answers web pages of any origin and has calls without authentication below `/_ministack/`.
"""

import hmac
import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from local.aws.sqs_delay import SQS_DELAY_PATH, SqsDelay
from local.web_access.access import Refusal, RequestFacts, WebAccess

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

HEALTH_PATH = "/_ministack/health"
MAILS_PATH = "/_ministack/ses/messages"
_API_PATHS = re.compile(r"/|/\d{12}/[A-Za-z0-9_-]{1,80}(?:\.fifo)?")
"""The paths of all calls of SQS, SSM, STS, SES and Cognito's API; the second form is a queue's URL."""
_OPEN_PATHS = re.compile(
    rf"{HEALTH_PATH}|/[a-z0-9-]{{1,40}}_[A-Za-z0-9]{{1,60}}/\.well-known/(?:jwks\.json|openid-configuration)"
)
"""Paths that need no signature."""
_SECRET_PATHS = {MAILS_PATH: ("GET",), SQS_DELAY_PATH: ("GET", "PUT")}
"""Paths that need the secret as bearer token, and their methods."""
_SIGNATURE = re.compile(r"AWS4-HMAC-SHA256 Credential=[^/\s,]+/.*")
_UNSIGNED_TARGET = "AWSCognitoIdentityProviderService."
"""Browsers call Cognito without credentials. MiniStack decides which operations permit that."""
_AUTHORIZATION = b"authorization"
_CORS_ORIGIN = b"access-control-allow-origin"
_RESPONSE_HEADERS = ((b"vary", b"Origin"), (b"cross-origin-resource-policy", b"same-origin"))


@dataclass(frozen=True, slots=True)
class Guard:
    """Forwards permitted requests to `app`."""

    app: Application
    access: WebAccess
    secret: str = field(repr=False)
    """The secret access key, which is also the bearer token for reading mails and for the delay of SQS."""
    sqs_delay: SqsDelay = field(default_factory=SqsDelay)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] != "http":
            await _close(receive, send)
        else:
            facts = facts_of(scope)
            if refused := self.access.refusal(facts) or self._refusal_of_path(facts, scope["path"]):
                await _answer(send, refused.status, f"{refused.reason}\n")
            elif scope["path"] == SQS_DELAY_PATH:
                await self._switch(scope, send)
            else:
                await self.sqs_delay.wait("".join(facts.values("authorization")))
                passed = scope if _is_signed(facts) else _without_authorization(scope)
                await self.app(passed, receive, _with_cors(send, facts))

    async def _switch(self, scope: Message, send: Send) -> None:
        if scope["method"] == "PUT" and not self.sqs_delay.set(scope["query_string"]):
            await _answer(send, 400, "seconds must be a number below 100.\n")
        else:
            await _answer(send, 200, json.dumps({"seconds": self.sqs_delay.seconds}), b"application/json")

    def _refusal_of_path(self, facts: RequestFacts, path: str) -> Refusal | None:
        if _API_PATHS.fullmatch(path):
            return _refusal_of_signature(facts)
        if facts.method == "GET" and _OPEN_PATHS.fullmatch(path):
            return None
        if facts.method in _SECRET_PATHS.get(path, ()) and self._has_secret(facts):
            return None
        return Refusal(403, "This path is not served.")

    def _has_secret(self, facts: RequestFacts) -> bool:
        given = facts.values("authorization")
        return len(given) == 1 and hmac.compare_digest(given[0].encode(), f"Bearer {self.secret}".encode())


def _refusal_of_signature(facts: RequestFacts) -> Refusal | None:
    targets = facts.values("x-amz-target")
    is_unsigned_call = len(targets) == 1 and targets[0].startswith(_UNSIGNED_TARGET)
    if _is_signed(facts) or facts.method == "OPTIONS":
        return None
    if facts.method == "POST" and is_unsigned_call and not facts.values("authorization"):
        return None
    return Refusal(403, "The request needs a signature (AWS Signature Version 4, in the Authorization header).")


def _is_signed(facts: RequestFacts) -> bool:
    """Whether the request has a signature, which MiniStack verifies."""
    given = facts.values("authorization")
    return len(given) == 1 and _SIGNATURE.fullmatch(given[0]) is not None


def _without_authorization(scope: Message) -> Message:
    """Remove an unknown authorization: MiniStack would treat it as its root user's."""
    kept = [(name, value) for name, value in scope["headers"] if name.lower() != _AUTHORIZATION]
    return {**scope, "headers": kept}


def facts_of(scope: Message) -> RequestFacts:
    """Read the facts of an ASGI request."""
    headers = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
    return RequestFacts.of(scope["method"], scope["path"], (scope.get("server") or ("", 0))[1] or 0, headers)


def _with_cors(send: Send, facts: RequestFacts) -> Send:
    """Replace MiniStack's permission for all origins by the allowed origin of the request."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [(name, value) for name, value in message["headers"] if name.lower() != _CORS_ORIGIN]
            allowed = [(_CORS_ORIGIN, origin.encode("latin-1")) for origin in facts.values("origin")]
            message = {**message, "headers": [*kept, *allowed, *_RESPONSE_HEADERS]}
        await send(message)

    return sending


async def _answer(send: Send, status: int, text: str, content_type: bytes = b"text/plain; charset=utf-8") -> None:
    body = text.encode()
    headers = [
        (b"content-type", content_type),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),  # the request body is not read
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _close(receive: Receive, send: Send) -> None:
    """Reject a WebSocket: no emulated service has one."""
    if (await receive())["type"] == "websocket.connect":
        await send({"type": "websocket.close", "code": 1008})
