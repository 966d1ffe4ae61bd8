"""Our side of the workbench: starts the process, asks it, and reads what it made. Nothing of a model is loaded here."""

import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from perenne.core.errors import Invalid
from perenne.inference import guest, sandbox
from perenne.inference.foreign.finding import Found
from perenne.inference.foreign.workbench import Facts
from perenne.inference.model import DroppedForm, Form, Prediction, Signature, decide
from perenne.stats.columns import Task


class MadeForm(NamedTuple):
    """A form on trial; `native` ones are wanted beside ONNX."""

    form: Form
    converter: str
    data: bytes
    fill: list[float] | None
    native: bool


class Tried(NamedTuple):
    """What came from the bench: rows, the source's answers to them, and forms to compare."""

    counts: tuple[int, int, int]
    rows: NDArray[Any]
    answers: NDArray[Any]
    medians: list[float] | None
    forms: list[MadeForm | DroppedForm]

    def prediction(self, signature: Signature) -> Prediction:
        """Return the source's answers."""
        if signature.task is Task.REGRESSION:
            return Prediction(self.answers, None)
        return Prediction(decide(signature.task, self.answers, signature.threshold), self.answers)


class Bench:
    """The process in which a model is looked at; see `workbench`."""

    def __init__(self, found: Found) -> None:
        self._started = sandbox.start([sys.executable, "-I", "-B", "-m", "perenne.inference.foreign.workbench"])
        self._started.wire.settimeout(600.0)
        self._setting = {"kind": found.kind, "path": str(found.file.absolute()), "form": found.form}

    def facts(self) -> Facts:
        """Let it load the model and say what it is."""
        head, _ = self._ask(self._setting, {})
        return msgspec.convert(head["facts"], Facts)

    def compile(self, signature: Signature, sample: NDArray[np.float64]) -> Tried:
        """Let it compile the model, and answer the rows on which forms are compared."""
        head, arrays = self._ask({"signature": msgspec.to_builtins(signature)}, {"sample": sample})
        forms = [
            msgspec.convert(form["dropped"], DroppedForm)
            if "dropped" in form
            else MadeForm(form["form"], form["converter"], arrays[form["data"]].tobytes(), form["fill"], form["native"])
            for form in head["forms"]
        ]
        real, placed, missing = head["counts"]
        return Tried((real, placed, missing), arrays["rows"], arrays["answers"], head["medians"], forms)

    def close(self) -> None:
        """End the process."""
        self._started.end()

    def _ask(self, head: dict[str, Any], arrays: Mapping[str, NDArray[Any]]) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        try:
            guest.send(self._started.wire, head, list(arrays.items()))
            answered, found = guest.receive(self._started.wire)
        except (EOFError, OSError, ValueError):
            answered, found = {"error": "the process that reads it died or was too slow"}, {}
        if "error" in answered:
            raise Invalid(
                f"the model cannot be read: {answered['error']}",
                code="model_file.unreadable",
                hint="its library must be installed here (`pip install 'perenne[boosting]'`), in the version it was made with",
            )
        return answered, found
