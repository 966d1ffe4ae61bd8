"""What a project says of its alerts: rules of its own, and what is different about those that there are by themselves."""

from typing import Literal

import msgspec

from perenne.core.errors import Invalid
from perenne.projects.model import Bound

Urgency = Literal["", "info", "warning", "critical"]
Measure = Literal["", "js2", "ks", "impact", "missing_rise"]
NO_DATA = "no_data"
BUILT_IN = ("drift", "contribution", "concept", "schema", "feedback", NO_DATA)
MOST_WINDOWS = 1_000


class Alert(msgspec.Struct, frozen=True, omit_defaults=True):
    """A rule that alerts, beside those that objectives, guardrails, drift and silence of a deployment give by themselves.

    Attributes
    ----------
    figure : str
        A figure of a window, such as `roc_auc`, `latency_p99_ms` or `error_rate`; or `rows`, `dropped_share`, `agreement` or
        `label_coverage`; or an existing rule that is to be different: `drift`, `contribution`, `concept`, `schema`, `feedback` or
        `no_data`.
    feature : str
        In place of a figure: an input, `@score` or `@prediction`.
    measure : str
        What is compared of a feature: `js2`, `ks`, `impact` (its size) or `missing_rise`. Empty for the verdict itself.
    above, below : float, optional
        It alarms beyond this limit, if the whole interval of the figure lies there; one of the two.
    by : str, optional
        A column: the worst of its groups counts.
    confirm, clear : int
        Alarm windows in a row before it fires, and windows without before it is resolved; 0 for the usual number.
    severity : str
        `info`, `warning` or `critical`; the usual one if empty.
    channels : tuple of str
        Who is told; by the channels' own routes if none is named.
    off : bool
        Whether an existing rule says nothing.

    >>> Alert("latency_p99_ms", above=80, severity="critical").id
    'latency_p99_ms > 80'
    >>> Alert(feature="carrier", measure="missing_rise", above=0.05).id
    'missing_rise of carrier > 0.05'
    """

    figure: str = ""
    feature: str = ""
    measure: Measure = ""
    above: float | None = None
    below: float | None = None
    by: str | None = None
    confirm: int = 0
    clear: int = 0
    severity: Urgency = ""
    channels: tuple[str, ...] = ()
    off: bool = False

    def __post_init__(self) -> None:
        problem = self._problem()
        if problem:
            hint = 'such as pn.Alert("latency_p99_ms", above=80) or pn.Alert(feature="carrier", severity="critical")'
            raise Invalid(f"Alert({self.figure or self.feature!r}): {problem}", code="project.alert", hint=hint)

    def _problem(self) -> str:
        limits = sum(limit is not None for limit in (self.above, self.below))
        checks = (
            (bool(self.figure) == bool(self.feature), "needs either a figure or a feature"),
            (limits > 1, "has both above and below"),
            (limits == 1 and self.limit != self.limit, "has a limit that is no number"),
            (not self.built_in and bool(self.figure) and limits == 0, "needs above or below"),
            (self.built_in and self.below is not None, "has no lower limit"),
            (self.built_in and self.figure != NO_DATA and limits > 0, "has no limit: its constants are those of the rule"),
            (bool(self.feature) and bool(self.measure) != (limits == 1), "needs a measure and a limit together, or neither"),
            (bool(self.measure) and not self.feature, "has a measure without a feature"),
            (self.by is not None and (bool(self.feature) or self.built_in), "takes groups of figures only"),
            (not all(0 <= count <= MOST_WINDOWS for count in (self.confirm, self.clear)), "needs confirm and clear of 0 or more"),
            (self.severity not in ("", "info", "warning", "critical"), f"knows no severity {self.severity!r}"),
            (self.measure not in ("", "js2", "ks", "impact", "missing_rise"), f"knows no measure {self.measure!r}"),
            (self.off and not self.built_in, "can switch off only rules that there are anyway: leave it out instead"),
            (not all(isinstance(name, str) and name for name in self.channels), "names a channel by something else than a text"),
        )
        return next((words for wrong, words in checks if wrong), "")

    @property
    def built_in(self) -> bool:
        """Whether it changes a rule that there is anyway."""
        return self.figure in BUILT_IN

    @property
    def limit(self) -> float | None:
        """The value beyond which it alarms, if it has one."""
        return self.above if self.above is not None else self.below

    @property
    def bound(self) -> "OwnBound | None":
        """The bound that it sets a figure, if it is about one."""
        if self.built_in or not self.figure:
            return None
        return OwnBound(self.figure, at_least=self.below, at_most=self.above, by=self.by, name=self.id)

    @property
    def id(self) -> str:
        """A short name, unique among a project's rules."""
        if self.built_in:
            return self.figure
        sign = "" if self.limit is None else f" {'>' if self.above is not None else '<'} {self.limit:g}"
        what = self.figure or (f"{self.measure} of {self.feature}" if self.measure else f"drift of {self.feature}")
        return f"{what}{f' by {self.by}' if self.by else ''}{sign}"


class OwnBound(Bound, frozen=True):
    """A figure's limit that alerts and does nothing else; called as its rule is."""

    name: str = ""

    @property
    def id(self) -> str:
        """The name of the rule."""
        return self.name


def check_alerts(alerts: tuple[Alert, ...]) -> None:
    """Make sure that each is a rule and none stands there twice. Raises Invalid."""
    hint = 'alerts=[pn.Alert("error_rate", above=0.01)]'
    for alert in alerts:
        if not isinstance(alert, Alert):
            raise Invalid(f"alerts: {alert!r} is no Alert", code="project.alert", hint=hint)
    names = [alert.id for alert in alerts]
    for name in names:
        if names.count(name) > 1:
            raise Invalid(f"two alerts on {name}", code="project.alert", hint="state each once")
