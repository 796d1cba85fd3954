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
