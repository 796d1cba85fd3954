"""Finding handlers by name."""

from pathlib import Path

import pytest

from services.common.settings import SettingsError
from services.processor.handlers.loader import find_handlers


@pytest.mark.parametrize(
    ("source", "name", "sentence"),
    [
        (None, "no_such_module:handle", "no_such_module cannot be imported: No module named 'no_such_module'"),
        ("", "handlers:handle", "handlers has no function handle"),
        ("handle = 5", "handlers:handle", "handlers has no function handle"),
        ("def handle(): ...", "handlers:handle", "handlers:handle must take one argument, the task"),
        ("def handle(a, b): ...", "handlers:handle", "handlers:handle must take one argument, the task"),
        ("def handle(*, task): ...", "handlers:handle", "handlers:handle must take one argument, the task"),
        ("import nothing_like_it", "handlers:handle", "handlers cannot be imported: No module named 'nothing_like_it'"),
        ("def handle(:", "handlers:handle", "handlers cannot be imported: SyntaxError"),
        ("import os; os.environ['NOT_SET']", "handlers:handle", "handlers cannot be imported: KeyError: 'NOT_SET'"),
        ("raise SystemExit", "handlers:handle", "handlers cannot be imported: SystemExit"),
        (
            "from notification_api import Handlers; handle = Handlers()",
            "handlers:handle",
            "handlers:handle has no handler: register at least one with @handle.register()",
        ),
        (
            "from notification_api import Handlers; Handlers().register(max_attempts=0)",
            "handlers:handle",
            "handlers cannot be imported: ValueError: max_attempts must be a whole number, from 1 to 100, not 0",
        ),
        (
            "class handle:\n  def __init__(self, needed): ...\n  async def __call__(self, task): ...",
            "handlers:handle",
            "handlers:handle must be instantiable without arguments",
        ),
    ],
)
def test_a_handler_that_cannot_be_used_is_refused_in_one_sentence(
    source: str | None, name: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, _, function = name.partition(":")
    if source is not None:
        module = f"handlers_{abs(hash((source, tmp_path)))}"
        (tmp_path / f"{module}.py").write_text(source)
        monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SettingsError) as refused:
        find_handlers(f"{module}:{function}")
    assert sentence.replace("handlers", module) in refused.value.problems["TASK_HANDLER"][0]


def test_a_function_with_more_arguments_that_have_defaults_is_fine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "with_defaults.py").write_text("def handle(task, verbose=False): ...")
    monkeypatch.syspath_prepend(tmp_path)
    assert list(find_handlers("with_defaults:handle")) == ["default"]


def test_a_registry_is_found_with_all_its_types(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "several_types.py").write_text(
        "from notification_api import Handlers\n"
        "handlers = Handlers()\n"
        "@handlers.register()\n"
        "@handlers.register('report')\n"
        "def handle(task): ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert set(find_handlers("several_types:handlers")) == {"default", "report"}


def test_a_class_can_be_the_handler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "with_class.py").write_text("class Handler:\n    async def __call__(self, task): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    handlers = find_handlers("with_class:Handler")
    assert list(handlers) == ["default"]
    assert handlers["default"].is_asynchronous
