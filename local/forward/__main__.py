"""`python -m local.forward STAGE`: forward a stage of the cluster of KUBECONFIG until Ctrl-C.

NAMESPACE narrows the search, LOCAL_PORT_BASE moves the ports. Exit status: 0 stopped by a signal, 1 an unexpected
error, 2 nothing can be forwarded.
"""

import signal

if __name__ == "__main__":
    # During the imports Ctrl-C ends the process at once: Python would print a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import asyncio
import contextlib
import os
import sys
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any

from local.forward.endpoints import Endpoints
from local.forward.kubectl import ForwardError, get
from local.forward.one_origin import one_origin
from local.forward.relay import Relay, listen
from local.forward.targets import PAGE, Target, emulators_namespace, find_targets, is_emulators
from local.page.api import SERVICES
from local.ports import InvalidPortBaseError, Ports, ports_from


async def forward(stage: str, namespace: str, ports: Ports | None) -> None:
    """Forward until cancelled.

    :raises ForwardError: when nothing can be forwarded.
    """
    found = find_targets(await services_of(stage, namespace), stage, ports)
    endpoints = {name: Endpoints(name) for name in {target.namespace for target in found.targets}}
    relays = [Relay(target, endpoints[target.namespace], info) for target in found.targets]
    api_urls = {
        target.what: f"http://127.0.0.1:{target.local_port}" for target in found.targets if target.what in SERVICES
    }
    async with AsyncExitStack() as stack:
        for relay in list(relays):
            try:
                await stack.enter_async_context(serving(relay, api_urls))
            except ForwardError as error:
                if not relay.target.is_extra:
                    raise
                relays.remove(relay)
                info(f"Left out: {relay.target.what}. {error}")
        group = await stack.enter_async_context(asyncio.TaskGroup())
        for work in [*(each.watch() for each in endpoints.values()), *(relay.run() for relay in relays)]:
            group.create_task(work)
        for relay in relays:
            await announce(relay)
        for reason in found.left_out:
            info(f"Left out: {reason}")
        info("Stop with Ctrl-C.")


def serving(relay: Relay, api_urls: Mapping[str, str]) -> AbstractAsyncContextManager[object]:
    """Return the context in which the port of the relay's target is served."""
    return one_origin(relay, api_urls) if relay.target.port_name == PAGE else listen(relay)


async def services_of(stage: str, namespace: str) -> list[Mapping[str, Any]]:
    """Return all Services of the cluster, or those of one namespace and the stage's emulators in another one."""
    if not namespace:
        return list((await get("services", "-A"))["items"])
    listed = list((await get("services", "-n", namespace))["items"])
    other = emulators_namespace(listed, stage)
    if other not in ("", namespace):
        with contextlib.suppress(ForwardError):  # without permission to list them, the stage is forwarded without them
            listed += filter(is_emulators, (await get("services", "-n", other))["items"])
    return listed


async def announce(relay: Relay) -> None:
    """Print the address, and the reason if it is not available yet."""
    target = relay.target
    try:
        async with asyncio.timeout(5):
            await relay.wait_for_tunnel()
        state = ""
    except TimeoutError:
        state = f"  (not available yet: {relay.problem or 'no pod is ready'})"
    info(f"{target.what:26} {address(target)}{state}")


def address(target: Target) -> str:
    return f"http://localhost:{target.local_port}{target.path}"


def info(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def forward_until_stopped(stage: str, namespace: str, ports: Ports | None) -> None:
    running = asyncio.ensure_future(forward(stage, namespace, ports))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    try:
        await running
    except asyncio.CancelledError:
        info("stopped")


def main(arguments: list[str], environ: Mapping[str, str]) -> int:
    stage = arguments[0] if arguments else ""
    if not stage or len(arguments) > 1:
        sys.stderr.write("Name the stage: make forward STAGE=dev\n")
        return 2
    try:
        ports = ports_from(environ) if environ.get("LOCAL_PORT_BASE", "").strip() else None
        asyncio.run(forward_until_stopped(stage, environ.get("NAMESPACE", ""), ports))
    except (ForwardError, InvalidPortBaseError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main(sys.argv[1:], os.environ))
