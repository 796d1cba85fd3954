"""gRPC-web text framing, which browsers use instead of gRPC.

A frame is a flag byte, a big-endian length of four bytes and as many bytes of content; in the text form each frame is
base64 by itself. Specification: PROTOCOL-WEB.md of grpc/grpc.
"""

import base64
import binascii
import re
import struct
from collections.abc import Mapping
from urllib.parse import quote

_HEAD = struct.Struct(">BI")
_DATA, _TRAILERS = 0x00, 0x80
# Each frame is encoded separately, so padding may occur in the middle of the text.
_ENCODED_PART = re.compile(rb"[^=]+={0,2}")


def data_frame(message: bytes) -> bytes:
    return base64.b64encode(_HEAD.pack(_DATA, len(message)) + message)


def trailers_frame(trailers: Mapping[str, str]) -> bytes:
    """Encode the last frame. Values are percent-encoded as grpc-message is."""
    lines = "".join(f"{name}:{quote(value, safe=' ')}\r\n" for name, value in trailers.items())
    return base64.b64encode(_HEAD.pack(_TRAILERS, len(lines)) + lines.encode())


def read_message(body: bytes) -> bytes:
    """Decode a request of one data frame; raises `ValueError` for anything else."""
    try:
        raw = b"".join(base64.b64decode(part, validate=True) for part in _ENCODED_PART.findall(body.strip()))
    except binascii.Error as error:
        raise ValueError("the body is not base64") from error
    if len(raw) < _HEAD.size:
        raise ValueError("the frame is incomplete")
    flag, length = _HEAD.unpack_from(raw)
    if flag != _DATA:
        raise ValueError("the body must be one data frame, uncompressed")
    if len(raw) != _HEAD.size + length:
        raise ValueError("the frame's length does not match")
    return raw[_HEAD.size :]


_TIMEOUT = re.compile(r"([0-9]{1,8})([HMSmun])")
_UNIT_SECONDS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}


def timeout_seconds(header: str | None) -> float | None:
    """Read the `grpc-timeout` header in seconds, None without one; raises `ValueError` if it is malformed."""
    if header is None:
        return None
    match = _TIMEOUT.fullmatch(header)
    if match is None:
        raise ValueError("grpc-timeout is malformed")
    return int(match[1]) * _UNIT_SECONDS[match[2]]
