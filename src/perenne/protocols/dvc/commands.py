"""`perenne dvc …`: DVC's own command line, on our own verbs. A command is imported when it is called."""

from importlib import import_module

import click

VERBS = {
    "repro": ("perenne.protocols.dvc.stage_commands:repro", "Bring stages up to date."),
    "status": ("perenne.protocols.dvc.stage_commands:status", "What changed since stages ran and data was added."),
    "dag": ("perenne.protocols.dvc.stage_commands:dag", "Which stage takes what another makes."),
    "stage": ("perenne.protocols.dvc.stage_commands:stage", "Add stages, and list them."),
    "freeze": ("perenne.protocols.dvc.stage_commands:freeze", "Keep stages from running for what they need."),
    "unfreeze": ("perenne.protocols.dvc.stage_commands:unfreeze", "Let frozen stages run again."),
    "params": ("perenne.protocols.dvc.report_commands:params", "Parameters between revisions."),
    "metrics": ("perenne.protocols.dvc.report_commands:metrics", "Metrics, and what differs between revisions."),
    "plots": ("perenne.protocols.dvc.report_commands:plots", "Plots as a page of HTML."),
    "exp": ("perenne.protocols.dvc.report_commands:exp", "Not here: runs are tracked."),
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
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, words) for name, (_, words) in VERBS.items()])


@click.group(cls=Verbs)
def dvc() -> None:
    """DVC's commands, as DVC has them: messages, answers in JSON, exit codes.

    \b
    Examples:
      perenne dvc repro
      perenne dvc status --json
    """
