"""The reader of the tutorials notices a page that is wrong."""

import os
import re
from pathlib import Path

import pytest

from tests.support.docs.tutorial import Block, Reader, sections_of

PAGE = """# Title

```sh
not in a section
```

## 1. First

```python title="../my-app/a.py"
print(8080)
```

## 2. Second

```sh
cat ../my-app/a.py
```

```text title="It prints"
print(…)
```
"""


def test_commands_and_files_are_done_in_order_on_free_ports(reader: Reader) -> None:
    for blocks in sections_of(PAGE).values():
        reader.follow(blocks)
    written = (reader.clone.parent / "my-app/a.py").read_text()
    assert re.fullmatch(r"print\(\d+\)\n", written)
    assert written != "print(8080)\n"


@pytest.mark.parametrize(
    "blocks",
    [
        [Block("sh", None, "false\n")],
        [Block("sh", None, "false | true\n")],
        [Block("sh", None, "echo one\n"), Block("text", "It prints", "two\n")],
        [Block("sh", "Terminal 1", "echo no address; exit 1\n")],
        [Block("python", None, "a file without a name\n")],
    ],
    ids=["command", "pipe", "output", "terminal", "file"],
)
def test_a_page_that_is_wrong_is_noticed(reader: Reader, blocks: list[Block]) -> None:
    with pytest.raises(AssertionError):
        reader.follow(blocks)


def test_a_terminal_is_closed_with_its_processes(reader: Reader, tmp_path: Path) -> None:
    with reader:
        reader.follow([Block("sh", "Terminal 1", "echo $$ > ../pid; echo http://localhost:8080; sleep 600\n")])
    with pytest.raises(ProcessLookupError):
        os.killpg(int((tmp_path / "pid").read_text()), 0)
