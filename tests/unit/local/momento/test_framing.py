"""gRPC-web text framing of the Momento emulator."""

import base64
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.momento.fronts.framing import data_frame, read_message, timeout_seconds, trailers_frame


@given(st.binary(max_size=2000))
def test_a_message_survives_the_framing(message: bytes) -> None:
    assert read_message(data_frame(message)) == message


@given(st.binary(max_size=200), st.integers(1, 50))
def test_base64_in_several_padded_parts_is_read(message: bytes, size: int) -> None:
    """A client may encode what it has whenever it has it."""
    raw = struct.pack(">BI", 0, len(message)) + message
    parts = [base64.b64encode(raw[at : at + size]) for at in range(0, len(raw), size)]
    assert read_message(b"".join(parts)) == message


@given(st.binary(max_size=100))
def test_random_bytes_are_rejected_with_a_value_error(body: bytes) -> None:
    try:
        message = read_message(body)
    except ValueError:
        return
    assert read_message(data_frame(message)) == message


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"", "incomplete"),
        (b"\0\0\0\0", "incomplete"),
        (b"\0\0\0\0\1", "length"),
        (b"\0\0\0\0\0x", "length"),
        (b"\x80\0\0\0\0", "data frame"),
        (b"\x01\0\0\0\0", "data frame"),
    ],
)
def test_an_invalid_frame_is_rejected_with_its_reason(raw: bytes, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        read_message(base64.b64encode(raw))


def test_trailers_are_lines_with_escaped_values() -> None:
    raw = base64.b64decode(trailers_frame({"grpc-status": "5", "grpc-message": "no\r\nx: é 1%"}))
    assert struct.unpack_from(">BI", raw) == (0x80, len(raw) - 5)
    assert raw[5:] == b"grpc-status:5\r\ngrpc-message:no%0D%0Ax%3A %C3%A9 1%25\r\n"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [(None, None), ("5S", 5), ("250m", 0.25), ("2M", 120), ("1H", 3600), ("10u", 1e-5), ("7n", 7e-9)],
)
def test_a_timeout_is_read_in_each_unit(header: str | None, seconds: float | None) -> None:
    assert timeout_seconds(header) == (seconds if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize("header", ["", "5", "S", "-1S", "1.5S", "123456789S", "5s"])
def test_a_malformed_timeout_is_rejected(header: str) -> None:
    with pytest.raises(ValueError, match="malformed"):
        timeout_seconds(header)
