"""How people call a deployment: real inputs in a command and in a few lines of Python. Pure."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from perenne.inference import Signature
from perenne.stats.levels import level_text

SHOWN_INPUTS = 60


class InputLine(msgspec.Struct, frozen=True):
    """An input: its name, its type, and a value it may have."""

    name: str
    datatype: str
    example: float | str | None


class Calling(msgspec.Struct, frozen=True):
    """How to call a deployment.

    Attributes
    ----------
    inputs : tuple of InputLine
        What the champion takes; `more_inputs` more are not listed.
    target, task : str
        What is answered.
    classes : tuple of str
        The answers there are; empty for a number.
    curl, python : str
        A call with the example's values, to be pasted.
    page : str
        Where the server's own page is, with a form to try it; empty if no server runs.
    """

    inputs: tuple[InputLine, ...]
    more_inputs: int
    target: str
    task: str
    classes: tuple[str, ...]
    curl: str
    python: str
    page: str = ""


def calling(url: str, signature: Signature, example: Mapping[str, Sequence[float | str | None]], *, token: bool) -> Calling:
    """Write how a model server is called at a URL.

    Parameters
    ----------
    example : mapping
        By input, values it was asked with when it was packaged.
    token : bool
        Whether callers must show one.
    """
    row = {field.name: _example(field.datatype, example.get(field.name, ())) for field in signature.fields}
    inputs = tuple(InputLine(field.name, field.datatype, row[field.name]) for field in signature.fields[:SHOWN_INPUTS])
    return Calling(
        inputs,
        len(signature.fields) - len(inputs),
        signature.target,
        signature.task.value,
        tuple(level_text(label) or "" for label in signature.classes),
        _curl(url, row, token=token),
        _python(url, row, token=token),
    )


def _example(datatype: str, values: Sequence[float | str | None]) -> Any:
    value = next((value for value in values if value is not None), None)
    whole = datatype.startswith(("int", "uint")) and isinstance(value, float) and value.is_integer()
    if datatype == "bool" and isinstance(value, str):
        return value == "true"
    return int(value) if whole and isinstance(value, float) else value


def _curl(url: str, row: Mapping[str, Any], *, token: bool) -> str:
    body = json.dumps({"dataframe_records": [row]}, ensure_ascii=False).replace("'", "'\\''")
    header = ' -H "authorization: Bearer $PERENNE_TOKEN"' if token else ""
    return f"curl -s {url}/invocations -H 'content-type: application/json'{header} \\\n  -d '{body}'"


def _python(url: str, row: Mapping[str, Any], *, token: bool) -> str:
    inputs = "\n".join(f"    {name!r}: {value!r}," for name, value in row.items())
    shown = ', "authorization": f"Bearer {os.environ[\'PERENNE_TOKEN\']}"' if token else ""
    return f'''import json{", os" if token else ""}, urllib.request

row = {{
{inputs}
}}
request = urllib.request.Request(
    "{url}/invocations",
    json.dumps({{"dataframe_records": [row]}}).encode(),
    {{"content-type": "application/json"{shown}}},
)
with urllib.request.urlopen(request) as answer:
    print(json.load(answer))
'''
