"""Run the plan of a stack until a signal asks to stop it."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial

from local.errors import LocalError
from local.outputs import Outputs
from local.plan import Plan
from local.ports import Ports, ports_from
from local.supervisor.console import Console, standard_console
from local.supervisor.lock import only_one
from local.supervisor.port_check import require_free
from local.supervisor.process_group import crew
from local.supervisor.welcome import welcome

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
KILLED = 2
"""So many signals, and the processes are killed."""


def main(environ: Mapping[str, str], planned: Callable[[Ports, Mapping[str, str]], Plan] = Plan) -> int:
    """Run the stack that `planned` makes of the ports and the shell's environment; gives the exit status."""
    console = standard_console()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        plan = planned(ports_from(environ), environ)
        with only_one(plan.state / "lock", plan.ports.base):
            require_free(plan.ports)
            return asyncio.run(until_stopped(plan, console))
    except LocalError as error:  # bad settings, a taken port, a stack that runs already
        console.complain(str(error))
        return 2
    except KeyboardInterrupt:
        return 0  # before anything was started
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # everything is stopped; no traceback of the interpreter's own end
        _forget_closed_output(console)


async def until_stopped(plan: Plan, console: Console) -> int:
    """Run the stack until a signal asks to stop it (a second one kills it) or something goes wrong."""
    running = asyncio.create_task(run(plan, console), name="stack")
    loop = asyncio.get_running_loop()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, _stop, running, console)
    console.on_gone = partial(_cancel, running)
    try:
        await running
    except asyncio.CancelledError:
        console.say("stopped")
        return 1 if console.gone else 0
    except ExceptionGroup as group:
        console.complain(f"\n{first_reason(group)}\nEverything was stopped.")
    return 1


async def run(plan: Plan, console: Console) -> None:
    """Start everything rank by rank, say so, and watch; ends by cancellation or a group of LocalErrors."""
    started = time.monotonic()
    plan.forget_earlier_run()
    async with crew(console) as members:
        await members.muster(plan.emulators())
        await members.muster(plan.system(Outputs.read(plan.outputs_file)))
        console.say(welcome(plan.ports, plan.keys, time.monotonic() - started))
        await members.watch()


def _stop(running: asyncio.Task[None], console: Console) -> None:
    if running.cancelling() < KILLED:
        console.say("killing" if running.cancelling() else "stopping")
    _cancel(running)


def _cancel(running: asyncio.Task[None]) -> None:
    """Stop in order at first, kill the second time; the killing is not interrupted."""
    if running.cancelling() < KILLED:
        running.cancel()


def first_reason(group: ExceptionGroup[Exception]) -> LocalError:
    """What happened first, what followed being of no interest; all but a LocalError is our own bug."""
    first = group.exceptions[0]
    if isinstance(first, ExceptionGroup):
        return first_reason(first)
    if isinstance(first, LocalError):
        return first
    raise group


def _forget_closed_output(console: Console) -> None:
    """Python would fail once more at exit, flushing what nobody reads."""
    if console.gone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
