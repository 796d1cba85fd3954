"""Whether a process runs, and whether a URL answers."""

import os
import urllib.request
from pathlib import Path

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    try:
        return not stat.parent.parent.joinpath("self").exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def get(url: str) -> int:
    """The status of the response; raises OSError for 400 and above."""
    with _OPENER.open(url, timeout=5) as response:
        status: int = response.status
        return status


def answers_200(url: str) -> bool:
    try:
        return get(url) == 200
    except OSError:
        return False
