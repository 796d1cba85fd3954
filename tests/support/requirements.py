"""Requirements of tests beside Python packages: a marker each, and the reason if it is missing here."""

import os
import shutil
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

from tests.support.cluster.tools import why_no_cluster

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FIREFOX = os.environ.get("FIREFOX", "firefox-esr")
PAGE = Path(__file__).resolve().parents[2] / "frontend" / "dist" / "index.html"


def nginx_path() -> str | None:
    """Return the path of nginx, which Debian installs where a user's PATH may not include it."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


def _missing_program(*programs: str, install: str) -> str | None:
    absent = [program for program in programs if shutil.which(program) is None]
    return f"missing: {', '.join(absent)}; {install}" if absent else None


def _missing_nginx() -> str | None:
    return None if nginx_path() else "missing: nginx; apt-get install nginx-light"


def _missing_chromium() -> str | None:
    if shutil.which(CHROMIUM) is None:
        return "missing: Chromium; apt-get install chromium, or set CHROMIUM to its path"
    return None if PAGE.is_file() else "the application is not built; make frontend (Node 20.19 or newer)"


REQUIREMENTS: dict[str, Callable[[], str | None]] = {
    "alertmanager": partial(_missing_program, "amtool", install="apt-get install prometheus-alertmanager"),
    "chromium": _missing_chromium,
    "cluster": why_no_cluster,
    "firefox": partial(_missing_program, FIREFOX, install="apt-get install firefox-esr, or set FIREFOX to its path"),
    "helm": partial(_missing_program, "helm", install="https://helm.sh"),
    "nginx": _missing_nginx,
    "prometheus": partial(_missing_program, "prometheus", "promtool", install="apt-get install prometheus"),
}
"""Functions that return why a marker's tests cannot run here, or None if they can."""


@cache
def missing_requirement(marker: str) -> str | None:
    return REQUIREMENTS[marker]()
