"""The process in which models run that are code: pickles, skops, MLflow's Python models. Nothing of it runs anywhere else.

It needs the standard library, numpy and what the model needs, for it may be started with another Python than perenne's. Before
the model is touched the process gives up what it can: network, new privileges, core files, memory without end.

Messages on the socket pair, both ways: two lengths, a JSON head, and the bytes of the arrays it lists.
"""

import contextlib
import ctypes
import json
import os
import resource
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterable
from typing import Any

import numpy as np

_LENGTHS = struct.Struct("<IQ")
_MOST = 1 << 30
_PR_SET_NO_NEW_PRIVS = 38
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_LANDLOCK_PATH_BENEATH = 1
_WRITES = 1 << 1 | sum(1 << bit for bit in range(4, 13))
"""Landlock's rights to write, remove and make files and folders."""
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000


def send(wire: socket.socket, head: dict[str, Any], arrays: Iterable[tuple[str, Any]] = ()) -> None:
    """Send a head and named arrays; arrays of objects travel as texts."""
    listed: list[dict[str, Any]] = []
    parts: list[bytes] = []
    for name, values in arrays:
        if values.dtype == object:
            texts = [None if value is None else str(value) for value in values.ravel().tolist()]
            listed.append({"name": name, "shape": values.shape, "texts": texts})
        else:
            data = np.ascontiguousarray(values).tobytes()
            listed.append({"name": name, "shape": values.shape, "dtype": values.dtype.str, "size": len(data)})
            parts.append(data)
    text = json.dumps({**head, "arrays": listed}).encode()
    body = b"".join(parts)
    wire.sendall(_LENGTHS.pack(len(text), len(body)) + text + body)


def receive(wire: socket.socket) -> tuple[dict[str, Any], dict[str, Any]]:
    """Receive a head and its arrays by name. Raises EOFError if the other side is gone, ValueError if it sends nonsense."""
    length, size = _LENGTHS.unpack(_exactly(wire, _LENGTHS.size))
    if length + size > _MOST:
        raise ValueError("a message is too large")
    head, body = json.loads(_exactly(wire, length)), _exactly(wire, size)
    arrays: dict[str, Any] = {}
    at = 0
    for listed in head.pop("arrays"):
        if "texts" in listed:
            values: Any = np.empty(len(listed["texts"]), object)
            values[:] = listed["texts"]
        else:
            dtype = np.dtype(listed["dtype"])
            values = np.frombuffer(body, dtype, listed["size"] // dtype.itemsize, at)
            at += listed["size"]
        arrays[listed["name"]] = values.reshape(listed["shape"])
    return head, arrays


def _exactly(wire: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        read = wire.recv(min(size - len(parts), 1 << 20))
        if not read:
            raise EOFError
        parts += read
    return bytes(parts)


def confine(memory: int, cpu_seconds: int = 0) -> dict[str, bool]:
    """Give up what a model does not need; tell what was given up."""
    done = {"network": False, "files": False}
    for kind, most in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_AS, memory), (resource.RLIMIT_CPU, cpu_seconds)):
        if most or kind == resource.RLIMIT_CORE:
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(kind, (most, most))
    if sys.platform != "linux":
        return done
    library = ctypes.CDLL(None, use_errno=True)
    library.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    # A network of its own has no way out. As root no user namespace is needed; it would only hide who owns the files.
    flags = _CLONE_NEWNET if os.geteuid() == 0 else _CLONE_NEWNET | _CLONE_NEWUSER
    done["network"] = library.unshare(flags) == 0 or library.unshare(_CLONE_NEWNET | _CLONE_NEWUSER) == 0
    done["files"] = _write_nowhere_but(library, os.getcwd())
    return done


def landlock_version() -> int:
    """Return the version of Landlock that the kernel has; 0 for none."""
    if sys.platform != "linux":
        return 0
    return max(0, int(ctypes.CDLL(None).syscall(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), 1)))


def _write_nowhere_but(library: Any, folder: str) -> bool:
    """Let this process write below one folder and nowhere else, by Landlock; tell whether the kernel has it."""
    handled = struct.pack("<Q", _WRITES)
    rules = library.syscall(_LANDLOCK_CREATE, handled, ctypes.c_size_t(len(handled)), 0)
    if rules < 0:
        return False
    done: bool = True
    for path in (folder, "/dev/null"):
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        rights = _WRITES if path == folder else 1 << 1
        failed = library.syscall(_LANDLOCK_ADD, rules, _LANDLOCK_PATH_BENEATH, struct.pack("<Qi", rights, place), 0)
        done = done and not failed
        os.close(place)
    done = done and not library.syscall(_LANDLOCK_RESTRICT, rules, 0)
    os.close(rules)
    return done


def load_estimator(path: str, form: str, trusted_types: list[str]) -> Any:
    """Load an estimator: skops with the types that were allowed, or a pickle that was trusted."""
    if form == "skops":
        from skops.io import load

        return load(path, trusted=trusted_types)
    if form == "joblib":
        import joblib

        return joblib.load(path)
    import pickle

    with open(path, "rb") as stream:
        return pickle.load(stream)  # noqa: S301  said to be trusted by whoever packaged it, and this process has nothing to lose


class Estimator:
    """An estimator of scikit-learn, or one that behaves alike."""

    def __init__(self, setting: dict[str, Any]) -> None:
        self.model = load_estimator(setting["path"], setting["form"], setting.get("trusted_types") or [])
        self.names: list[str] = setting["names"]
        self.method = setting.get("method", "predict")

    def __call__(self, columns: dict[str, Any]) -> dict[str, Any]:
        """Answer rows."""
        given = columns["@matrix"] if "@matrix" in columns else self._table(columns)
        answer = np.asarray(getattr(self.model, self.method)(given))
        return {"@answer": answer.astype(np.float64) if self.method == "predict_proba" else _array(answer)}

    def _table(self, columns: dict[str, Any]) -> Any:
        if getattr(self.model, "feature_names_in_", None) is None:
            return (
                np.array([columns[name] for name in self.names], object).T if len(columns) > 1 else next(iter(columns.values()))
            )
        import pandas

        return pandas.DataFrame({name: columns[name] for name in self.names})


class PythonModel:
    """What MLflow wraps: any flavor by its `python_function`."""

    def __init__(self, setting: dict[str, Any]) -> None:
        _quiet()
        import mlflow.pyfunc

        self.model = mlflow.pyfunc.load_model(setting["path"])
        self.kinds = setting["kinds"]

    def __call__(self, columns: dict[str, Any]) -> dict[str, Any]:
        """Answer rows."""
        answer = self.model.predict(self._given(columns))
        if isinstance(answer, dict):
            return {str(name): _array(values) for name, values in answer.items()}
        if hasattr(answer, "columns"):  # a DataFrame
            return {str(name): _array(answer[name]) for name in answer.columns}
        return {"@answer": _array(answer)}

    def _given(self, columns: dict[str, Any]) -> Any:
        if "@tensor" in columns:
            return columns["@tensor"]
        if self.kinds and all(kind == "tensor" for kind in self.kinds.values()):
            return dict(columns)
        import pandas

        return pandas.DataFrame({name: self._typed(name, values) for name, values in columns.items()})

    def _typed(self, name: str, values: Any) -> Any:
        kind = self.kinds.get(name, "")
        if kind == "datetime":
            import pandas

            return pandas.to_datetime(values, unit="s")
        if kind == "boolean":
            return np.array([value == "true" for value in values.tolist()], bool)
        if kind in ("long", "integer", "float") and not np.isnan(values).any():
            return values.astype({"long": np.int64, "integer": np.int32, "float": np.float32}[kind])
        return values


class TorchModel:
    """A module of PyTorch, which is also exported to ONNX if that is asked for."""

    def __init__(self, setting: dict[str, Any]) -> None:
        _quiet()
        import mlflow.pytorch

        self.model = mlflow.pytorch.load_model(setting["path"])
        try:
            self.model.eval()
        except NotImplementedError:  # what torch.export wrote has one mode, and its exporter to ONNX asks for another
            self.model.train = self.model.eval = lambda mode=True: self.model

    def __call__(self, columns: dict[str, Any]) -> dict[str, Any]:
        """Answer rows."""
        import torch

        given = torch.from_numpy(np.array(columns["@tensor"]))
        with torch.no_grad():
            answer = {"@answer": _array(self.model(given).numpy())}
        if "@export" in columns:
            answer["@onnx"] = self._exported(given)
        return answer

    def _exported(self, given: Any) -> Any:
        import io

        import torch

        stream = io.BytesIO()
        axes = {"x": {0: "rows"}, "y": {0: "rows"}}
        said = {"input_names": ["x"], "output_names": ["y"], "dynamic_axes": axes, "dynamo": False}
        torch.onnx.export(self.model, (given,), stream, **said)
        return np.frombuffer(stream.getvalue(), np.uint8)


def _quiet() -> None:
    """Keep MLflow from telling anybody, and from looking for a server."""
    os.environ.update(MLFLOW_DISABLE_TELEMETRY="true", MLFLOW_TRACKING_URI=f"file://{os.getcwd()}", DO_NOT_TRACK="true")


_KINDS = {"mlflow": PythonModel, "torch": TorchModel}


def _array(values: Any) -> Any:
    array: Any = np.asarray(values)
    if array.dtype.kind in "US" or (
        array.dtype == object and not all(isinstance(value, (int, float)) for value in array.ravel())
    ):
        return array.astype(object)
    return array.astype(np.float64) if array.dtype == object else array


def _leave_with(parent: int) -> None:
    """End when the process that started this one is gone, also in the middle of a call."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def main() -> None:
    """Load what the first message names, then answer until the other side goes."""
    wire = socket.socket(fileno=int(sys.argv[1]))
    setting, _ = receive(wire)
    given_up = confine(setting["memory"])
    threading.Thread(target=_leave_with, args=(os.getppid(),), daemon=True).start()
    try:
        answer: Any = _KINDS.get(setting["kind"], Estimator)(setting)
    except Exception as error:
        send(wire, {"error": f"{type(error).__name__}: {error}"[:1000]})
        return
    send(wire, {"ready": True, **given_up})
    while True:
        try:
            _, columns = receive(wire)
        except EOFError:
            return
        try:
            send(wire, {}, list(answer(columns).items()))
        except Exception as error:
            send(wire, {"error": f"{type(error).__name__}: {error}"[:1000]})


if __name__ == "__main__":
    main()
