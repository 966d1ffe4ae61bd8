"""`perenne monitor …` and `perenne alert …`: verbs of monitoring; each imports its module when it is called."""

import click

from perenne.cli.lazy import LazyGroup

MONITOR = {
    "list": ("perenne.monitoring.commands:list_", "List what is watched and how it stands."),
    "show": ("perenne.monitoring.commands:show", "Show a deployment: its windows, open alerts and bounds."),
    "check": ("perenne.monitoring.fleet.commands:check_command", "Look at every deployment's newest window at once."),
    "add": ("perenne.monitoring.elsewhere.commands:add", "Watch what others serve."),
    "read": ("perenne.monitoring.elsewhere.commands:read", "Read a deployment's rows at once."),
    "pause": ("perenne.monitoring.elsewhere.commands:pause", "Read no more rows for now."),
    "resume": ("perenne.monitoring.elsewhere.commands:resume", "Let readings go on."),
    "remove": ("perenne.monitoring.elsewhere.commands:remove", "Watch what others serve no longer."),
    "labels": ("perenne.monitoring.commands:labels", "Take labels from a file."),
    "profile": ("perenne.monitoring.baselines.commands:profile", "Count a table as if its rows had been answered here."),
}
"""Every command under `perenne monitor`: where it is, and what it does in a line."""

MONITOR_SECTIONS = {
    "Look": ("list", "show", "check"),
    "Labels": ("labels",),
    "What others serve": ("add", "read", "pause", "resume", "remove"),
    "Windows": ("profile",),
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
