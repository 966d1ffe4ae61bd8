"""Rows and what is known of them: reading, snapshots, profiles, fields, the schema and its validation.

`sources` reads files and tables (`csv_files`, `json_lines`; `sniffing` finds the types of texts, `tables` names the five types);
`snapshots` keeps rows by content and `store` their records; `files` and `windows` tell when and which rows of a file are read;
`fields` tells what columns are to a model and makes arrays of them; `profiles` describes data (`relations`: columns together),
`validation` states what it must keep and checks it; `examinations` keeps what was found, `comparing` holds two profiles
beside each other, `drawing` makes their pictures, `columns` shows a few of them; `service` takes snapshots,
`summary` answers for many at once.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perenne.data import fields, ingest, privacy, snapshots, summary, validation, versions
    from perenne.data.examinations import record_examination
    from perenne.data.model import Anomaly, DataProfile
    from perenne.data.model import FieldGuess as FieldGuess
    from perenne.data.model import Snapshot as Snapshot
    from perenne.data.profiles import profile_table
    from perenne.data.service import take_snapshot
    from perenne.data.sources import read_source

_DOORS = ("fields", "ingest", "privacy", "snapshots", "summary", "validation", "versions")
_ROOMS = {
    "Anomaly": "model",
    "DataProfile": "model",
    "profile_table": "profiles",
    "read_source": "sources",
    "record_examination": "examinations",
    "take_snapshot": "service",
}

__all__ = [
    "Anomaly",
    "DataProfile",
    "fields",
    "ingest",
    "privacy",
    "profile_table",
    "read_source",
    "record_examination",
    "snapshots",
    "summary",
    "take_snapshot",
    "validation",
    "versions",
]


def __getattr__(name: str) -> Any:
    if name in _DOORS:
        return import_module(f"{__name__}.{name}")
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
