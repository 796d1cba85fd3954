"""ElasticMQ, a fast SQS server on the JVM: resolved by Maven into a folder outside the repository, run on 127.0.0.1.

``ELASTICMQ_HOME`` is its folder (default: ``notification-api/elasticmq-<version>`` in the user's cache folder).
"""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.support.child import running, wait_until_ready
from tests.support.ports import free_port

VERSION = "1.6.14"
RESOLVE_TIMEOUT_SECONDS = 600.0
START_TIMEOUT_SECONDS = 120.0
_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
_POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>local</groupId><artifactId>elasticmq-of-the-benchmarks</artifactId><version>1</version><packaging>pom</packaging>
<dependencies><dependency><groupId>org.elasticmq</groupId><artifactId>elasticmq-server_2.13</artifactId>
<version>{VERSION}</version></dependency></dependencies></project>
"""
_CONFIG = """include classpath("application.conf")
node-address {{ protocol = http, host = "127.0.0.1", port = {port}, context-path = "" }}
rest-sqs {{ enabled = true, bind-port = {port}, bind-hostname = "127.0.0.1", sqs-limits = strict }}
rest-stats {{ enabled = false }}
"""


class ElasticMqUnavailableError(Exception):
    """ElasticMQ cannot run on this machine; the message is the reason."""


@asynccontextmanager
async def elasticmq(folder: Path) -> AsyncIterator[str]:
    """Run ElasticMQ with its log in `folder`; return its endpoint URL.

    :raises ElasticMqUnavailableError: when Java or Maven are missing, or Maven cannot resolve it.
    """
    jars = await _jars_folder()
    port = free_port()
    config = folder / "elasticmq.conf"
    config.write_text(_CONFIG.format(port=port), encoding="utf-8")
    # The parallel collector would use, for milliseconds, the core of the measured process.
    command = [
        "java",
        "-Xmx1g",
        "-XX:+UseSerialGC",
        f"-Dconfig.file={config}",
        "-cp",
        f"{jars}/*",
        "org.elasticmq.server.Main",
    ]
    java_home = {name: value for name, value in os.environ.items() if name == "JAVA_HOME"}
    async with running(command, java_home, folder / "elasticmq.log") as child:
        endpoint = f"http://127.0.0.1:{port}"
        await wait_until_ready(child, f"{endpoint}/health", START_TIMEOUT_SECONDS)
        yield endpoint


def _home() -> Path:
    given = os.environ.get("ELASTICMQ_HOME")
    if given:
        return Path(given)
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "notification-api" / f"elasticmq-{VERSION}"


async def _jars_folder() -> Path:
    """Return the folder of the jars, which are resolved once."""
    if shutil.which("java") is None:
        raise ElasticMqUnavailableError("there is no java on the PATH (17 or newer)")
    home = _home()
    jars = home / "lib"
    if not (home / "complete").exists():
        await _resolve(home, jars)
    return jars


def _write_pom(home: Path) -> None:
    home.mkdir(parents=True, exist_ok=True)
    (home / "pom.xml").write_text(_POM, encoding="utf-8")


async def _resolve(home: Path, jars: Path) -> None:
    if shutil.which("mvn") is None:
        raise ElasticMqUnavailableError("there is no mvn on the PATH to fetch it with")
    print(f"Fetching ElasticMQ {VERSION} with Maven into {home} (once, 37 MB)", flush=True)
    _write_pom(home)
    command = ["mvn", "-B", "-q", "-f", str(home / "pom.xml"), _PLUGIN, f"-DoutputDirectory={jars}"]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(RESOLVE_TIMEOUT_SECONDS):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise ElasticMqUnavailableError(f"Maven took more than {RESOLVE_TIMEOUT_SECONDS:g} s") from None
    if process.returncode:
        lines = output.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise ElasticMqUnavailableError(f"Maven cannot resolve it: {lines[0]}")
    (home / "complete").touch()
