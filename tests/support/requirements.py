"""Requirements of tests beside Python packages: a marker each, and the reason if it is missing here."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

from tests.support.cluster.tools import why_no_cluster

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FIREFOX = os.environ.get("FIREFOX", "firefox-esr")
ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "frontend" / "dist" / "index.html"
REDOCLY = ROOT / "node_modules" / ".bin" / "redocly"
CLIENT = ROOT / "sdk" / "javascript"


def client_package() -> Path | None:
    """Return the packed JavaScript client."""
    return next(CLIENT.glob("notification-api-client-*.tgz"), None)


def nginx_path() -> str | None:
    """Return the path of nginx, which Debian installs where a user's PATH may not include it."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


def _missing_program(*programs: str, install: str) -> str | None:
    absent = [program for program in programs if shutil.which(program) is None]
    return f"missing: {', '.join(absent)}; {install}" if absent else None


def _missing_nginx() -> str | None:
    return None if nginx_path() else "missing: nginx; apt-get install nginx-light"


def _missing_browser() -> str | None:
    found = shutil.which(CHROMIUM)
    return None if found else "missing: Chromium; apt-get install chromium, or set CHROMIUM to its path"


def _missing_browser_or_application() -> str | None:
    if missing := _missing_browser():
        return missing
    return None if PAGE.is_file() else "the application is not built; make frontend (Node 20.19 or newer)"


def _missing_registry() -> str | None:
    command = [
        sys.executable,
        "-m",
        "uv",
        "pip",
        "install",
        "--dry-run",
        "--quiet",
        "--no-cache",
        "--reinstall",
        "idna",
    ]
    if subprocess.run(command, capture_output=True).returncode == 0:
        return None
    return "Python's package registry cannot be reached"


def _missing_for_documentation() -> str | None:
    return _missing_program("curl", "make", "npm", install="a tutorial's reader needs them") or _missing_browser()


def _missing_redocly() -> str | None:
    return None if REDOCLY.is_file() else "missing: the npm packages; npm ci"


def _missing_package() -> str | None:
    return None if client_package() else "the JavaScript client is not packed; make client-package (needs Node)"


REQUIREMENTS: dict[str, Callable[[], str | None]] = {
    "alertmanager": partial(_missing_program, "amtool", install="apt-get install prometheus-alertmanager"),
    "chromium": _missing_browser_or_application,
    "cluster": why_no_cluster,
    "documentation": _missing_for_documentation,
    "firefox": partial(_missing_program, FIREFOX, install="apt-get install firefox-esr, or set FIREFOX to its path"),
    "helm": partial(_missing_program, "helm", install="https://helm.sh"),
    "nginx": _missing_nginx,
    "package": _missing_package,
    "prometheus": partial(_missing_program, "prometheus", "promtool", install="apt-get install prometheus"),
    "registry": _missing_registry,
    "redocly": _missing_redocly,
}
"""Functions that return why a marker's tests cannot run here, or None if they can."""


@cache
def missing_requirement(marker: str) -> str | None:
    return REQUIREMENTS[marker]()
