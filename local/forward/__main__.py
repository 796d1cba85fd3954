"""`python -m local.forward STAGE`: reach a stage of the cluster that KUBECONFIG names; Ctrl-C ends it.

NAMESPACE narrows the search, LOCAL_PORT_BASE moves the ports. Exit status: 0 stopped when asked to, 1 it went wrong,
2 it cannot start as asked.
"""

import signal

if __name__ == "__main__":
    # During the imports Ctrl-C ends the process: Python would print where they were interrupted.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import asyncio
import contextlib
import os
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any

from local.forward.endpoints import Endpoints
from local.forward.errors import ForwardError
from local.forward.kubectl import get
from local.forward.relay import Relay, listening
from local.forward.targets import Target, emulators_namespace, find_targets, is_emulators
from local.ports import BadPortBaseError, Ports, ports_from


async def forward(stage: str, namespace: str, ports: Ports | None) -> None:
    """Forward until cancelled. Raises ForwardError before it begins."""
    found = find_targets(await services_of(stage, namespace), stage, ports)
    endpoints = {name: Endpoints(name) for name in {target.namespace for target in found.targets}}
    relays = [Relay(target, endpoints[target.namespace], say) for target in found.targets]
    async with AsyncExitStack() as stack:
        for relay in list(relays):
            try:
                await stack.enter_async_context(listening(relay))
            except ForwardError as error:
                if not relay.target.is_extra:
                    raise
                relays.remove(relay)
                say(f"Left out: {relay.target.what}. {error}")
        group = await stack.enter_async_context(asyncio.TaskGroup())
        for job in [*(each.watch() for each in endpoints.values()), *(relay.run() for relay in relays)]:
            group.create_task(job)
        for relay in relays:
            await announce(relay)
        for reason in found.left_out:
            say(f"Left out: {reason}")
        say("Ctrl-C ends it.")


async def services_of(stage: str, namespace: str) -> list[Mapping[str, Any]]:
    """All Services of the cluster, or those of one namespace and the emulators that the stage has in another one."""
    if not namespace:
        return list((await get("services", "-A"))["items"])
    listed = list((await get("services", "-n", namespace))["items"])
    there = emulators_namespace(listed, stage)
    if there not in ("", namespace):
        with contextlib.suppress(ForwardError):  # where they may not be listed, the stage is forwarded without them
            listed += filter(is_emulators, (await get("services", "-n", there))["items"])
    return listed


async def announce(relay: Relay) -> None:
    """Say where it is, and whether it has to be waited for."""
    target = relay.target
    try:
        async with asyncio.timeout(5):
            await relay.usable()
        state = ""
    except TimeoutError:
        state = f"  (not yet: {relay.complaint or 'no pod is ready'})"
    say(f"{target.what:26} {address(target)}{state}")


def address(target: Target) -> str:
    return f"http://localhost:{target.local_port}{target.path}"


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def until_stopped(stage: str, namespace: str, ports: Ports | None) -> None:
    running = asyncio.ensure_future(forward(stage, namespace, ports))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    try:
        await running
    except asyncio.CancelledError:
        say("stopped")


def main(arguments: list[str], environ: Mapping[str, str]) -> int:
    stage = arguments[0] if arguments else ""
    if not stage or len(arguments) > 1:
        sys.stderr.write("Say which stage: make forward STAGE=dev\n")
        return 2
    try:
        ports = ports_from(environ) if environ.get("LOCAL_PORT_BASE", "").strip() else None
        asyncio.run(until_stopped(stage, environ.get("NAMESPACE", ""), ports))
    except (ForwardError, BadPortBaseError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main(sys.argv[1:], os.environ))
