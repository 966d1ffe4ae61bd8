"""Who hears of what: each channel by its own options, unless a rule names its channels."""

from collections.abc import Collection, Iterable, Sequence

from perenne.monitoring.alerting.model import Channel, Options
from perenne.monitoring.model import Alert

EVERYTHING = Options()
DEAD = "channel "
"""The rule of the alert about a channel that does not work, before its name."""


def options_of(stored: Iterable[Channel], given: Iterable[str]) -> dict[str, Options]:
    """Return every channel there is and its options: those that the environment names hear of everything."""
    return dict.fromkeys(given, EVERYTHING) | {channel.name: channel.options for channel in stored}


def heard(
    changes: Sequence[tuple[Alert, str]], name: str, options: Options, known: Collection[str]
) -> list[tuple[Alert, str]]:  # fmt: skip
    """Return the changes that a channel hears of by itself.

    Parameters
    ----------
    known : collection of str
        The channels there are: a rule that names none of them is told as if it named none.
    """
    return [(alert, what) for alert, what in changes if _hears(alert, name, options, known)]


def _hears(alert: Alert, name: str, options: Options, known: Collection[str]) -> bool:
    if alert.rule == f"{DEAD}{name}":
        return False
    named = [channel for channel in alert.channels if channel in known]
    return name in named if named else options.hears(alert.severity, alert.project)
