"""By which statistics a project has features judged, as it writes them."""

from perenne.core.errors import Invalid
from perenne.stats.names import Chosen, checked, resolve

Statistics = dict[str, str | Chosen]


def read_statistics(statistics: object) -> dict[str, Chosen]:
    """Read what `Monitoring(statistics=…)` was given.

    Raises
    ------
    Invalid
        If it is no dictionary of features and statistics; the message names the feature.
    """
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
