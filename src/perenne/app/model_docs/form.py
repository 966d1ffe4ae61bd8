"""The form of the page: a field for each input, with what is known of it; and a filled-in row, read back. Pure."""

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from perenne.core.clock import SECOND, format_time
from perenne.core.errors import Invalid
from perenne.inference import Signature
from perenne.protocols.columns import expected_datatype, read_values, shape_text
from perenne.serving import Background
from perenne.stats.columns import Field, FieldKind
from perenne.stats.levels import level_text

SHOWN_TENSOR = 200
"""Values of a tensor up to which an example of it is filled in."""


class FormInput(msgspec.Struct, frozen=True, kw_only=True):
    """A field of the form.

    Attributes
    ----------
    name, kind, datatype : str
        Of the input; the kind is `number`, `whole`, `boolean`, `text`, `time` or `tensor`, the datatype the wire's.
    shape : str
        Of a tensor; empty for all others.
    choices : list of str
        Values it had; others may be given.
    least, most : float or None
        Between which values a number lay.
    example : any
        What is filled in; None leaves it out.
    """

    name: str
    kind: str
    datatype: str
    shape: str = ""
    choices: list[str] = []
    least: float | None = None
    most: float | None = None
    example: Any = None


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """All that the page shows of a deployment before anything is asked."""

    deployment: str
    model: str
    version: str
    target: str
    task: str
    classes: list[str]
    inputs: list[FormInput]
    outputs: list[str]
    problem: str = ""


def inputs_of(signature: Signature, known: Background) -> list[FormInput]:
    """Return a field for each input."""
    return [_input(field, known) for field in signature.fields]


def classes_of(signature: Signature) -> list[str]:
    """Return the answers there are, as text."""
    return [level_text(label) or "" for label in signature.classes]


def check_row(signature: Signature, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row's values for the model's inputs; one that is not there is missing.

    Raises
    ------
    Invalid
        If a value is not of its input's type, or an input is not the model's.
    """
    unknown = row.keys() - set(signature.names)
    if unknown:
        raise Invalid(f"there is no input {sorted(unknown)[0][:100]!r}", code="INVALID_PARAMETER_VALUE")
    values = {}
    for field in signature.fields:
        values[field.name] = row.get(field.name)
        if field.kind is not FieldKind.TENSOR or values[field.name] is not None:
            read_values(field, [values[field.name]])
    return values


def _input(field: Field, known: Background) -> FormInput:
    if field.kind is FieldKind.TENSOR:
        return FormInput(
            name=field.name,
            kind="tensor",
            datatype=expected_datatype(field),
            shape=shape_text(field),
            example=_small_tensor(field),
        )
    found = known.inputs[field.name]
    given = next((value for value in known.example.get(field.name, ()) if value is not None), found.typical)
    return FormInput(
        name=field.name,
        kind=_kind(field),
        datatype=expected_datatype(field),
        choices=[] if field.datatype == "bool" else list(found.levels),
        least=found.least,
        most=found.most,
        example=_plain(field, given),
    )


def _kind(field: Field) -> str:
    match field.kind:
        case FieldKind.TIME:
            return "time"
        case FieldKind.NUMBER:
            return "whole" if field.datatype == "int64" else "number"
        case _:
            return "boolean" if field.datatype == "bool" else "text"


def _plain(field: Field, value: Any) -> Any:
    """Return a value as it is written in JSON."""
    if value is None:
        return None
    match _kind(field):
        case "time":
            return format_time(int(float(value) * SECOND))
        case "whole" if float(value).is_integer():
            return int(value)
        case "boolean":
            return value == "true"
        case _:
            return value


def _small_tensor(field: Field) -> Any:
    """Return zeros, or empty texts, in a tensor's shape; nothing where that would be too much to show."""
    shape = [1 if size < 0 else size for size in field.shape]
    if int(np.prod(shape, dtype=object)) > SHOWN_TENSOR:
        return None
    value: Any = {"string": "", "bool": False}.get(field.datatype, 0)
    return np.full(shape, value, object).tolist()
