"""What a project says of how its deployments are watched; everything has a default, so that a project may say nothing."""

import msgspec

from perenne.core.errors import Invalid
from perenne.projects.alerting import Alert, check_alerts


class Monitoring(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a project's deployments are watched.

    Attributes
    ----------
    minimum_rows : int
        A window with fewer rows is judged together with those before it.
    alerts : tuple of Alert
        Rules beside those that objectives and guardrails give by themselves.

    >>> Monitoring(minimum_rows=500).minimum_rows
    500
    """

    minimum_rows: int = 200
    alerts: tuple[Alert, ...] = ()

    def __post_init__(self) -> None:
        if self.minimum_rows < 1:
            raise Invalid(
                f"Monitoring(minimum_rows={self.minimum_rows}) is below 1",
                code="project.monitoring",
                hint="a few hundred rows tell a change from chance: minimum_rows=200",
            )
        msgspec.structs.force_setattr(self, "alerts", tuple(self.alerts))
        check_alerts(self.alerts)
