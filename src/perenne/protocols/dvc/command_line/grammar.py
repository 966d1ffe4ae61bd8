"""Options as DVC has them. What it does not know ends with the command's help and exit code 254."""

import argparse
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

Options = argparse.Namespace
Run = Callable[[Options], int]
Argument = tuple[tuple[str, ...], dict[str, Any]]

NOT_UNDERSTOOD = 254


class NotUnderstood(Exception):
    """What was typed is no command of DVC's; the message and the help have been shown, or are shown by who catches it."""


def flag(*names: str, says: str = "", **more: Any) -> Argument:
    """Return an option without a value."""
    return names, {"action": "store_true", "help": says, **more}


def value(*names: str, says: str = "", **more: Any) -> Argument:
    """Return an option with a value."""
    return names, {"help": says, **more}


def word(name: str, says: str = "", **more: Any) -> Argument:
    """Return an argument that stands by its place."""
    return (name,), {"help": says, **more}


def pairs(*names: str, says: str = "") -> Argument:
    """Return an option with any number of values ``name=value``."""
    return names, {"help": says, "nargs": "*", "action": Pairs, "metavar": "<name>=<value>"}


class Pairs(argparse.Action):
    """Collects ``name=value`` into a dictionary."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: Options, values: Any, option: str | None = None) -> None:
        """Take the values."""
        found = dict(getattr(namespace, self.dest) or {})
        for item in values:
            name, equals, text = item.partition("=")
            if not name or not equals:
                raise argparse.ArgumentError(self, f'Could not parse argument "{item}" as k1=v1 k2=v2 ... format')
            found[name] = text
        setattr(namespace, self.dest, found)


def command(says: str, *arguments: Argument, last: str | None = None) -> Callable[[Run], Run]:
    """Say of a function which arguments its command takes.

    Parameters
    ----------
    says : str
        The first line of its help.
    arguments : tuple
        What `flag`, `value`, `word` and `pairs` return.
    last : str, optional
        The prefix with which DVC reports a failure of this command, which then ends with exit code 1 instead of 255.
    """

    def taken(run: Run) -> Run:
        run.says, run.arguments, run.last = says, arguments, last  # type: ignore[attr-defined]
        return run

    return taken


class Parser(argparse.ArgumentParser):
    """A parser that leaves messages and exit codes to its caller."""

    def error(self, message: str) -> NoReturn:
        """Refuse."""
        raise NotUnderstood(message, self.format_help())


def parser_of(name: str, run: Run) -> Parser:
    """Return the parser of one command."""
    parser = Parser(prog=f"dvc {name}", description=run.says)  # type: ignore[attr-defined]
    volume = parser.add_mutually_exclusive_group()
    volume.add_argument("-q", "--quiet", action="store_true", default=argparse.SUPPRESS, help="Say nothing.")
    volume.add_argument("-v", "--verbose", action="count", default=argparse.SUPPRESS, help="Say more.")
    for names, more in run.arguments:  # type: ignore[attr-defined]
        parser.add_argument(*names, **more)
    return parser


def parse(name: str, run: Run, arguments: Sequence[str], before: Options) -> Options:
    """Read the arguments of a command; `before` holds what stood in front of its name.

    Raises
    ------
    NotUnderstood
        With the message and the help.
    """
    return parser_of(name, run).parse_args(list(arguments), before)


LEVELS = (
    flag("--global", says="In the user's config.", action="store_const", dest="level", const="global"),
    flag("--system", says="In the machine's config.", action="store_const", dest="level", const="system"),
    flag("--project", says="In .dvc/config.", action="store_const", dest="level", const="repo"),
    flag("--local", says="In .dvc/config.local, which Git does not see.", action="store_const", dest="level", const="local"),
)
"""Which of the four config files is meant."""

TARGETS = word("targets", "Files, folders, .dvc files or stages; everything if none is given.", nargs="*")
JOBS = value("-j", "--jobs", says="How many at a time.", type=int, metavar="<number>")
REMOTE = value("-r", "--remote", says="The remote's name.", metavar="<name>")
REVISIONS = (
    flag("-a", "--all-branches", says="All branches."),
    flag("-T", "--all-tags", says="All tags."),
    flag("-A", "--all-commits", says="All commits."),
)
WITH_DEPS = flag("-d", "--with-deps", says="The stages that the targets come from too.")
RECURSIVE = flag("-R", "--recursive", says="The folders below too.")
FORCE = flag("-f", "--force", says="Without asking.")
ELSEWHERE = (
    value("--config", says="A config to put over that of the repository."),
    value("--remote", says="The remote of the repository to take.", metavar="<name>"),
    pairs("--remote-config", says="Options of that remote."),
)
