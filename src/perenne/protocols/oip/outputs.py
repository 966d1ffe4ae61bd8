"""A model's answers as tensors: which outputs there are, in which order they are asked for, and which of them go raw."""

from collections.abc import Mapping
from typing import Any

from perenne.core.errors import Invalid
from perenne.formats import oip, oip_binary
from perenne.inference import Signature
from perenne.protocols.columns import WIRE_DATATYPES
from perenne.serving import Answer
from perenne.stats.columns import Task

PREDICTION, PROBABILITIES, PREDICTION_ID = "prediction", "probabilities", "prediction_id"
CONSTANT = "constant"


class TensorOutputs:
    """Writes answers for one signature; what does not depend on the answer is done once.

    Parameters
    ----------
    signature : Signature
        What the model answers.
    """

    def __init__(self, signature: Signature) -> None:
        self.described = outputs_of(signature)
        self._known: Mapping[str, oip.TensorMetadata] = {output.name: output for output in self.described}

    def check(self, request: oip.InferRequest) -> None:
        """Refuse outputs that are not there, or asked for in a way that is not offered, before anything is predicted."""
        for output in request.outputs or ():
            if output.name not in self._known:
                raise Invalid(f"unknown output, this model has {', '.join(self._known)}", code="INVALID_PARAMETER_VALUE")
            if output.parameters:
                oip.refuse_shared_memory(output.parameters, f"output {output.name!r}")
                if "classification" in output.parameters:
                    raise Invalid(f"output {output.name!r}: classification is not supported", code="INVALID_PARAMETER_VALUE")
        if request.outputs or request.parameters:
            for name in self._known:
                oip_binary.wanted(request, name)

    def write(self, answer: Answer, request: oip.InferRequest) -> tuple[list[oip.Tensor], dict[str, bytes]]:
        """Return the outputs asked for, in that order, all if none is named; and the raw data of those that go raw."""
        chosen = [self._known[output.name] for output in request.outputs] if request.outputs else self.described
        plain = request.outputs is None and request.parameters is None
        tensors, raw = [], {}
        for output in chosen:
            datatype, shape, values = self._values(answer, output)
            if not plain and oip_binary.wanted(request, output.name):
                raw[output.name] = oip_binary.raw_data(values, datatype)
                tensors.append(oip.Tensor(output.name, datatype, shape))
            else:
                tensors.append(oip.Tensor(output.name, datatype, shape, _listed(values, datatype)))
        return tensors, raw

    def _values(self, answer: Answer, output: oip.TensorMetadata) -> tuple[str, list[int], Any]:
        """Return an output's datatype, its shape and its values: a list, or an array."""
        rows = len(answer.labels)
        if output.name == PREDICTION_ID:
            return "BYTES", [rows], answer.prediction_ids()
        if answer.outputs is not None:
            values = answer.outputs[output.name]
            return output.datatype, list(values.shape), values
        if output.name == PROBABILITIES and answer.scores is not None:
            return "FP64", [rows, answer.scores.shape[1]], answer.scores
        datatype = datatype_of_labels(answer.labels) if answer.variant == CONSTANT and rows else output.datatype
        return datatype, [rows], answer.labels


def outputs_of(signature: Signature) -> list[oip.TensorMetadata]:
    """Return the outputs of a model: its tensors or answers, probabilities if it has classes, and the ids of the answers."""
    if signature.task is Task.OUTPUTS:
        named = [oip.TensorMetadata(out.name, WIRE_DATATYPES[out.datatype], [-1, *out.shape]) for out in signature.outputs]
        return [*named, oip.TensorMetadata(PREDICTION_ID, "BYTES", [-1])]
    prediction = "FP64" if signature.task is Task.REGRESSION else datatype_of_labels(signature.classes)
    outputs = [oip.TensorMetadata(PREDICTION, prediction, [-1])]
    if signature.task is not Task.REGRESSION:
        outputs.append(oip.TensorMetadata(PROBABILITIES, "FP64", [-1, len(signature.classes)]))
    return [*outputs, oip.TensorMetadata(PREDICTION_ID, "BYTES", [-1])]


def datatype_of_labels(labels: "list[Any] | tuple[Any, ...]") -> str:
    """Return the datatype that holds every label."""
    kinds = set(map(type, labels))
    if kinds == {bool}:
        return "BOOL"
    if kinds == {int}:
        return "INT64"
    return "FP64" if kinds <= {int, float} else "BYTES"


def _listed(values: Any, datatype: str) -> list[Any]:
    if not isinstance(values, list):
        if datatype == "BYTES":
            return [str(value) for value in values.ravel().tolist()]
        flat: list[Any] = values.ravel().tolist()
        return flat
    return [str(value) for value in values] if datatype == "BYTES" else values
