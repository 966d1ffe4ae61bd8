"""When nobody is told: silences, and what they match; pure."""

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase

import msgspec

from perenne.core.errors import Invalid
from perenne.monitoring.model import Alert, AlertLine

LABELS = ("deployment", "model", "version", "project", "rule", "kind", "severity", "source", "feature")
_FORM = re.compile(r"([a-z]+)(=~|!=|=)(.+)", re.DOTALL)
MOST_MATCHERS, LONGEST_VALUE = 20, 500


class Matcher(msgspec.Struct, frozen=True):
    """A label of an alert and what it has to be: `=` the same, `!=` another, `=~` as a pattern with `*` and `?`."""

    label: str
    sign: str
    value: str

    def __post_init__(self) -> None:
        if self.label not in LABELS or self.sign not in ("=", "!=", "=~") or not 0 < len(self.value) <= LONGEST_VALUE:
            raise _unreadable(str(self))

    def matches(self, labels: Mapping[str, tuple[str, ...]]) -> bool:
        """Tell whether it matches an alert's labels.

        >>> Matcher("deployment", "=~", "churn-*").matches({"deployment": ("churn-eu",)})
        True
        """
        values = labels.get(self.label, ())
        if self.sign == "=~":
            return any(fnmatchcase(value, self.value) for value in values)
        return (self.value in values) == (self.sign == "=")

    def __str__(self) -> str:
        return f"{self.label}{self.sign}{self.value}"


class Silence(msgspec.Struct, frozen=True):
    """Nobody is told of what it matches until an instant; the alerts themselves go on.

    Attributes
    ----------
    deployment, rule : str
        Which; empty for any.
    matchers : tuple of Matcher
        What else must hold, all of it.
    ended_by : str
        Who ended it before its time.
    """

    id: str
    deployment: str
    rule: str
    until: int
    owner: str
    reason: str
    created: int
    matchers: tuple[Matcher, ...] = ()
    ended_by: str = ""

    def quiets(self, labels: Mapping[str, tuple[str, ...]]) -> bool:
        """Tell whether nobody is to be told of an alert with these labels."""
        if self.deployment and self.deployment not in labels["deployment"]:
            return False
        return (not self.rule or self.rule in labels["rule"]) and all(matcher.matches(labels) for matcher in self.matchers)


def labels_of(alert: Alert | AlertLine) -> dict[str, tuple[str, ...]]:
    """Return the labels by which an alert can be matched, as far as they are known of it."""
    found: dict[str, tuple[str, ...]] = {
        "deployment": (alert.deployment,),
        "model": (alert.version.rpartition("@")[0],),
        "version": (alert.version,),
        "project": (alert.project,),
        "rule": (alert.rule,),
        "kind": (alert.rule.partition(":")[0].partition(" ")[0],),
        "severity": (alert.severity.value,),
    }
    if isinstance(alert, AlertLine):
        return found
    return found | {"source": (alert.source,), "feature": tuple(cause.feature for cause in alert.causes)}


def read_matcher(text: str) -> Matcher:
    """Read `label=value`, `label!=value` or `label=~pattern`. Raises Invalid.

    >>> read_matcher("severity!=critical")
    Matcher(label='severity', sign='!=', value='critical')
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise _unreadable(text)
    return Matcher(found[1], found[2], found[3])


def _unreadable(text: str) -> Invalid:
    hint = f"such as deployment=churn or feature=~price_*; labels: {', '.join(LABELS)}"
    return Invalid(f"{text[:100]!r} is no matcher", code="alert.matcher", hint=hint)
