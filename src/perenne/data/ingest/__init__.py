"""Rows from where they are made: files and folders, databases, the web, buckets and lakes become snapshots, again and again.

`web` and `databases` read from there, `data.origins` from files, buckets and lakes, and `fetching` chooses among them, only
if something changed since the last time; `expected` tells how rows differ from those at first, `growing` adds to what is there;
`following` looks at rows that others write, without keeping them; `refreshing` is the use case, `declared` keeps sources and
their schedules, `store` their tables; `writing` brings snapshots to lakes (`lake_tables`, `folders`), `events` is what the
others are told.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perenne.data.ingest import events, following
    from perenne.data.ingest.databases import fetch_query
    from perenne.data.ingest.declared import REFRESH_JOB, calendar_of, queue_due
    from perenne.data.ingest.model import Mode, Source
    from perenne.data.ingest.refreshing import ingest, refresh, refresh_job
    from perenne.data.ingest.writing import write

_ROOMS = {
    "Mode": "model",
    "REFRESH_JOB": "declared",
    "Source": "model",
    "calendar_of": "declared",
    "fetch_query": "databases",
    "ingest": "refreshing",
    "queue_due": "declared",
    "refresh": "refreshing",
    "refresh_job": "refreshing",
    "write": "writing",
}

__all__ = ["REFRESH_JOB", "events", "fetch_query", "following", "ingest", "queue_due", "refresh", "refresh_job", "write"]
__all__ += ["Mode", "Source", "calendar_of"]


def __getattr__(name: str) -> Any:
    if name in ("events", "following"):
        return import_module(f"{__name__}.{name}")
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
