"""What data must keep, and whether it does.

`rules` are the words of a schema, `schema` its file, `inferring` states one from a profile; `rows` shows a table or a file to
the engine, `opening` finds what a person names, `texts` reads large files of CSV; `checking` holds rows against a schema:
`conditions` on one row, `tables` on the whole, `drifting` against a baseline, `project_checks` in Python; `fixing` suggests how
the schema would follow the data, `editing` writes that into its file; `exporting` writes schemas of other tools; `telling` hides
personal values, `page` writes what was found.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perenne.data.validation.checking import validate
    from perenne.data.validation.errors import Broken
    from perenne.data.validation.inferring import infer_schema
    from perenne.data.validation.opening import snapshot_rows
    from perenne.data.validation.project_checks import code_of
    from perenne.data.validation.rules import Schema
    from perenne.data.validation.schema import read_schema, schema_text, write_schema
    from perenne.data.validation.telling import sentences

_ROOMS = {
    "Broken": "errors",
    "Schema": "rules",
    "code_of": "project_checks",
    "infer_schema": "inferring",
    "read_schema": "schema",
    "schema_text": "schema",
    "snapshot_rows": "opening",
    "sentences": "telling",
    "validate": "checking",
    "write_schema": "schema",
}

__all__ = [
    "Broken",
    "Schema",
    "code_of",
    "infer_schema",
    "read_schema",
    "schema_text",
    "sentences",
    "snapshot_rows",
    "validate",
    "write_schema",
]


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
