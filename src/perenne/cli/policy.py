"""`perenne policy …`: verbs of automation; each imports its module when it is called."""

import click

from perenne.cli.lazy import LazyGroup

VERBS = {
    "list": ("perenne.automation.commands:list_", "List the retraining policies."),
    "episodes": ("perenne.automation.commands:list_episodes", "List episodes, newest first."),
    "show": ("perenne.automation.commands:show", "Show an episode with every transition and its reason."),
    "backtest": ("perenne.automation.backtest.commands:backtest_", "Replay the past under a policy, before it is switched on."),
    "trigger": ("perenne.automation.commands:trigger", "Open a retraining episode by hand."),
}
"""Every command: where it is, and what it does in a line."""

SECTIONS = {
    "Look": ("list", "episodes", "show", "backtest"),
    "Act": ("trigger",),
}


@click.group(cls=LazyGroup, table=VERBS, sections=SECTIONS)
def policy() -> None:
    """Retraining: when, and what came of it."""
