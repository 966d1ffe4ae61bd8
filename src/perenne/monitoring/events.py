"""What monitoring tells the others, in the transaction that moves an alert to firing."""

from typing import ClassVar

from perenne.core.events import Event


class DriftFound(Event, frozen=True):
    """Inputs or answers of a version have moved away from its reference; `features` by falling impact."""

    name: ClassVar[str] = "drift.found"
    deployment: str
    version: str
    window_start: int
    features: tuple[str, ...]
    alert: str


class ObjectiveMissed(Event, frozen=True):
    """An objective is missed; `source` tells how that is known: measured, estimated or realised."""

    name: ClassVar[str] = "objective.missed"
    deployment: str
    version: str
    objective: str
    value: float
    threshold: float
    source: str
    window_start: int
    alert: str


class GuardrailBreached(Event, frozen=True):
    """A guardrail is breached beyond what chance may do; `group` is the group that is worst off, if there is one.

    `stop` is who is to answer from now on: previous, constant, person; or alert, where the model goes on.
    """

    name: ClassVar[str] = "guardrail.breached"
    deployment: str
    version: str
    guardrail: str
    value: float
    threshold: float
    source: str
    group: str
    window_start: int
    alert: str
    stop: str = "previous"


class SchemaChanged(Event, frozen=True):
    """Columns that a version is asked with are missing or of another type; `changes` says which, in words."""

    name: ClassVar[str] = "schema.changed"
    deployment: str
    version: str
    window_start: int
    changes: tuple[str, ...]
    alert: str


class AlertsChanged(Event, frozen=True):
    """Alerts of one version moved because of one window: what people are to be told in one message.

    `changes` holds alert ids with what happened: firing, continues or resolved.
    """

    name: ClassVar[str] = "alerts.changed"
    deployment: str
    version: str
    window_start: int
    changes: tuple[tuple[str, str], ...]


class ConceptDrifted(Event, frozen=True):
    """What comes true for the same inputs has changed, as labels tell.

    `detector` is cusum or adwin (labels in order of arrival), or gap (estimated against realised performance); `segment` the
    group it was seen in, empty for all; `since` the start of the window.
    """

    name: ClassVar[str] = "concept.drifted"
    deployment: str
    version: str
    detector: str
    segment: str
    since: int
    alert: str


class ContributionChanged(Event, frozen=True):
    """Inputs no longer go with the answers as they did, though they are where they were; `features` by falling change."""

    name: ClassVar[str] = "contribution.changed"
    deployment: str
    version: str
    window_start: int
    features: tuple[str, ...]
    alert: str
