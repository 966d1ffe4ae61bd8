"""Watching what others serve: rows that lie in a table, come as events, or are sent by a program, counted like our own.

`service` says who is watched so (`model`, kept by `store`); `reading` looks at tables by schedule, `traces` asks a tracking
server, `events` pairs what KServe's logger sends and `bodies` reads it, `sending` takes rows; what is sent lies in journals until
`turns` has counted it. All of them make `rows`, and `keeping` counts rows once: it finds those that are new, makes the reference
if there is none (`learning`), adds to the windows, and leaves the rows for `row_logging`, so that labels find them. `client` is
what programs elsewhere call.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perenne.monitoring.elsewhere import client, reading, service, traces, turns

__all__ = ["client", "reading", "service", "traces", "turns"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.{name}")
