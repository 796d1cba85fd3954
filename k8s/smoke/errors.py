"""Why a smoke test fails."""


class SmokeError(Exception):
    """The stage does not do what it should; the message says what was seen."""
