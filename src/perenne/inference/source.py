"""The source estimator as skops, the same bytes for the same estimator.

skops names nodes and arrays by memory address and stamps each entry with the time of day; here they are numbered by first use.
"""

import io
import json
import zipfile
from typing import Any

from perenne.core.errors import Invalid

_SCHEMA = "schema.json"
_EPOCH = (1980, 1, 1, 0, 0, 0)


def write_source(estimator: Any) -> bytes:
    """Write an estimator as skops. It holds no code and loads only types the reader trusts.

    Raises
    ------
    Invalid
        If the estimator has parts that only a pickle could keep.
    """
    from skops.io import dumps

    try:
        data = dumps(estimator)
    except Exception as error:  # (whatever the part's own class raises)
        raise Invalid(
            f"{type(estimator).__name__} cannot be kept without a pickle: {error}",
            code="inference.not_compilable",
            hint="leave out functions and objects of your own among its parameters",
        ) from error
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        schema = json.loads(archive.read(_SCHEMA))
        names: dict[str, str] = {}
        _number(schema, {}, names)
        stream = io.BytesIO()
        # Stored, not deflated: another zlib would compress to other bytes.
        with zipfile.ZipFile(stream, "w") as out:
            for old, new in names.items():
                out.writestr(zipfile.ZipInfo(new, _EPOCH), archive.read(old))
            out.writestr(zipfile.ZipInfo(_SCHEMA, _EPOCH), json.dumps(schema, separators=(",", ":")))
    return stream.getvalue()


def _number(node: Any, ids: dict[int, int], names: dict[str, str]) -> None:
    """Renumber ids and file names below a node in place."""
    if isinstance(node, list):
        for item in node:
            _number(item, ids, names)
    if not isinstance(node, dict):
        return
    if node.get("__loader__") == "JsonNode":
        # Whether two equal texts are one object in memory is chance, and does not matter.
        node.pop("__id__", None)
    elif isinstance(node.get("__id__"), int):
        node["__id__"] = ids.setdefault(node["__id__"], len(ids) + 1)
    if "__loader__" in node and isinstance(node.get("file"), str):
        suffix = node["file"].partition(".")[2]
        node["file"] = names.setdefault(node["file"], f"{len(names) + 1}.{suffix}")
    for item in node.values():
        _number(item, ids, names)
