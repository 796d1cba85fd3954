"""Run the plan of a stack until a signal stops it."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial

from local.errors import LocalError
from local.handler_folder import call_on_changes
from local.kept_state import open_state
from local.outputs import Outputs
from local.plan import Plan
from local.ports import Ports, ports_from
from local.supervisor.console import Console, standard_console
from local.supervisor.lock import hold_lock
from local.supervisor.port_check import require_free
from local.supervisor.process_group import ProcessGroup, process_group
from local.supervisor.stage_recovery import StageRecovery
from local.supervisor.welcome import welcome

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
KILL_SIGNALS = 2
"""The number of signals after which the processes are killed."""


def main(environ: Mapping[str, str], make_plan: Callable[[Ports, Mapping[str, str]], Plan] = Plan) -> int:
    """Run the stack of the given environment and return the exit status."""
    console = standard_console()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        plan = make_plan(ports_from(environ), environ)
        with hold_lock(plan.state / "lock", plan.ports.base):
            require_free(plan.ports)
            return asyncio.run(run_until_stopped(plan, console))
    except LocalError as error:  # invalid settings, a port in use, a stack that is running already
        console.error(str(error))
        return 2
    except KeyboardInterrupt:
        return 0  # before anything has started
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # no traceback at exit
        _discard_closed_output(console)


async def run_until_stopped(plan: Plan, console: Console) -> int:
    """Run the stack until a signal stops it (a second one kills it) or a process fails."""
    running = asyncio.create_task(run(plan, console), name="stack")
    loop = asyncio.get_running_loop()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, _stop, running, console)
    console.on_close = partial(_cancel, running)
    try:
        await running
    except asyncio.CancelledError:
        console.info("stopped")
        return 1 if console.closed else 0
    except ExceptionGroup as group:
        console.error(f"\n{first_reason(group)}\nAll processes were stopped.")
    finally:
        for number in STOP_SIGNALS:  # asyncio would restore the default action, which changes the exit status
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)
    return 1


async def run(plan: Plan, console: Console) -> None:
    """Start all tiers, print the addresses, and keep them running; ends by cancellation or a group of LocalErrors."""
    started = time.monotonic()
    kept = open_state(plan.state)
    plan.outputs_file.unlink(missing_ok=True)
    async with process_group(console, plan.logs) as processes, asyncio.TaskGroup() as group:
        await processes.start(plan.emulators())
        outputs = Outputs.read(plan.outputs_file)
        system = plan.system(outputs)
        for program in system:
            if program.reload_folder:  # watched from before its start, so that no change is missed
                reload = partial(_reload, program.name, processes, console)
                group.create_task(call_on_changes(program.reload_folder, reload), name=f"changes of {program.name}")
        await processes.start(system)
        console.info(welcome(plan.ports, plan.keys, time.monotonic() - started, kept))
        StageRecovery(plan, outputs, processes, console).enable()
        await processes.keep_running()


def _reload(name: str, processes: ProcessGroup, console: Console, changed: str) -> None:
    console.info(f"{changed} has changed: {name} restarts")
    processes.restart(name)


def _stop(running: asyncio.Task[None], console: Console) -> None:
    if running.cancelling() < KILL_SIGNALS:
        console.info("killing" if running.cancelling() else "stopping")
    _cancel(running)


def _cancel(running: asyncio.Task[None]) -> None:
    """Stop in order the first time, kill the second time; further calls do nothing."""
    if running.cancelling() < KILL_SIGNALS:
        running.cancel()


def first_reason(group: ExceptionGroup[Exception]) -> LocalError:
    """Return the first error. Anything but a LocalError is a bug and is raised."""
    first = group.exceptions[0]
    if isinstance(first, ExceptionGroup):
        return first_reason(first)
    if isinstance(first, LocalError):
        return first
    raise group


def _discard_closed_output(console: Console) -> None:
    """Redirect a closed output, which Python would fail to flush at exit."""
    if console.closed:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
