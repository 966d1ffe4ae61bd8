"""From alerts to people: who is told of what, when, how, and what became of it.

`model` holds channels and what was told (pure), `targets` reads where a channel leads and keeps its secrets, `notifiers` reach
people; `messages` writes what they are told. `grouping` lets one alert speak for many that have one cause; `routing` decides who
hears of a message, `delivering` queues and does it. `channels` are declared once; `silences` and `comments` are what people say
to alerts. `tending` is done in each turn of the loop: `escalating`, `digests`, `missing` (no rows came). `reports` hears of what
others tell: sources that cannot be read, rows that come late, versions that are parked. `store` has their
tables. `documents` puts drift and alerts into ECS and `indexing` sends them; `figures` are Prometheus', `showing` the screens'.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perenne.monitoring.alerting import channels, delivering, figures, indexing, reports, tending

_DOORS = ("channels", "delivering", "figures", "indexing", "reports", "tending")

__all__ = ["channels", "delivering", "figures", "indexing", "reports", "tending"]


def __getattr__(name: str) -> Any:
    if name not in _DOORS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.{name}")
