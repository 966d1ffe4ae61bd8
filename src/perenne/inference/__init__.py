"""From a fitted estimator to a package that answers fast, alone and the same: encode, compile, prove parity, load, predict.

====================== ===========================================================================================
`model`                Structs: signature, manifest, parity, timing; how scores become predictions
`encoding`             `Encoder`: columns to the float32 matrix that estimators are trained and asked with; `encodings`
                       one input each, `target_encoding` how a category's numbers are learned
`compilation`          an estimator's compiled forms: `folding` (linear), `trees` (ensembles to ONNX), skl2onnx with our
                       `converters`; `forms` the same at predict time
`parity`               compiled against source on real rows, on rows at split thresholds and with values missing
`packaging`            `package`: the folder of a version, the same bytes for the same inputs; `source` the estimator in it
`foreign`              models that perenne did not train become packages: MLflow's folders, ONNX, boosters, scikit-learn, Python
`predictor`            `load`: the folder checked and read; `Predictor`: needs numpy, msgspec and ONNX Runtime only
`calibration`          which of several forms answers how many rows; `graphs`, `boosters` further forms
`sandbox`, `guest`     models that are code, each in a process of its own
`timing`, `explanation` how long an answer takes; what moved one answer
`whole`                a package as one ONNX graph, for where perenne is not
`signing`              signatures over a package's files: made, and judged
`describing`           what a package takes and answers, from the object store alone
====================== ===========================================================================================
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from perenne.inference import foreign as foreign
    from perenne.inference import signing as signing
    from perenne.inference.describing import Described as Described
    from perenne.inference.describing import describe as describe
    from perenne.inference.encoding import Encoder as Encoder
    from perenne.inference.explanation import explain as explain
    from perenne.inference.model import Attribution as Attribution
    from perenne.inference.model import Parity as Parity
    from perenne.inference.model import Prediction as Prediction
    from perenne.inference.model import Signature as Signature
    from perenne.inference.model import Timing as Timing
    from perenne.inference.model import decide as decide
    from perenne.inference.model import example_columns as example_columns
    from perenne.inference.packaging import package as package
    from perenne.inference.predictor import Predictor as Predictor
    from perenne.inference.predictor import load as load
    from perenne.inference.signing import SignatureState as SignatureState
    from perenne.inference.signing import Signed as Signed
    from perenne.inference.signing import TrustedKey as TrustedKey
    from perenne.inference.timing import time_predictor as time_predictor
    from perenne.inference.whole import WholeGraph as WholeGraph
    from perenne.inference.whole import whole_graph as whole_graph

_MODULES = ("foreign", "signing")
_HOMES = {
    "Attribution": "model",
    "Described": "describing",
    "Encoder": "encoding",
    "Parity": "model",
    "Prediction": "model",
    "Predictor": "predictor",
    "Signature": "model",
    "SignatureState": "signing",
    "Signed": "signing",
    "Timing": "model",
    "TrustedKey": "signing",
    "decide": "model",
    "describe": "describing",
    "example_columns": "model",
    "explain": "explanation",
    "load": "predictor",
    "package": "packaging",
    "time_predictor": "timing",
    "WholeGraph": "whole",
    "whole_graph": "whole",
}


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*_HOMES, *_MODULES])
