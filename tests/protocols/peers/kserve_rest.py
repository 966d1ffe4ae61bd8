"""What KServe's client asks of a model server: `python kserve_rest.py http://host:port`. Runs where kserve is installed."""

import asyncio
import sys

import httpx
import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig  # type: ignore[import-not-found]

MODEL = "delays"
ROWS = {
    "distance": ("FP64", np.array([100.5, 900.25])),
    "seats": ("INT64", np.array([120, 300])),
    "carrier": ("BYTES", np.array(["AA", "übrig"], object)),
    "weekend": ("BOOL", np.array([True, False])),
    "scheduled": ("INT64", np.array([1_357_095_845_000_000_000, 1_357_095_900_000_000_000])),
}


def request(*, binary: bool) -> InferRequest:
    """Return the rows as a request, all raw or all in JSON."""
    inputs = []
    for name, (datatype, values) in ROWS.items():
        tensor = InferInput(name=name, shape=list(values.shape), datatype=datatype)
        tensor.set_data_from_numpy(values, binary_data=binary)
        inputs.append(tensor)
    return InferRequest(model_name=MODEL, request_id="mine", infer_inputs=inputs)


async def second(url: str) -> list[list[float]]:
    """Ask by the second protocol."""
    client = InferenceRESTClient(RESTConfig(protocol="v2"))
    assert await client.is_server_live(url) and await client.is_server_ready(url) and await client.is_model_ready(url, MODEL)
    found = []
    for binary in (True, False):
        answer = await client.infer(url, request(binary=binary), model_name=MODEL)
        assert answer.id == "mine" and answer.model_name == MODEL
        outputs = {output.name: output for output in answer.outputs}
        found.append(outputs["probabilities"].as_numpy().reshape(-1, 2).tolist())
    assert found[0] == found[1]
    scores: list[list[float]] = found[0]
    return scores


async def first(url: str) -> None:
    """Ask by the first protocol."""
    client = InferenceRESTClient(RESTConfig(protocol="v1"))
    assert await client.is_model_ready(url, MODEL)
    times = ["2013-01-02T03:04:05", "2013-01-02T03:05:00"]
    rows = [
        {"distance": 100.5, "seats": 120, "carrier": "AA", "weekend": True, "scheduled": times[0]},
        {"distance": 900.25, "seats": 300, "carrier": "übrig", "weekend": False, "scheduled": times[1]},
    ]
    answer = await client.infer(url, {"instances": rows}, model_name=MODEL)
    assert len(answer["predictions"]) == 2 and set(answer["predictions"]) <= {"late", "on time"}
    explained = await client.explain(url, model_name=MODEL, data={"instances": rows})
    assert {item["name"] for item in explained["explanations"][0]} == set(ROWS)
    said = ""
    try:
        await client.infer(url, {"instances": [{"distance": 1}]}, model_name=MODEL)
    except httpx.HTTPStatusError as error:
        said = f"{error.response.status_code} {error}"
    assert said.startswith("400") and "Model is missing inputs" in said, said


async def main(url: str) -> None:
    """Ask everything."""
    scores = await second(url)
    await first(url)
    print(scores)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
