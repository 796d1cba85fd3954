"""Whether a process runs, and whether a URL answers."""

import urllib.request

import psutil

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
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
