"""`perenne dvc …`: what was typed becomes a command of DVC's."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from perenne.core.errors import PerenneError
from perenne.protocols.dvc.command_line import speech
from perenne.protocols.dvc.command_line.commands import ALIASES, COMMANDS, LEFT_OUT, STAGE_COMMANDS
from perenne.protocols.dvc.command_line.grammar import NOT_UNDERSTOOD, NotUnderstood, Options, Parser, Run, parse
from perenne.protocols.dvc.command_line.refusals import BROKEN_PIPE, INTERRUPTED, REFUSED, exit_code, words

SPEAKS = "3.67.1"
"""The version of DVC whose files, answers and exit codes these are."""


def run(arguments: Sequence[str]) -> int:
    """Run a command of DVC's and return its exit code."""
    here = os.getcwd()
    try:
        return _run(list(arguments))
    except NotUnderstood as error:
        message, text = error.args
        speech.fail(message)
        sys.stdout.write(text)
        return NOT_UNDERSTOOD
    except KeyboardInterrupt:
        speech.fail("interrupted by the user")
        return INTERRUPTED
    except SystemExit as ended:  # --help, --version
        return int(ended.code or 0)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except Exception as error:
        if os.environ.get("PERENNE_DEBUG"):
            raise
        speech.fail(f"unexpected error - {type(error).__name__}: {error}. PERENNE_DEBUG=1 shows where")
        return REFUSED
    finally:
        os.chdir(here)


def _run(arguments: list[str]) -> int:
    options, rest = _before(arguments)
    if rest[:1] and rest[0] in LEFT_OUT:
        speech.fail(f"dvc {rest[0]} is not here: {LEFT_OUT[rest[0]]}")
        return 1
    if rest[:1] and rest[0] in STAGE_COMMANDS:
        return _of_stages(options, rest)
    name, rest = _named(rest)
    command = _command(name)
    options = parse(name, command, rest, options)
    speech.VOLUME.quiet, speech.VOLUME.verbose = options.quiet, options.verbose
    last: str | None = command.last  # type: ignore[attr-defined]
    caught = None if last is None else last.format(**vars(options))
    try:
        os.chdir(options.cd)
        return command(options)
    except PerenneError as error:
        speech.fail(words(error, caught))
        return exit_code(error, caught=caught is not None)
    except OSError as error:
        speech.fail(f"{caught} - {error}" if caught else f"unexpected error - {error}")
        return 1 if caught is not None else 255


def _of_stages(options: Options, rest: list[str]) -> int:
    from perenne.protocols.dvc.command_line.clicked import run_clicked

    try:
        os.chdir(options.cd)
        return run_clicked(rest[0], [*(["-q"] if options.quiet else []), *rest[1:]])
    except PerenneError as error:
        speech.fail(words(error, None))
        return exit_code(error, caught=rest[0] in ("metrics", "params", "plots"))


def _before(arguments: list[str]) -> tuple[Options, list[str]]:
    """Read what stands in front of the command's name."""
    parser = Parser(prog="dvc", add_help=False, usage="dvc [-q | -v] [-h] [-V] [--cd <path>] [--wait-for-lock] command ...")
    volume = parser.add_mutually_exclusive_group()
    volume.add_argument("-q", "--quiet", action="store_true")
    volume.add_argument("-v", "--verbose", action="count", default=0)
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("-V", "--version", action="version", version=SPEAKS)
    parser.add_argument("--cd", default=".", metavar="<path>")
    parser.add_argument("--wait-for-lock", action="store_true")
    parser.add_argument("rest", nargs=argparse.REMAINDER)
    options = parser.parse_args(arguments)
    if options.help:
        sys.stdout.write(_help())
        raise SystemExit(0)
    return options, options.rest


def _named(rest: list[str]) -> tuple[str, list[str]]:
    if not rest:
        raise NotUnderstood("the following arguments are required: command", _help())
    name = ALIASES.get(rest[0], rest[0])
    if any(known.startswith(f"{name} ") for known in COMMANDS):
        inner = [known.split(" ", 1)[1] for known in COMMANDS if known.startswith(f"{name} ")]
        if len(rest) < 2 or rest[1] not in inner:
            wrong = f"invalid choice: '{rest[1]}' (choose from {', '.join(map(repr, inner))})" if rest[1:] else "is required"
            asked = rest[1:2] in (["-h"], ["--help"])
            text = f"usage: dvc {name} [-h] {{{','.join(inner)}}} ...\n"
            if asked:
                sys.stdout.write(text)
                raise SystemExit(0)
            raise NotUnderstood(f"argument cmd: {wrong}", text)
        return f"{name} {rest[1]}", rest[2:]
    if name not in COMMANDS:
        known = ", ".join(dict.fromkeys(repr(known.partition(" ")[0]) for known in sorted([*COMMANDS, *STAGE_COMMANDS])))
        raise NotUnderstood(f"argument command: invalid choice: '{name}' (choose from {known})", _help())
    return name, rest[1:]


def _command(name: str) -> Run:
    module, _, attribute = COMMANDS[name][0].partition(":")
    command: Run = getattr(import_module(module), attribute)
    return command


def _help() -> str:
    across = max(map(len, COMMANDS))
    every = {name: says for name, (_, says) in COMMANDS.items()} | STAGE_COMMANDS
    lines = [f"  {name.ljust(across)}  {says}" for name, says in sorted(every.items())]
    head = "usage: dvc [-q | -v] [-h] [-V] [--cd <path>] [--wait-for-lock] command ...\n\nDVC's command line, by perenne\n\n"
    return head + "\n".join(lines) + "\n"
