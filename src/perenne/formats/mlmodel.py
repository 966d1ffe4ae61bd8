"""The file `MLmodel` of a folder that a client of MLflow logged, read without MLflow: flavors, signature, input example.

The signature's parts are JSON texts inside the YAML. Everything in the file is somebody else's word: sizes are bounded, and a
path is only what `inner_path` lets through.
"""

import json
from typing import Any

import msgspec
import yaml

from perenne.core.errors import Invalid
from perenne.core.paths import check_name

MLMODEL = "MLmodel"
LARGEST = 4 << 20
MAX_COLUMNS = 10_000

DATATYPES = {
    "boolean": "bool",
    "integer": "int32",
    "long": "int64",
    "float": "float32",
    "double": "float64",
    "string": "string",
    "binary": "string",
    "datetime": "timestamp",
}
"""Our datatypes by those of a signature's columns."""


class Spec(msgspec.Struct, frozen=True):
    """An input or output as it was signed.

    Attributes
    ----------
    name : str
        Empty if it has none.
    type : str
        `boolean`, `integer`, `long`, `float`, `double`, `string`, `binary`, `datetime`, `tensor`;
        or `array`, `object`, `map`, `any`.
    datatype : str
        Ours: float64, int64, string, …; empty for structured values.
    shape : tuple of int
        Of a tensor, rows first; -1 varies.
    required : bool
        Whether every row has it.
    """

    name: str
    type: str
    datatype: str
    shape: tuple[int, ...] = ()
    required: bool = True


class InputExample(msgspec.Struct, frozen=True):
    """Where the rows lie that were logged with a model, and as what: `dataframe`, `ndarray`, `json_object`, …"""

    path: str
    type: str
    orient: str = ""


class MLmodel(msgspec.Struct, frozen=True, kw_only=True):
    """What `MLmodel` says.

    Attributes
    ----------
    flavors : dict
        The values of each flavor by its name, as they stand there.
    inputs, outputs : tuple of Spec or None
        As signed; None if not.
    params : tuple of dict
        Parameters of a call, as signed.
    example : InputExample or None
        The logged rows.
    mlflow_version, model_id, run_id : str
        Of what it was logged with, and as what.
    """

    flavors: dict[str, dict[str, Any]]
    inputs: tuple[Spec, ...] | None = None
    outputs: tuple[Spec, ...] | None = None
    params: tuple[dict[str, Any], ...] = ()
    example: InputExample | None = None
    mlflow_version: str = ""
    model_id: str = ""
    run_id: str = ""


def read_mlmodel(data: bytes) -> MLmodel:
    """Read the file.

    Raises
    ------
    Invalid
        If it is too large, no YAML of plain values, or a part of it is something else than it should be; the message names it.
    """
    if len(data) > LARGEST:
        raise _bad(f"is larger than {LARGEST >> 20} MiB")
    try:
        read = yaml.safe_load(data)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError):
        raise _bad("is not YAML of plain values") from None
    if not isinstance(read, dict):
        raise _bad("is not an object")
    flavors = read.get("flavors")
    if not isinstance(flavors, dict) or not all(isinstance(flavor, dict) for flavor in flavors.values()):
        raise _bad("has no flavors")
    signature = read.get("signature") or {}
    if not isinstance(signature, dict):
        raise _bad("has a signature that is no object")
    inputs, outputs = (_specs(signature.get(part), part) for part in ("inputs", "outputs"))
    return MLmodel(
        flavors={str(name): flavor for name, flavor in flavors.items()},
        inputs=inputs,
        outputs=outputs,
        params=tuple(_list(signature.get("params"), "params")),
        example=_example(read.get("saved_input_example_info")),
        mlflow_version=_text(read.get("mlflow_version")),
        model_id=_text(read.get("model_id")),
        run_id=_text(read.get("run_id")),
    )


def inner_path(value: object, what: str) -> str:
    """Return a path that `MLmodel` names, if it stays inside the model's folder.

    Raises
    ------
    Invalid
        If it is no text, absolute, or has `..` in it.

    >>> inner_path("model.skops", "pickled_model")
    'model.skops'
    """
    if not isinstance(value, str) or not value:
        raise _bad(f"has no path for {what}")
    try:
        return check_name(value.removeprefix("./").rstrip("/"))
    except Invalid:
        raise _bad(f"names a path for {what} that may lead out of the model's folder") from None


def _specs(text: object, part: str) -> tuple[Spec, ...] | None:
    if text is None:
        return None
    listed = _list(text, part)
    if len(listed) > MAX_COLUMNS:
        raise _bad(f"signs more than {MAX_COLUMNS:,} {part}")
    return tuple(_spec(one, part) for one in listed)


def _spec(one: dict[str, Any], part: str) -> Spec:
    name, kind, required = one.get("name", ""), one.get("type"), one.get("required", not one.get("optional", False))
    if not isinstance(kind, str) or not isinstance(required, bool):
        raise _bad(f"has a signature whose {part} lack a type")
    name = "" if name is None else str(name)
    kind = kind.lower()
    if kind != "tensor":
        return Spec(name, kind, DATATYPES.get(kind, ""), (), required)
    said = one.get("tensor-spec")
    shape = said.get("shape") if isinstance(said, dict) else None
    dtype = said.get("dtype") if isinstance(said, dict) else None
    if not isinstance(dtype, str) or not isinstance(shape, list) or not all(type(size) is int for size in shape):
        raise _bad(f"has a signature whose {part} hold a tensor without dtype or shape")
    return Spec(name, "tensor", _tensor_datatype(dtype), tuple(shape), required)


def _tensor_datatype(dtype: str) -> str:
    """Return our name of a numpy dtype.

    >>> _tensor_datatype("float32"), _tensor_datatype("<U12"), _tensor_datatype("object")
    ('float32', 'string', 'string')
    """
    plain = dtype.strip("<>=|")
    return "string" if plain in ("str", "object", "O", "bytes") or plain[:1] in "US" else plain


def _list(text: object, part: str) -> Any:
    if text is None:
        return []
    try:
        read = json.loads(text) if isinstance(text, str) else text
    except (ValueError, RecursionError):
        raise _bad(f"has a signature whose {part} are no JSON") from None
    if not isinstance(read, list) or not all(isinstance(one, dict) for one in read):
        raise _bad(f"has a signature whose {part} are no list of objects")
    return read


def _example(said: object) -> InputExample | None:
    if not isinstance(said, dict) or "artifact_path" not in said:
        return None
    path = inner_path(said["artifact_path"], "its input example")
    return InputExample(path, _text(said.get("type")), _text(said.get("pandas_orient")))


def _text(value: object) -> str:
    return value[:200] if isinstance(value, str) else ""


def _bad(what: str) -> Invalid:
    return Invalid(f"{MLMODEL} {what}", code="mlmodel.invalid", hint="log the model again with a client of MLflow")
