"""Errors of the embedded stack: each one's text is the sentence that the developer reads."""


class LocalError(Exception):
    """Something the developer can mend; it is shown without a traceback."""
