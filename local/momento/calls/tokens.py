"""`token.Token`: vend disposable tokens."""

from momento_wire_types import token_pb2 as pb

from local.momento.calls.call import Method
from local.momento.credentials import Credentials
from local.momento.errors import rate_limit_exceeded
from local.momento.rate_limit import RateLimiter
from local.momento.settings import Settings
from local.momento.stats import Stats


class TokenCalls:
    """The request's body carries the API key, so it is authenticated here."""

    def __init__(self, settings: Settings, credentials: Credentials, stats: Stats) -> None:
        self._credentials = credentials
        self._stats = stats
        self._limiter = RateLimiter(lambda: settings.tokens_per_second)

    def methods(self) -> list[Method]:
        path = "/token.Token/GenerateDisposableToken"
        return [Method(path, pb._GenerateDisposableTokenRequest, self._generate, authenticated=False)]

    def _generate(
        self, request: pb._GenerateDisposableTokenRequest, _credential: None, _cache: str
    ) -> pb._GenerateDisposableTokenResponse:
        self._credentials.authenticate_key(request.auth_token)
        if not self._limiter.try_acquire():
            raise rate_limit_exceeded("tokens")
        token, valid_until = self._credentials.vend(
            request.permissions, request.expires.valid_for_seconds, request.token_id
        )
        self._stats.vended_tokens += 1
        return pb._GenerateDisposableTokenResponse(
            api_key=token, endpoint=self._credentials.endpoint, valid_until=valid_until
        )
