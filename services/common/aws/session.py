"""The SDK's session, with what it keeps in memory cut down to what is used here: 9 MB less of some 100."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiobotocore.session import AioSession, get_session
from botocore.loaders import JSONFileLoader, Loader

SERVICES = {"sqs", "cognito-idp", "ssm", "sts"}
"""STS is what the SDK itself calls where a role is taken by IRSA. What is not listed follows the general pattern."""
_READ: dict[str, Callable[[Path], bytes]] = {
    ".json": Path.read_bytes,
    ".json.gz": lambda path: gzip.decompress(path.read_bytes()),
}


def aws_session() -> AioSession:
    """One for all clients: each loads AWS' endpoints anew."""
    session = get_session()
    session.register_component("data_loader", Loader(file_loader=_Lean()))
    return session


class _Lean(JSONFileLoader):
    """Plain dictionaries, without the documentation of every field and the endpoints of 300 other services."""

    def load_file(self, file_path: str) -> dict[str, Any] | None:
        """`file_path` is without its ending. None where there is no such file."""
        for ending, read in _READ.items():
            path = Path(file_path + ending)
            if path.is_file():
                data: dict[str, Any] = json.loads(read(path), object_hook=_undocumented)
                return _ours(data) if path.name == "endpoints.json" else data
        return None


def _undocumented(part: dict[str, Any]) -> dict[str, Any]:
    if isinstance(part.get("documentation"), str):  # else it is a field of that name
        del part["documentation"]
    return part


def _ours(endpoints: dict[str, Any]) -> dict[str, Any]:
    for partition in endpoints["partitions"]:
        partition["services"] = {name: each for name, each in partition["services"].items() if name in SERVICES}
    return endpoints
