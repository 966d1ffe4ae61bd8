"""`perenne deploy …`: verbs of serving and of delivery under one noun; each imports its module when it is called."""

import click

from perenne.cli.lazy import LazyGroup

VERBS = {
    "list": ("perenne.serving.commands:list_", "List deployments, of one project if named."),
    "show": ("perenne.serving.commands:show", "Show a deployment with its variants, and how its servers do."),
    "log": ("perenne.serving.log_commands:log", "What is kept of predictions, and where it goes."),
    "version": ("perenne.serving.commands:version", "Let a version answer."),
    "challenger": ("perenne.serving.commands:challenger", "Let a version answer in shadow, or no more."),
    "promote": ("perenne.serving.commands:promote", "Make a challenger the champion."),
    "roll-back": ("perenne.serving.commands:roll_back", "Let the previous champion answer again."),
    "stop": ("perenne.serving.commands:stop", "Stop a champion's answers: a constant or the previous version answers."),
    "resume": ("perenne.serving.commands:resume", "Let a stopped champion answer again."),
}
"""Every command: where it is, and what it does in a line."""

SECTIONS = {
    "Look": ("list", "show"),
    "Keep": ("log",),
    "Who answers": ("version", "challenger", "promote", "roll-back"),
    "Stop": ("stop", "resume"),
}
"""Which commands stand together in the help."""


@click.group(cls=LazyGroup, table=VERBS, sections=SECTIONS)
def deploy() -> None:
    """What answers whom: champion, challengers, roll-back, stop."""
