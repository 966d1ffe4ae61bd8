"""`perenne monitor …` and `perenne alert …`: verbs of monitoring; each imports its module when it is called."""

import click

from perenne.cli.lazy import LazyGroup

MONITOR = {
    "list": ("perenne.monitoring.commands:list_", "List what is watched and how it stands."),
    "show": ("perenne.monitoring.commands:show", "Show a deployment: its windows, open alerts and bounds."),
    "performance": ("perenne.monitoring.performance.commands:performance", "Show estimates, what came true, and gaps."),
    "contributions": ("perenne.monitoring.performance.commands:contributions", "Show how inputs go with the answers."),
    "slices": ("perenne.monitoring.performance.commands:slices", "Show where a model does worst, by its labels."),
    "labels": ("perenne.monitoring.commands:labels", "Take labels from a file, a table or a query."),
}
"""Every command under `perenne monitor`: where it is, and what it does in a line."""

MONITOR_SECTIONS = {
    "Look": ("list", "show"),
    "Performance": ("performance", "contributions", "slices"),
    "Labels": ("labels",),
}

ALERT = {
    "list": ("perenne.monitoring.alert_commands:list_alerts", "List open alerts, newest first."),
    "acknowledge": ("perenne.monitoring.alert_commands:acknowledge", "Say that somebody is on it."),
    "silence": ("perenne.monitoring.alert_commands:silence", "Tell nobody about an alert's rule for a while."),
}
"""Every command under `perenne alert`: where it is, and what it does in a line."""

ALERT_SECTIONS = {
    "Look": ("list",),
    "Answer": ("acknowledge", "silence"),
}


@click.group(cls=LazyGroup, table=MONITOR, sections=MONITOR_SECTIONS)
def monitor() -> None:
    """Windows, drift, performance, labels."""


@click.group(cls=LazyGroup, table=ALERT, sections=ALERT_SECTIONS)
def alert() -> None:
    """What needs attention, and who has seen it."""
