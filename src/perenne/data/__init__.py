"""Rows and what is known of them: reading, snapshots, profiles, fields, the schema and its validation.

`sources` reads files and tables (`csv_files`, `json_lines`; `sniffing` finds the types of texts, `tables` names the five types);
`snapshots` keeps rows by content and `store` their records; `fields` tells what columns are to a model and makes arrays of them;
`profiles` describes data, `schema` states what it must keep, `validation` checks it; `service` puts them together.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perenne.data.fields import infer_fields, task_of, to_columns
    from perenne.data.model import Anomaly, DataProfile, FieldGuess, Kind, Role, Severity, Snapshot
    from perenne.data.profiles import profile_table
    from perenne.data.schema import Schema, infer_schema, read_schema, write_schema
    from perenne.data.snapshots import (
        FileState,
        get_snapshot,
        known_snapshot,
        list_snapshots,
        read_snapshot,
        record_snapshot,
        remember_file,
        write_snapshot,
    )
    from perenne.data.sources import read_source
    from perenne.data.validation import validate

_ROOMS = {
    "Anomaly": "model",
    "DataProfile": "model",
    "FieldGuess": "model",
    "FileState": "snapshots",
    "Kind": "model",
    "Role": "model",
    "Schema": "schema",
    "Severity": "model",
    "Snapshot": "model",
    "get_snapshot": "snapshots",
    "infer_fields": "fields",
    "infer_schema": "schema",
    "known_snapshot": "snapshots",
    "profile_table": "profiles",
    "read_schema": "schema",
    "read_snapshot": "snapshots",
    "read_source": "sources",
    "record_snapshot": "snapshots",
    "remember_file": "snapshots",
    "list_snapshots": "snapshots",
    "task_of": "fields",
    "to_columns": "fields",
    "validate": "validation",
    "write_schema": "schema",
    "write_snapshot": "snapshots",
}

__all__ = [
    "Anomaly",
    "DataProfile",
    "FieldGuess",
    "FileState",
    "Kind",
    "Role",
    "Schema",
    "Severity",
    "Snapshot",
    "get_snapshot",
    "infer_fields",
    "infer_schema",
    "known_snapshot",
    "list_snapshots",
    "profile_table",
    "read_schema",
    "read_snapshot",
    "read_source",
    "record_snapshot",
    "remember_file",
    "task_of",
    "to_columns",
    "validate",
    "write_schema",
    "write_snapshot",
]


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
