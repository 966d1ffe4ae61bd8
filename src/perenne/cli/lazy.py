"""A group that knows its commands by name and imports the module of the one that is called."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import click


class LazyGroup(click.Group):
    """A group of commands that lie in other modules.

    Parameters
    ----------
    table : mapping
        By name: where a command is (`module:attribute`), and what it does in a line.
    sections : mapping
        Which commands stand together in the help, in order.
    """

    def __init__(
        self, *args: Any, table: Mapping[str, tuple[str, str]], sections: Mapping[str, Sequence[str]], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.table = table
        self.sections = sections

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands in the order of the sections."""
        return [name for names in self.sections.values() for name in names]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command; None if there is none of that name."""
        if cmd_name not in self.table:
            return None
        module, _, attribute = self.table[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        if ctx.resilient_parsing:  # a shell asks how to go on
            from perenne.cli.completion import complete_names

            ctx.meta["perenne.complete"] = complete_names
            complete_names(command, cmd_name if ctx.parent is None else self.name or cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands by section, without importing them."""
        across = max(map(len, self.table))
        for section, names in self.sections.items():
            with formatter.section(section):
                formatter.write_dl([(name.ljust(across), self.table[name][1]) for name in names])
