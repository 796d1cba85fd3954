"""The real supervisor with stub processes: `python -m tests.support.processes.stub_stack FOLDER PROGRAM ...`.

A PROGRAM is NAME=PORT[,SWITCH ...]. The first is an emulator, the second a one-shot bootstrap, the rest is
the system; FOLDER gets the state. One with the switch `code` is restarted when FOLDER/code/handler.py changes.
LOCAL_PORT_BASE is obeyed as by `python -m local.up`, of which everything
but the plan is the real thing.
"""

import os
import sys
from pathlib import Path

from local import stack
from local.environment import base_environment
from local.outputs import Outputs
from local.plan import Plan, Program

OUTPUTS = Outputs("queue", "dead-letter-queue", "pool", "client", "cache", "parameter")
READY_WITHIN_SECONDS = float(os.environ.get("DUMMY_READY_WITHIN_SECONDS", "20"))
STOP_WITHIN_SECONDS = float(os.environ.get("DUMMY_STOP_WITHIN_SECONDS", "10"))


def program(described: str) -> Program:
    name, _, rest = described.partition("=")
    port, *switches = rest.split(",")
    code = Path(sys.argv[1]) / "code" / "handler.py"
    one_shot = bool({"once", "fail"} & set(switches))
    return Program(
        name=name,
        module="tests.support.processes.stub_process",
        arguments=(name, port, *switches),
        environment={**base_environment(os.environ), "STUB_CODE": str(code)},
        ready_url=None if one_shot else f"http://127.0.0.1:{port}/",
        ready_within_seconds=READY_WITHIN_SECONDS,
        stop_within_seconds=STOP_WITHIN_SECONDS,
        reload_folder=code.parent if "code" in switches else None,
    )


class DummyPlan(Plan):
    """A plan of stub processes, described on the command line."""

    def emulators(self) -> list[Program]:
        if not self.outputs_file.exists():
            OUTPUTS.write(self.outputs_file)
        return [program(text) for text in sys.argv[2:4]]

    def system(self, outputs: Outputs) -> list[Program]:
        return [program(text) for text in sys.argv[4:]]


if __name__ == "__main__":
    sys.exit(stack.main(os.environ, lambda ports, shell: DummyPlan(ports, shell, Path(sys.argv[1]))))
