"""How a Momento SDK's answer ended."""

from momento.errors import MomentoErrorCode
from momento.responses.mixins import ErrorResponseMixin


def error_code(response: object) -> MomentoErrorCode | None:
    """The code of an error answer, None of any other."""
    return response.error_code if isinstance(response, ErrorResponseMixin) else None


def trailer(response: object, name: str) -> str | None:
    """A trailer of an error answer."""
    assert isinstance(response, ErrorResponseMixin), response
    details = response.inner_exception.transport_details
    assert details is not None
    metadata = details.grpc.metadata
    assert metadata is not None
    return next((str(value) for key, value in metadata if key == name), None)
