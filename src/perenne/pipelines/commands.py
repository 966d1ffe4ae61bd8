"""`perenne pipeline …`: a group that knows its commands by name and imports the module of the one that is called.

`run` stands at the edge, because it speaks DVC's formats; it answers without the database when nothing changed.
"""

from importlib import import_module

import click

VERBS = {
    "run": ("perenne.cli.stages:run", "Bring the stages of dvc.yaml up to date."),
    "list": ("perenne.pipelines.run_commands:list_", "List runs, newest first."),
    "show": ("perenne.pipelines.run_commands:show", "Show the steps of a run: what ran, what was there already, what failed."),
    "explain": ("perenne.pipelines.run_commands:explain", "Say which part of a step's key changed since the run before."),
}
"""Every command: where it is, and what it does in a line."""


class Verbs(click.Group):
    """The group itself."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command; None if there is none of that name."""
        if cmd_name not in VERBS:
            return None
        module, _, attribute = VERBS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        if complete := ctx.meta.get("perenne.complete"):  # a shell asks how to go on
            complete(command, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, words) for name, (_, words) in VERBS.items()])


@click.group(cls=Verbs)
def pipeline() -> None:
    """Runs of pipelines, step by step; the stages of a dvc.yaml."""
