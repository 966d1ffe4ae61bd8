"""What a project says of how its deployments are watched; everything has a default, so that a project may say nothing."""

import msgspec

from perenne.core.errors import Invalid
from perenne.stats.names import Chosen, checked, resolve


class Monitoring(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a project's deployments are watched.

    Attributes
    ----------
    minimum_rows : int
        A window with fewer rows is judged together with those before it.
    statistics : dict
        By which statistic a feature is judged, and beyond which limit, instead of by the drift rule; `"*"` stands for every input
        that is not named. Names are those of docs/statistics.md, or what Evidently, NannyML, Snowflake or TensorFlow Data
        Validation call them.

    >>> Monitoring(minimum_rows=500).minimum_rows
    500
    >>> plan = Monitoring(statistics={"amount": "psi", "*": "jensenshannon(0.15)"})
    >>> str(plan.choices["amount"]), str(plan.choices["*"])
    ('psi(0.2)', 'js_distance(0.15)')
    """

    minimum_rows: int = 200
    statistics: dict[str, str | Chosen] = {}

    def __post_init__(self) -> None:
        if self.minimum_rows < 1:
            raise Invalid(
                f"Monitoring(minimum_rows={self.minimum_rows}) is below 1",
                code="project.monitoring",
                hint="a few hundred rows tell a change from chance: minimum_rows=200",
            )
        if self.statistics:
            msgspec.structs.force_setattr(self, "statistics", _read(self.statistics))

    @property
    def choices(self) -> dict[str, Chosen]:
        """The statistics by feature, read."""
        return {name: choice for name, choice in self.statistics.items() if isinstance(choice, Chosen)}


def _read(statistics: object) -> dict[str, Chosen]:
    if not isinstance(statistics, dict):
        raise _wrong(f"Monitoring(statistics=…) is {type(statistics).__name__!r}, not a dictionary")
    read = {}
    for name, choice in statistics.items():
        if not isinstance(name, str) or not name:
            raise _wrong(f"Monitoring(statistics={{{name!r}: …}}) names no feature")
        if not isinstance(choice, str | Chosen):
            raise _wrong(f"Monitoring(statistics={{{name!r}: {choice!r}}}) names no statistic")
        try:
            read[name] = resolve(choice) if isinstance(choice, str) else checked(choice)
        except Invalid as error:
            raise Invalid(f"Monitoring(statistics={{{name!r}: …}}): {error.message}", code=error.code, hint=error.hint) from None
    return read


def _wrong(message: str) -> Invalid:
    return Invalid(message, code="project.monitoring", hint='write statistics={"amount": "psi(0.2)", "*": "js_distance"}')
