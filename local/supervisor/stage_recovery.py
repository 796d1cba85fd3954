"""What follows the restart of an emulator: the stage in it is created again, where it was lost."""

from dataclasses import dataclass
from functools import partial

from local.outputs import Outputs
from local.plan import Plan
from local.supervisor.console import Console
from local.supervisor.process_group import ProcessGroup


@dataclass
class StageRecovery:
    """Runs the bootstrap again after the restart of an emulator.

    The bootstrap creates what the emulator has lost. If that has other names then, such as a user pool with another id,
    the services and the page restart with these.
    """

    plan: Plan
    outputs: Outputs
    processes: ProcessGroup
    console: Console

    def enable(self) -> None:
        """Follow the restarts from now on."""
        emulators = [program.name for program in self.plan.emulators() if program.ready_url]
        bootstraps = [program.name for program in self.plan.emulators() if not program.ready_url]
        for bootstrap in bootstraps:
            self.processes.on_restarted(bootstrap, self._use_outputs)
            for emulator in emulators:
                self.processes.on_restarted(emulator, partial(self.processes.restart, bootstrap))

    def _use_outputs(self) -> None:
        outputs = Outputs.read(self.plan.outputs_file)
        if outputs == self.outputs:
            return
        self.outputs = outputs
        self.console.error("The emulated AWS has lost its state: users and queued tasks are gone. Sign up again.")
        for program in self.plan.system(outputs):
            self.processes.restart(program.name, program)
