"""Ctrl-C while a command still imports its parts."""

import signal
import subprocess
import sys

import pytest

from local.plan import ROOT


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("local.demo", "local.demo.run"),
        ("local.forward", "local.forward.relay"),
        ("local.momento", "local.momento.server"),
        ("services.processor.dead_letters", "services.common.aws.task_queue"),
    ],
)
def test_ctrl_c_during_the_imports_prints_nothing(module: str, imported: str) -> None:
    program = (
        "import os, runpy, signal, sys\n"
        "class Interrupts:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {imported!r}: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupts())\n"
        f"runpy.run_module({module!r}, run_name='__main__')\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert (ended.returncode, ended.stdout, ended.stderr) == (-signal.SIGINT, "", "")
