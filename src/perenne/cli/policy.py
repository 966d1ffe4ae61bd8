"""`perenne policy …`: verbs of automation; each imports its module when it is called."""

import click

from perenne.cli.lazy import LazyGroup

VERBS = {
    "list": ("perenne.automation.commands:list_", "List the retraining policies."),
    "episodes": ("perenne.automation.commands:list_episodes", "List episodes, newest first."),
    "show": ("perenne.automation.commands:show", "Show an episode with every transition and its figures, or a policy in words."),
    "backtest": ("perenne.automation.backtest.commands:backtest_", "Replay the past under a policy, before it is switched on."),
    "trigger": ("perenne.automation.commands:trigger", "Open a retraining episode by hand."),
    "pause": ("perenne.automation.commands:pause", "Have a policy train nothing and promote nobody for now."),
    "resume": ("perenne.automation.commands:resume", "Let a paused policy go on."),
    "approve": ("perenne.automation.commands:approve", "Approve the challenger that an episode waits for."),
    "reject": ("perenne.automation.commands:reject", "Reject the challenger that an episode waits for."),
    "cancel": ("perenne.automation.commands:cancel", "End an episode before anybody is promoted."),
}
"""Every command: where it is, and what it does in a line."""

SECTIONS = {
    "Look": ("list", "episodes", "show", "backtest"),
    "Act": ("trigger", "cancel", "pause", "resume"),
    "Decide": ("approve", "reject"),
}


@click.group(cls=LazyGroup, table=VERBS, sections=SECTIONS)
def policy() -> None:
    """Retraining: when, and what came of it."""
