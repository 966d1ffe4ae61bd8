"""The commands over stages, metrics, parameters and plots, which are click's, in DVC's exit codes."""

import os
import sys
from collections.abc import Iterable
from contextlib import nullcontext, redirect_stdout
from importlib import import_module
from typing import Any

import click

from perenne.core.results import Result
from perenne.protocols.dvc.command_line.grammar import NotUnderstood
from perenne.protocols.dvc.command_line.speech import VOLUME, note, say, say_json
from perenne.protocols.dvc.commands import VERBS

_MANY = ("--targets", "-x", "--plots")
"""Options that take any number of values in DVC; click wants the option again before each."""


def run_clicked(name: str, arguments: list[str]) -> int:
    """Run one of them and return its exit code.

    Raises
    ------
    NotUnderstood
        With the message and the help.
    """
    module, _, attribute = VERBS[name][0].partition(":")
    command: click.Command = getattr(import_module(module), attribute)
    VOLUME.quiet = "-q" in arguments or "--quiet" in arguments
    heard, as_json = _heard(command, arguments)
    try:
        with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere) if VOLUME.quiet else nullcontext():
            answer: Any = command.main(spread(heard), prog_name=f"dvc {name}", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        raise NotUnderstood("the following arguments are required: cmd", error.format_message()) from None
    except click.UsageError as error:
        text = error.ctx.get_help() + "\n" if error.ctx else ""
        raise NotUnderstood(error.format_message(), text) from None
    if not isinstance(answer, Result):
        return answer if isinstance(answer, int) else 0
    shown = answer.value if answer.shown is None or as_json else answer.shown
    if isinstance(shown, str) and not as_json:
        if shown:
            say(shown)
    elif shown is not None:
        say_json(shown)
    if answer.note:
        note(answer.note)
    sys.stdout.flush()
    return answer.exit_code


def _heard(command: click.Command, arguments: list[str]) -> tuple[list[str], bool]:
    """Leave out the flags that the command has not got itself; tell whether JSON was asked of one that answers so anyway."""
    inner: Any = command
    for argument in arguments:
        inner = getattr(inner, "commands", {}).get(argument, inner)
    own = {name for option in [*command.params, *inner.params] for name in option.opts}
    common = ("-q", "--quiet", "-v", "--verbose", "--json")
    heard = [argument for argument in arguments if argument in own or argument not in common]
    return heard, "--json" in arguments and "--json" not in own


def spread(arguments: Iterable[str]) -> list[str]:
    """Say an option again before each of its values.

    >>> spread(["diff", "--targets", "a", "b", "--json"])
    ['diff', '--targets', 'a', '--targets', 'b', '--json']
    """
    found: list[str] = []
    many = ""
    for argument in arguments:
        if argument.startswith("-"):
            many = argument if argument in _MANY else ""
            found += [] if many else [argument]
        else:
            found += [many, argument] if many else [argument]
    return found
