"""What people are told: one message for a version and a window, in lines; pure."""

from collections.abc import Sequence

import msgspec

from perenne.core.clock import format_time
from perenne.core.hashing import key_of
from perenne.formats.ecs import cut, plain_text
from perenne.monitoring.model import Alert, Severity

MAX_SUBJECT, MAX_LINE, MAX_LINES = 200, 2_000, 50


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What people are told. `key` stays the same when a message is delivered twice.

    Attributes
    ----------
    subject : str
        One line.
    lines : tuple of str
        One for each alert: what happened, and the causes by falling impact.
    alerts : tuple of str
        Their ids.
    link : str
        Where to look closer, if it is known where the pages are.
    what : str
        `firing`, `continues`, `escalated`, `resolved`, `digest` or `test`: the most urgent of what it tells.
    """

    key: str
    deployment: str
    version: str
    window_start: int
    severity: Severity
    subject: str
    lines: tuple[str, ...]
    alerts: tuple[str, ...]
    link: str = ""
    what: str = "firing"
    project: str = ""

    @property
    def text(self) -> str:
        """The whole of it, for channels that take plain text."""
        tail = ("", self.link) if self.link else ()
        return "\n".join((*self.lines, *tail))


_FIRST = ("escalated", "firing", "continues", "resolved")


def compose(changes: Sequence[tuple[Alert, str]], window_start: int, pages: str = "") -> Message:
    """Write the message about what happened to alerts of one version.

    Parameters
    ----------
    pages : str
        Where the pages are, such as `https://perenne.example.org`; empty if nobody said.
    """
    changes = sorted(changes, key=lambda change: -change[0].severity.level)
    worst = changes[0][0]
    words = sorted({what for _, what in changes}, key=_FIRST.index)
    lines = [_line(alert, what) for alert, what in changes[:MAX_LINES]]
    return Message(
        key=key_of({(alert.id, what, alert.sent, len(alert.told)) for alert, what in changes}),
        deployment=worst.deployment,
        version=worst.version,
        window_start=window_start,
        severity=worst.severity,
        subject=shown(f"[{worst.severity.value}] {name_of(worst)}: {' and '.join(words)}", MAX_SUBJECT),
        lines=tuple(shown(line, MAX_LINE) for line in lines),
        alerts=tuple(alert.id for alert, _ in changes),
        link=f"{pages}/alert/{worst.id}" if pages else "",
        what=words[0],
        project=worst.project,
    )


def name_of(alert: Alert) -> str:
    """Say what an alert is about in a few words: a version, a deployment, or the rule if it is about neither."""
    if alert.version.startswith(f"{alert.deployment}@"):
        return alert.version
    return f"{alert.deployment} {alert.version}".strip() or alert.rule


def shown(text: str, length: int) -> str:
    """Return a text as it may stand in any message: one line, bounded, and nothing in it that a terminal or a mail acts on."""
    return cut(plain_text(text), length)


def _line(alert: Alert, what: str) -> str:
    show = f"; `perenne monitor show {alert.deployment}`" if alert.deployment else ""
    return f"{what} since {format_time(alert.since)}: {alert.summary}{show}"
