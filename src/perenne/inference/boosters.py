"""XGBoost and LightGBM as they are, through their C libraries: their Python packages would bring scikit-learn into every worker.

Both libraries read trees as data, never code. One thread: parallelism comes from workers.
"""

import ctypes
import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perenne.core.errors import Invalid, Unavailable

_FILES = {"xgboost": ("libxgboost", "xgboost"), "lightgbm": ("lib_lightgbm", "_lightgbm")}
_ROW_MAJOR, _FLOAT64, _NORMAL = 1, 1, 0


class XGBoostForm:
    """`model.ubj` or its JSON: probabilities, or values.

    Parameters
    ----------
    data : bytes
        The model. One that answers classes alone (`multi:softmax`) is asked for more, and its probabilities worked out here.
    """

    def __init__(self, data: bytes) -> None:
        self._library = _library("xgboost")
        self._handle = ctypes.c_void_p()
        self._call("XGBoosterCreate", None, ctypes.c_uint64(0), ctypes.byref(self._handle))
        self._call("XGBoosterLoadModelFromBuffer", self._handle, data, ctypes.c_uint64(len(data)))
        self._call("XGBoosterSetParam", self._handle, b"nthread", b"1")
        config = json.loads(self._config())
        self._softmax = config["learner"]["objective"]["name"] == "multi:softmax"
        # 0: as the objective has it, 1: before its link.
        asked = {"type": int(self._softmax), "training": False, "iteration_begin": 0, "iteration_end": 0, "strict_shape": True}
        self._asked = json.dumps(asked | {"missing": float("nan"), "cache_id": 0}).encode()

    def outputs(self, matrix: NDArray[Any]) -> NDArray[np.float64]:
        """Answer rows."""
        rows = np.ascontiguousarray(matrix, np.float32)
        interface = json.dumps({"data": [rows.ctypes.data, True], "shape": rows.shape, "typestr": "<f4", "version": 3}).encode()
        shape, dimensions = ctypes.POINTER(ctypes.c_uint64)(), ctypes.c_uint64()
        found = ctypes.POINTER(ctypes.c_float)()
        self._call(
            "XGBoosterPredictFromDense",
            self._handle,
            interface,
            self._asked,
            None,
            ctypes.byref(shape),
            ctypes.byref(dimensions),
            ctypes.byref(found),
        )
        sizes = [shape[place] for place in range(dimensions.value)]
        answers = np.ctypeslib.as_array(found, sizes).astype(np.float64).reshape(len(rows), -1)
        return _softmax(answers) if self._softmax else answers

    def _config(self) -> bytes:
        length, text = ctypes.c_uint64(), ctypes.c_char_p()
        self._call("XGBoosterSaveJsonConfig", self._handle, ctypes.byref(length), ctypes.byref(text))
        return text.value or b"{}"

    def _call(self, name: str, *arguments: Any) -> None:
        if getattr(self._library, name)(*arguments):
            self._library.XGBGetLastError.restype = ctypes.c_char_p
            raise _unreadable("xgboost", self._library.XGBGetLastError())

    def __del__(self) -> None:
        if self._handle:
            self._library.XGBoosterFree(self._handle)


class LightGBMForm:
    """`model.txt`: probabilities, or values.

    Parameters
    ----------
    data : bytes
        The model's text.
    """

    def __init__(self, data: bytes) -> None:
        self._library = _library("lightgbm")
        self._handle, iterations, classes = ctypes.c_void_p(), ctypes.c_int(), ctypes.c_int()
        self._call("LGBM_BoosterLoadModelFromString", data, ctypes.byref(iterations), ctypes.byref(self._handle))
        self._call("LGBM_BoosterGetNumClasses", self._handle, ctypes.byref(classes))
        self._width = max(classes.value, 1)

    def outputs(self, matrix: NDArray[Any]) -> NDArray[np.float64]:
        """Answer rows."""
        rows = np.ascontiguousarray(matrix, np.float64)
        answers = np.empty((len(rows), self._width))
        length = ctypes.c_int64()
        self._call(
            "LGBM_BoosterPredictForMat",
            self._handle,
            ctypes.c_void_p(rows.ctypes.data),
            ctypes.c_int(_FLOAT64),
            ctypes.c_int32(rows.shape[0]),
            ctypes.c_int32(rows.shape[1]),
            ctypes.c_int(_ROW_MAJOR),
            ctypes.c_int(_NORMAL),
            ctypes.c_int(0),
            ctypes.c_int(-1),
            b"num_threads=1",
            ctypes.byref(length),
            ctypes.c_void_p(answers.ctypes.data),
        )
        return answers

    def _call(self, name: str, *arguments: Any) -> None:
        if getattr(self._library, name)(*arguments):
            self._library.LGBM_GetLastError.restype = ctypes.c_char_p
            raise _unreadable("lightgbm", self._library.LGBM_GetLastError())

    def __del__(self) -> None:
        if self._handle:
            self._library.LGBM_BoosterFree(self._handle)


@cache
def _library(package: str) -> ctypes.CDLL:
    """Load a package's C library without importing the package."""
    found = find_spec(package)
    roots = [] if found is None else [Path(root) for root in found.submodule_search_locations or ()]
    for root in roots:
        for folder in (root / "lib", root / "bin", root):
            for stem in _FILES[package]:
                for path in sorted(folder.glob(f"{stem}.*")):
                    if path.suffix in (".so", ".dylib", ".dll"):
                        return ctypes.CDLL(str(path))
    raise Unavailable(
        f"{package} is not installed, and the model is one of its own",
        code="inference.library_missing",
        hint="`pip install 'perenne[boosting]'` brings it",
    )


def _softmax(margins: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(margins - margins.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _unreadable(package: str, said: bytes | None) -> Invalid:
    text = (said or b"").decode(errors="replace").strip().partition("\n")[0]
    return Invalid(
        f"{package} cannot use the model: {text[:200]}",
        code="inference.form_invalid",
        hint="save it with the library's own `save_model`",
    )
