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
    "performance": ("perenne.monitoring.performance.commands:performance", "Show estimates, what came true, and gaps."),
    "contributions": ("perenne.monitoring.performance.commands:contributions", "Show how inputs go with the answers."),
    "slices": ("perenne.monitoring.performance.commands:slices", "Show where a model does worst, by its labels."),
    "labels": ("perenne.monitoring.commands:labels", "Take labels from a file, a table or a query."),
    "drift": ("perenne.monitoring.baselines.commands:drift", "Rank what moved by how much it matters."),
    "baseline": ("perenne.monitoring.baselines.commands:baseline", "What windows are compared with; set it anew."),
    "profile": ("perenne.monitoring.baselines.commands:profile", "Count a table as if its rows had been answered here."),
    "outcomes": ("perenne.monitoring.guarding.commands:outcomes", "Take outcomes of answers from a file, or show them."),
    "guards": ("perenne.monitoring.guarding.commands:guards", "Show guardrails as they were last looked at."),
    "dashboards": ("perenne.monitoring.dashboards.commands:dashboards", "Write dashboards for Grafana and Kibana."),
}
"""Every command under `perenne monitor`: where it is, and what it does in a line."""

MONITOR_SECTIONS = {
    "Look": ("list", "show", "drift", "check"),
    "Performance": ("performance", "contributions", "slices"),
    "Labels": ("labels",),
    "Windows": ("baseline", "profile"),
    "Guards": ("guards", "outcomes"),
    "What others serve": ("add", "read", "pause", "resume", "remove"),
    "Elsewhere": ("dashboards",),
}

_COMMANDS = "perenne.monitoring.alerting.commands"
_CHANNELS = "perenne.monitoring.alerting.channel_commands"

ALERT = {
    "list": (f"{_COMMANDS}:list_alerts", "List open alerts, newest first."),
    "show": (f"{_COMMANDS}:show", "Show an alert: causes, history, who was told."),
    "digest": (f"{_COMMANDS}:digest", "What is open and what was resolved, in one list."),
    "acknowledge": (f"{_COMMANDS}:acknowledge", "Say that somebody is on it."),
    "unacknowledge": (f"{_COMMANDS}:unacknowledge", "Take that back."),
    "comment": (f"{_COMMANDS}:comment", "Write to an alert what others should know."),
    "silence": (f"{_COMMANDS}:silence", "Tell nobody for a while."),
    "silences": (f"{_COMMANDS}:list_silences", "List the silences that last."),
    "unsilence": (f"{_COMMANDS}:unsilence", "End a silence before its time."),
    "channel": ("perenne.cli.monitor:channel", "Declare who is told, and try it."),
    "test": (f"{_COMMANDS}:try_all", "Send an example to every channel."),
}
"""Every command under `perenne alert`: where it is, and what it does in a line."""

ALERT_SECTIONS = {
    "Look": ("list", "show", "digest"),
    "Answer": ("acknowledge", "unacknowledge", "comment"),
    "Silence": ("silence", "silences", "unsilence"),
    "Tell people": ("channel", "test"),
}

CHANNEL = {
    "add": (f"{_CHANNELS}:add", "Declare a channel."),
    "list": (f"{_CHANNELS}:list_", "List the channels, without their secrets."),
    "test": (f"{_CHANNELS}:test", "Send an example to a channel."),
    "remove": (f"{_CHANNELS}:remove", "Forget a channel."),
}

CHANNEL_SECTIONS = {"Look": ("list", "test"), "Change": ("add", "remove")}


@click.group(cls=LazyGroup, table=MONITOR, sections=MONITOR_SECTIONS)
def monitor() -> None:
    """Windows, drift, performance, labels."""


@click.group(cls=LazyGroup, table=ALERT, sections=ALERT_SECTIONS)
def alert() -> None:
    """What needs attention, and who has seen it."""


@click.group(cls=LazyGroup, table=CHANNEL, sections=CHANNEL_SECTIONS)
def channel() -> None:
    """Who is told of alerts, how, and when."""
