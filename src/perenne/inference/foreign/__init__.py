"""Models that perenne did not train: `find` them, look at them on the `workbench`, and `package_model`.

==================== ===============================================================================================
`finding`            what lies in a folder or file, and whether it is code; who vouches for it (`Trust`)
`bench`, `workbench` the process in which it is loaded, and compiled: facts and forms come back, nothing else
`boosted`            trees of XGBoost and LightGBM, read from their own files
`onnx_models`        what an ONNX model takes and answers
`torch_models`       PyTorch's, exported where torch is
`rows`               fields as they were signed; rows that were logged with a model, or drawn
`packaging`          `package_model`: forms tried, those that pass kept; `writing` the folder
==================== ===============================================================================================
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from perenne.inference.foreign.finding import Found as Found
    from perenne.inference.foreign.finding import Trust as Trust
    from perenne.inference.foreign.finding import digest_of as digest_of
    from perenne.inference.foreign.finding import find as find
    from perenne.inference.foreign.finding import require_trust as require_trust
    from perenne.inference.foreign.packaging import package_model as package_model
    from perenne.inference.foreign.writing import Packaged as Packaged

_HOMES = {
    "Found": "finding",
    "Packaged": "writing",
    "Trust": "finding",
    "digest_of": "finding",
    "find": "finding",
    "package_model": "packaging",
    "require_trust": "finding",
}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
