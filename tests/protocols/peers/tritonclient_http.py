"""What tritonclient asks of a model server: `python tritonclient_http.py http://host:port`; fails if an answer is wrong."""

import sys

import numpy as np
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

MODEL = "delays"
ROWS = {
    "distance": ("FP64", np.array([100.5, 900.25])),
    "seats": ("INT64", np.array([120, 300])),
    "carrier": ("BYTES", np.array(["AA", "übrig"], object)),
    "weekend": ("BOOL", np.array([True, False])),
    "scheduled": ("INT64", np.array([1_357_095_845_000_000_000, 1_357_095_900_000_000_000])),
}


def inputs(*, binary: bool) -> list[triton.InferInput]:
    """Return the rows as inputs, all raw or all in JSON."""
    found = []
    for name, (datatype, values) in ROWS.items():
        tensor = triton.InferInput(name, list(values.shape), datatype)
        tensor.set_data_from_numpy(values, binary_data=binary)
        found.append(tensor)
    return found


def main(url: str) -> None:
    """Ask everything."""
    client = triton.InferenceServerClient(url.partition("://")[2])
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready(MODEL)
    assert client.is_model_ready(MODEL, "1") and not client.is_model_ready(MODEL, "99")
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    described = client.get_model_metadata(MODEL)
    assert [tensor["name"] for tensor in described["inputs"]] == list(ROWS)
    assert [line["state"] for line in client.get_model_repository_index()] == ["READY"]
    scores = []
    for binary in (True, False):
        whole = client.infer(MODEL, inputs(binary=binary))
        scores.append(whole.as_numpy("probabilities"))
        asked = [triton.InferRequestedOutput(name, binary_data=binary) for name in ("probabilities", "prediction")]
        chosen = client.infer(MODEL, inputs(binary=not binary), outputs=asked, model_version="1", request_id="mine")
        assert chosen.get_response()["id"] == "mine" and chosen.as_numpy("prediction_id") is None
        scores.append(chosen.as_numpy("probabilities"))
        labels = whole.as_numpy("prediction").tolist()
        assert {label if isinstance(label, str) else label.decode() for label in labels} <= {"late", "on time"}
    for coding in ("gzip", "deflate"):
        packed = client.infer(
            MODEL, inputs(binary=True), request_compression_algorithm=coding, response_compression_algorithm=coding
        )
        scores.append(packed.as_numpy("probabilities"))
    assert scores[0].shape == (2, 2) and all(np.array_equal(found, scores[0]) for found in scores)
    refused(client)
    print(scores[0].tolist())


def refused(client: triton.InferenceServerClient) -> None:
    """See what the client makes of refusals."""
    few, classes = inputs(binary=True)[1:], [triton.InferRequestedOutput("prediction", class_count=1)]
    for asked, outputs, says in ((few, None, "missing inputs: distance"), (inputs(binary=True), classes, "classification")):
        said: tuple[str, str] = ("", "")
        try:
            client.infer(MODEL, asked, outputs=outputs)
        except InferenceServerException as error:
            said = error.status(), error.message()
        assert said[0] == "400" and says in said[1], said


if __name__ == "__main__":
    main(sys.argv[1])
