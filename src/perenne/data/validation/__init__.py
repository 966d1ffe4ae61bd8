"""What data must keep, and whether it does.

`schema` is the file of rules, read and inferred; `checking` holds rows against it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perenne.data.validation.checking import validate
    from perenne.data.validation.schema import Schema, infer_schema, read_schema, write_schema

_ROOMS = {
    "Schema": "schema",
    "infer_schema": "schema",
    "read_schema": "schema",
    "validate": "checking",
    "write_schema": "schema",
}

__all__ = ["Schema", "infer_schema", "read_schema", "validate", "write_schema"]


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
