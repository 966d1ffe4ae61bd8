"""What to say to somebody who mistyped: the command, option or name that may have been meant, and where the help is."""

import contextlib
import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

import click

from perenne.core.errors import NotFound, PerenneError

_NO_COMMAND = re.compile(r"No such command '([^']*)'")
_NO_OPTION = re.compile(r"No such option:? '?(-[\w-]*)")
_NOUNS = {
    "model.not_found": ("model", "version"),
    "deployment.not_found": ("deployment",),
    "release.not_found": ("deployment",),
    "monitor.not_found": ("deployment",),
    "project.not_found": ("project",),
    "data.snapshot_not_found": ("snapshot", "dataset"),
    "open.not_found": ("model", "version", "deployment", "project", "dataset"),
}
"""Which names could have been meant where one was not found."""


class Mistyped(PerenneError):
    """The command line cannot be understood."""

    exit_code = 2


def said_as_ours(error: click.ClickException) -> Mistyped:
    """Say a mistake in the command line the way every error is said, with a hint."""
    message = getattr(error, "message", "") if isinstance(error, click.NoSuchOption) else ""
    message = message or error.format_message()
    hints = [*_meant(error), _where(error)]
    return Mistyped(message.partition(" (Did you mean")[0].partition(" Did you mean")[0], code="usage", hint=" ".join(hints))


def _where(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "perenne"
    return f"`{path} --help` shows how"


def _meant(error: click.ClickException) -> Iterable[str]:
    context = getattr(error, "ctx", None)
    if context is None:
        return
    said = error.format_message()
    if found := _NO_COMMAND.search(said):
        known = context.command.list_commands(context) if isinstance(context.command, click.Group) else []
        yield from did_you_mean(found[1], known, f"{context.command_path} ")
    elif found := _NO_OPTION.search(said):
        known = [name for parameter in context.command.get_params(context) for name in parameter.opts]
        yield from did_you_mean(found[1], known)


def did_you_mean(said: str, known: Sequence[str], before: str = "") -> list[str]:
    """Return a question with the likeliest names, none if none is like what was said.

    >>> did_you_mean("statu", ["status", "stop"])
    ['did you mean `status`?']
    """
    close = get_close_matches(said, known, n=3, cutoff=0.6)
    return [f"did you mean {' or '.join(f'`{before}{name}`' for name in close)}?"] if close else []


def with_similar_names(error: PerenneError, arguments: Sequence[str]) -> PerenneError:
    """Add to the hint of what was not found the names that are like what was typed; the error is the same one."""
    nouns = _NOUNS.get(error.code, ()) if isinstance(error, NotFound) else ()
    typed = [argument for argument in arguments if not argument.startswith("-") and argument in error.message]
    if not nouns or not typed:
        return error
    with contextlib.suppress(Exception):  # the first mistake is what counts
        from perenne.cli.names import names_of

        known = [name for noun in nouns for name in names_of(noun)]
        error.hint = " ".join([*did_you_mean(typed[-1], known), *([error.hint] if error.hint else [])])
    return error
