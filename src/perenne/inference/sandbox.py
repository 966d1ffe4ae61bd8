"""Models that are code, each in a process of its own: started with nothing of ours, asked over a socket pair, ended when late.

What is in `guest` runs there. The process gets a private folder, no variables of this one, no network and no
place to write but that folder where the system allows it, and a time in which to answer; one that dies or is ended is started
again for the next request.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from perenne.core.errors import PerenneError, Unavailable
from perenne.inference import guest
from perenne.inference.forms import matrix_of
from perenne.inference.model import Prediction, Signature, decide, of_outputs
from perenne.stats.columns import Columns, FieldKind, Task, row_count

MEMORY = 16 << 30
LOAD_SECONDS = 120.0
ANSWER_SECONDS = 30.0
MLFLOW_PYTHON = "PERENNE_MLFLOW_PYTHON"
GUEST = "guest.json"
_KEPT = ("PATH", "LANG", "LC_ALL", "SYSTEMROOT", "LD_LIBRARY_PATH")


class SourceFailed(PerenneError):
    """The model raised an error, or did not answer in time."""

    status = 500


class GuestSetting(msgspec.Struct, frozen=True, kw_only=True):
    """`guest.json`: how a package's source is loaded and asked.

    Attributes
    ----------
    kind : str
        `estimator`, `mlflow`, or `torch` where a model of PyTorch is exported.
    path : str
        File or folder, relative to the package.
    form : str
        Of an estimator: `skops`, `pickle` or `joblib`.
    method : str
        Of an estimator: `predict_proba`, `predict` or `transform`.
    trusted_types : tuple of str
        Types a skops file may hold beyond those that are always safe.
    kinds : dict
        Of MLflow's models: the types of the inputs as they were signed.
    matrix : bool
        Whether it is asked with one matrix, else by columns.
    trust : str
        Why code may run: whom or what it was trusted by; empty if the file holds none.
    """

    kind: str
    path: str
    form: str = ""
    method: str = "predict"
    trusted_types: tuple[str, ...] = ()
    kinds: dict[str, str] = {}
    matrix: bool = True
    trust: str = ""


class Started(NamedTuple):
    """A process, our end of the wire to it, and its private folder."""

    process: subprocess.Popen[bytes]
    wire: socket.socket
    home: str

    def end(self) -> None:
        """End it and remove its folder."""
        self.wire.close()
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.home, ignore_errors=True)


def start(command: list[str]) -> Started:
    """Start a process with nothing of ours but the number of its end of a wire, as the last argument."""
    ours, theirs = socket.socketpair()
    home = tempfile.mkdtemp(prefix="perenne-guest-")  # (0700)
    with theirs:
        process = subprocess.Popen(
            [*command, str(theirs.fileno())],
            cwd=home,
            env=bare_environment(home),
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    return Started(process, ours, home)


class Guest:
    """A process with a model in it; started when it is first asked, and again after it died.

    Parameters
    ----------
    folder : Path
        Where the setting's path lies.
    setting : GuestSetting
        What is loaded.
    names : tuple of str
        The inputs, in order.
    seconds : float
        How long an answer may take.
    """

    def __init__(self, folder: Path, setting: GuestSetting, names: tuple[str, ...], seconds: float = ANSWER_SECONDS) -> None:
        self._folder = Path(folder)
        self._setting = setting
        self._names = names
        self._seconds = seconds
        self._lock = threading.Lock()
        self._started: Started | None = None
        self.isolated: dict[str, bool] = {}

    def ask(self, columns: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Let the model answer.

        Raises
        ------
        SourceFailed
            If it raises an error, dies, or takes too long.
        Unavailable
            If it cannot be started.
        """
        with self._lock:
            wire = self._started.wire if self._started else self._start()
            try:
                wire.settimeout(self._seconds)
                guest.send(wire, {}, list(columns.items()))
                head, arrays = guest.receive(wire)
            except TimeoutError:
                self._end()
                raise _failed(f"the model did not answer in {self._seconds:g} seconds") from None
            except (EOFError, OSError, ValueError):
                self._end()
                raise _failed("the model's process died") from None
        if "error" in head:
            raise _failed(f"the model raised {head['error']}")
        return arrays

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()

    def __del__(self) -> None:
        self._end()

    def _start(self) -> socket.socket:
        started = start([python_for(self._setting.kind), "-I", "-B", str(Path(guest.__file__))])
        self._started, ours = started, started.wire
        ours.settimeout(LOAD_SECONDS)
        try:
            guest.send(ours, self._head())
            head, _ = guest.receive(ours)
        except (TimeoutError, EOFError, OSError, ValueError):
            head = {"error": "its process died or was too slow"}
        if "error" in head:
            self._end()
            raise Unavailable(
                f"the model cannot be loaded in its own process: {head['error']}",
                code="inference.source_unloadable",
                hint="its libraries must be installed here, in the versions it was made with",
            )
        self.isolated = {name: bool(head.get(name)) for name in ("network", "files")}
        return ours

    def _head(self) -> dict[str, Any]:
        setting = self._setting
        return {
            "kind": setting.kind,
            "path": str((self._folder / setting.path).absolute()),
            "form": setting.form,
            "method": setting.method,
            "trusted_types": list(setting.trusted_types),
            "kinds": setting.kinds,
            "names": list(self._names),
            "memory": MEMORY,
        }

    def _end(self) -> None:
        started, self._started = self._started, None
        if started is not None:
            started.end()


class SourceForm:
    """The original model, answering in its own process.

    Parameters
    ----------
    folder : Path
        The package.
    setting : GuestSetting
        How it is loaded and asked.
    signature : Signature
        What is taken and answered.
    """

    def __init__(self, folder: Path, setting: GuestSetting, signature: Signature, seconds: float = ANSWER_SECONDS) -> None:
        self._signature = signature
        self._setting = setting
        self.guest = Guest(folder, setting, signature.names, seconds)

    def signed(self, signature: Signature) -> "SourceForm":
        """Return the same process under another signature."""
        other = SourceForm.__new__(SourceForm)
        other._signature, other._setting, other.guest = signature, self._setting, self.guest
        return other

    def predict(self, columns: Columns) -> Prediction:
        """Answer rows."""
        from perenne.inference.graphs import empty

        rows = row_count(columns)
        if not rows:
            return empty(self._signature)
        answers = self.guest.ask(given_columns(self._signature, columns, matrix=self._setting.matrix))
        wrong = [name for name, values in answers.items() if values.shape[:1] != (rows,)]
        if wrong:
            raise _failed(f"the model gave another number of answers than {rows} rows")
        return self._read(answers, rows)

    def close(self) -> None:
        """End the process."""
        self.guest.close()

    def _read(self, answers: dict[str, NDArray[Any]], rows: int) -> Prediction:
        signature = self._signature
        if signature.outputs:
            return of_outputs(named_outputs(signature, answers))
        table = np.asarray(next(iter(answers.values())), np.float64).reshape(rows, -1)
        if signature.task is Task.REGRESSION:
            return Prediction(table[:, 0], None)
        return Prediction(decide(signature.task, table, signature.threshold), table)


def given_columns(signature: Signature, columns: Columns, *, matrix: bool) -> dict[str, NDArray[Any]]:
    """Return columns as the process is given them: a float64 matrix, one tensor, or all by name."""
    if matrix:
        return {"@matrix": matrix_of(signature, columns)}
    if len(signature.fields) == 1 and signature.fields[0].kind is FieldKind.TENSOR:
        return {"@tensor": columns[signature.names[0]]}
    return {name: columns[name] for name in signature.names if name in columns}


def named_outputs(signature: Signature, answers: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return answers in the names and types that were signed; an unnamed answer is the first output."""
    found: dict[str, NDArray[Any]] = {}
    for output in signature.outputs:
        values = answers.get(output.name, answers.get("@answer"))
        if values is None:
            raise _failed(f"the model did not answer {output.name!r}")
        wanted = np.dtype(object if output.datatype == "string" else output.datatype)
        found[output.name] = values.astype(str).astype(object) if wanted.kind == "O" else values.astype(wanted)
    return found


def python_for(kind: str) -> str:
    """Return the Python a model's process runs. Raises Unavailable if MLflow is needed and none is named or installed."""
    if kind == "estimator":
        return sys.executable
    named = os.environ.get(MLFLOW_PYTHON, "")
    if named:
        return named
    from importlib.util import find_spec

    if find_spec("mlflow") is not None and find_spec("pandas") is not None:
        return sys.executable
    raise Unavailable(
        "the model is MLflow's own python_function, which needs MLflow",
        code="inference.mlflow_missing",
        hint=f"set {MLFLOW_PYTHON} to the Python of an environment with mlflow, or `pip install mlflow` into this one",
    )


def bare_environment(home: str) -> dict[str, str]:
    """Return the variables a model's process gets: how to find programs, and its own folder; none of ours."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**kept, "HOME": home, "TMPDIR": home, "OMP_NUM_THREADS": "1"}


def _failed(message: str) -> SourceFailed:
    with contextlib.suppress(UnicodeError):
        message = message.encode("utf-8", "replace").decode()
    return SourceFailed(message, code="inference.source_failed", hint="the model's own code says so, not perenne")
