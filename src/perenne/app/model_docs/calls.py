"""A row as calls to copy: with curl, with Python alone, with tritonclient, with MLflow's client. Each runs as it stands. Pure."""

import json
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from perenne.core.errors import Invalid
from perenne.inference import Signature
from perenne.protocols.columns import expected_datatype
from perenne.stats.columns import Field, FieldKind

_URL = re.compile(r"(https?)://([A-Za-z0-9.-]+|\[[0-9a-f:]+\])(:\d{1,5})?")
_DTYPES = {"FP16": "float16", "FP32": "float32", "FP64": "float64", "BOOL": "bool", "BYTES": "object"}


class Tensor(msgspec.Struct, frozen=True):
    """An input of the Open Inference Protocol, of one row."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any]


class Call(msgspec.Struct, frozen=True):
    """A call to copy: a word for it, its title, and the text."""

    key: str
    title: str
    text: str


def tensors_of(signature: Signature, row: Mapping[str, Any]) -> list[Tensor]:
    """Return a row as inputs; what is missing is null in a datatype that has it."""
    return [_tensor(field, row[field.name]) for field in signature.fields]


def calls_of(url: str, deployment: str, signature: Signature, row: Mapping[str, Any], *, token: bool) -> list[Call]:
    """Write the calls.

    Parameters
    ----------
    url : str
        Where the server is reached.
    token : bool
        Whether callers must show one; it is read from `PERENNE_TOKEN`, and never written here.

    Raises
    ------
    Invalid
        If the URL is none.
    """
    if not _URL.fullmatch(url):
        raise Invalid("url: expected where this server is reached, such as http://127.0.0.1:7374", code="INVALID_PARAMETER_VALUE")
    tensors = tensors_of(signature, row)
    return [
        Call("curl", "curl", _curl(url, deployment, tensors, token=token)),
        Call("python", "Python", _python(url, deployment, tensors, token=token)),
        Call("tritonclient", "tritonclient", _triton(url, deployment, tensors, token=token)),
        Call("mlflow", "MLflow", _mlflow(url, row, token=token)),
    ]


def _tensor(field: Field, value: Any) -> Tensor:
    if field.kind is FieldKind.TENSOR:
        flat, shape = _flatten(value if value is not None else [])
        return Tensor(field.name, [1, *shape], expected_datatype(field), flat)
    datatype = expected_datatype(field)
    if field.kind is FieldKind.TIME or (value is None and field.kind is FieldKind.CATEGORY):
        datatype = "BYTES"
    elif field.kind is FieldKind.NUMBER:
        datatype = "INT64" if isinstance(value, int) and datatype == "INT64" else "FP64"
    elif isinstance(value, str):
        datatype = "BYTES"
    return Tensor(field.name, [1], datatype, [value])


def _flatten(value: Any) -> tuple[list[Any], list[int]]:
    if not isinstance(value, list):
        return [value], []
    parts = [_flatten(item) for item in value]
    return [leaf for leaves, _ in parts for leaf in leaves], [len(value), *(parts[0][1] if parts else [])]


def _body(tensors: list[Tensor]) -> str:
    return json.dumps({"inputs": [msgspec.to_builtins(tensor) for tensor in tensors]}, ensure_ascii=False)


def _curl(url: str, deployment: str, tensors: list[Tensor], *, token: bool) -> str:
    header = ' -H "authorization: Bearer $PERENNE_TOKEN"' if token else ""
    body = _body(tensors).replace("'", "'\\''")
    return f"curl -s {url}/v2/models/{deployment}/infer{header} \\\n  -H 'content-type: application/json' \\\n  -d '{body}'"


def _python(url: str, deployment: str, tensors: list[Tensor], *, token: bool) -> str:
    lines = "\n".join(f"    {msgspec.to_builtins(tensor)!r}," for tensor in tensors)
    shown = ', "authorization": f"Bearer {os.environ[\'PERENNE_TOKEN\']}"' if token else ""
    return f'''import json{", os" if token else ""}, urllib.request

inputs = [
{lines}
]
request = urllib.request.Request(
    "{url}/v2/models/{deployment}/infer",
    json.dumps({{"inputs": inputs}}).encode(),
    {{"content-type": "application/json"{shown}}},
)
with urllib.request.urlopen(request) as answer:
    for output in json.load(answer)["outputs"]:
        print(output["name"], output["data"])
'''


def _triton(url: str, deployment: str, tensors: list[Tensor], *, token: bool) -> str:
    if any(value is None for tensor in tensors for value in tensor.data if tensor.datatype == "BYTES"):
        return "# tritonclient cannot send a text, boolean or time that is missing:\n# fill it in, or call in another way\n"
    scheme, _, host = url.partition("://")
    lines = "\n".join(f"    ({tensor.name!r}, {tensor.datatype!r}, {_array(tensor)})," for tensor in tensors)
    secure = ", ssl=True" if scheme == "https" else ""
    shown = ', headers={"authorization": f"Bearer {os.environ[\'PERENNE_TOKEN\']}"}' if token else ""
    return f'''{"import os" + chr(10) if token else ""}import numpy as np
import tritonclient.http as triton

row = [
{lines}
]
inputs = []
for name, datatype, values in row:
    tensor = triton.InferInput(name, values.shape, datatype)
    tensor.set_data_from_numpy(values)
    inputs.append(tensor)
client = triton.InferenceServerClient("{host}"{secure})
answer = client.infer("{deployment}", inputs{shown})
for output in answer.get_response()["outputs"]:
    print(output["name"], answer.as_numpy(output["name"]))
'''


def _array(tensor: Tensor) -> str:
    dtype = _DTYPES.get(tensor.datatype, tensor.datatype.lower())
    values = ", ".join("np.nan" if value is None else repr(value) for value in tensor.data)
    shaped = f".reshape({tensor.shape})" if len(tensor.shape) > 1 else ""
    return f'np.array([{values}], "{dtype}"){shaped}'


def _mlflow(url: str, row: Mapping[str, Any], *, token: bool) -> str:
    lines = "\n".join(f"    {name!r}: {value!r}," for name, value in row.items())
    host, _, port = url.partition("://")[2].rpartition(":")
    if token or url.startswith("https") or not port.isdigit():
        return _requests(url, lines, token=token)
    return f'''import pandas as pd
from mlflow.pyfunc.scoring_server.client import ScoringServerClient

row = {{
{lines}
}}
client = ScoringServerClient("{host}", {port})
print(client.invoke(pd.DataFrame([row])).get_predictions())
'''


def _requests(url: str, lines: str, *, token: bool) -> str:
    shown = ', headers={"authorization": f"Bearer {os.environ[\'PERENNE_TOKEN\']}"}' if token else ""
    return f'''# MLflow's own client can show no token and speaks no TLS; this sends what it would
{"import os" + chr(10) if token else ""}import requests

row = {{
{lines}
}}
answer = requests.post("{url}/invocations", json={{"dataframe_records": [row]}}{shown})
print(answer.json()["predictions"])
'''
