"""Manage the dead-letter queue: ``python -m services.processor.dead_letters list|show|redrive|purge``.

Exit status: 0 done; 1 something failed, or a queue cannot be used; 2 invalid command line; 3 a given message was not
found; 130 interrupted by SIGINT or SIGTERM (the messages that were read become visible again).
"""

import signal

if __name__ == "__main__":
    # During the imports Ctrl-C ends the process: Python would print where they were interrupted.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import argparse
import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Sequence

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from environs import ValidationError

from notification_api import TransientError
from services.common.aws.clients import sqs_client
from services.common.aws.task_queue import TaskQueue
from services.common.setting_checks import check_http_url
from services.common.setting_numbers import argument, parse_decimal, parse_whole
from services.common.settings import SettingsError
from services.processor.dead_letters import commands as commands
from services.processor.dead_letters.commands import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    MAX_HIDDEN,
    SELECT_LIMIT,
    CommandContext,
)
from services.processor.dead_letters.reader import WAIT_SECONDS

LIST_LIMIT = 100

_LIMIT_TEXT = f"most messages to read ({LIST_LIMIT} for list, {SELECT_LIMIT} with ids and for show)"

Command = Callable[[CommandContext, argparse.Namespace], Awaitable[int]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status."""
    try:
        status = asyncio.run(_until_stopped(arguments))
    except (KeyboardInterrupt, asyncio.CancelledError):
        status = EXIT_INTERRUPTED
    if status == EXIT_INTERRUPTED:
        sys.stderr.write("Interrupted. The messages that were read are visible again.\n")
    return status


async def _until_stopped(arguments: Sequence[str] | None) -> int:
    command = asyncio.current_task()
    assert command is not None  # noqa: S101 — it runs in one
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, command.cancel)  # asyncio does the same for SIGINT
    return await run_command(arguments)


async def run_command(arguments: Sequence[str] | None = None) -> int:
    """Run one command in this event loop; return the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    _check(parser, options)
    try:
        return await _run(options)
    except (TransientError, BotoCoreError) as error:
        sys.stderr.write(_sentence(error, options) + "\n")
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
    return EXIT_FAILED


async def _run(options: argparse.Namespace) -> int:
    async with sqs_client(wait_seconds=WAIT_SECONDS) as client:
        task_queue = TaskQueue(client, options.task_queue_url) if options.task_queue_url else None
        context = CommandContext(client, TaskQueue(client, options.dead_letter_queue_url), task_queue)
        run: Command = options.run
        return await run(context, options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m services.processor.dead_letters",
        description="List, show, redrive or delete the tasks in the dead-letter queue.",
        epilog=(__doc__ or "").partition("\n\n")[2],
    )
    subparsers = parser.add_subparsers(required=True, metavar="list|show|redrive|purge")
    _add(subparsers, "list", commands.list_dead_letters, "list messages and count their reasons", LIST_LIMIT)
    one = _add(subparsers, "show", commands.show, "show one message, payload included")
    one.add_argument("ids", nargs=1, metavar="ID", help="message id or task id")
    several = _add(subparsers, "redrive", commands.redrive, "redrive messages to the task queue")
    _add_selection(several, "redrive; without this --all is a dry run")
    several.add_argument(
        "--per-second",
        type=argument(parse_decimal, most=10_000),
        default=50.0,
        help="most messages a second; 0: no limit (50)",
    )
    several.add_argument(
        "--no-move-task", action="store_true", help="move messages one by one, also if SQS could move all"
    )
    several = _add(subparsers, "purge", commands.purge, "delete messages permanently")
    _add_selection(several, "delete; without this it is a dry run")
    return parser


def _add(
    subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    run: Command,
    text: str,
    limit: int | None = None,
) -> argparse.ArgumentParser:
    parser = subparsers.add_parser(name, help=text, description=text)
    parser.set_defaults(run=run, name=name, ids=[], all=False)
    for option, variable in (("dead-letter-queue-url", "DEAD_LETTER_QUEUE_URL"), ("task-queue-url", "TASK_QUEUE_URL")):
        parser.add_argument(f"--{option}", default=os.environ.get(variable), help=f"default: {variable}")
    parser.add_argument("--limit", type=argument(parse_whole, 1, MAX_HIDDEN), default=limit, help=_LIMIT_TEXT)
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _add_selection(parser: argparse.ArgumentParser, yes: str) -> None:
    parser.add_argument("ids", nargs="*", metavar="ID", help="message ids or task ids")
    parser.add_argument("--all", action="store_true", help="all messages, up to --limit")
    parser.add_argument("--yes", action="store_true", help=yes)


def _check(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    if options.name in {"redrive", "purge"} and bool(options.ids) == options.all:
        parser.error("give message ids, or --all")
    needed = ["dead_letter_queue_url", *(["task_queue_url"] if options.name == "redrive" else [])]
    for name in needed:
        try:
            check_http_url(getattr(options, name) or "")
        except ValidationError as error:
            parser.error(f"set {name.upper()} or --{name.replace('_', '-')}: it {error}")


def _sentence(error: Exception, options: argparse.Namespace) -> str:
    """Return one sentence that says what is wrong and what to check."""
    cause = error.__cause__ if isinstance(error.__cause__, ClientError) else None
    code = str(cause.response.get("Error", {}).get("Code", "")) if cause else ""
    if "NonExistentQueue" in code or "QueueDoesNotExist" in code:
        urls = " or ".join(url for url in (options.dead_letter_queue_url, options.task_queue_url) if url)
        return f"The queue does not exist: check {urls}."
    if "AccessDenied" in code or "Signature" in code or "Token" in code:
        return f"AWS refuses this ({code}): check the credentials and their permissions on the queues."
    if isinstance(error, NoCredentialsError):
        return f"AWS cannot be called: {error}."
    return f"The queue cannot be used: {error}."


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main())
