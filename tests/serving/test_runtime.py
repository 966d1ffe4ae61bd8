"""Who answers: the champion, those who step in when it fails, and those who answer while it is stopped."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from tests.formats import exposition
from tests.serving.packages import NUMBERS, ReleaseFolder, as_tensors, flights, numbers
from tests.serving.worker import Worker, numbers_of, with_worker

from perenne.core.clock import parse_time
from perenne.core.ids import is_id, time_of_id
from perenne.inference import load
from perenne.serving.loading import LoadedVersion
from perenne.serving.model import Role, Stop, StopMode
from perenne.serving.request_ids import RequestIds
from perenne.stats.columns import take

INFER = "/v2/models/delays/infer"


class Broken:
    """Takes the place of a predictor whose model fails."""

    def __init__(self, loaded: LoadedVersion) -> None:
        self.manifest = loaded.predictor.manifest

    def predict(self, columns: Any) -> Any:
        raise RuntimeError("segmentation fault, nearly")


def break_champion(worker: Worker) -> None:
    champion = worker.runtime.require_lineup().champion
    champion.predictor = Broken(champion)  # type: ignore[assignment]


async def ask(worker: Worker, rows: int = 2, event_time: str | None = None) -> httpx.Response:
    headers = {} if event_time is None else {"x-event-time": event_time}
    return await worker.client.post(INFER, content=json.dumps({"inputs": as_tensors(flights(rows))}), headers=headers)


def data(reply: httpx.Response, name: str) -> list[Any]:
    return next(list(tensor["data"]) for tensor in reply.json()["outputs"] if tensor["name"] == name)


def test_many_callers_at_once_each_get_their_own_answer_equal_to_the_answer_alone(
    packages: dict[str, Path], release: ReleaseFolder
) -> None:
    release.write(release.add(packages["first"], 1))
    table = flights(64 * 3, seed=3)
    alone = load(packages["first"])
    parts = [take(table, slice(3 * i, 3 * i + 1 + i % 3)) for i in range(64)]

    async def work(worker: Worker) -> list[httpx.Response]:
        bodies = [json.dumps({"id": str(i), "inputs": as_tensors(part)}) for i, part in enumerate(parts)]
        replies = await asyncio.gather(*(worker.client.post(INFER, content=body) for body in bodies))
        assert worker.runtime.batcher.batches < 64, "nothing was batched"
        return list(replies)

    replies = with_worker(release.folder, work)
    for i, (part, reply) in enumerate(zip(parts, replies, strict=True)):
        expected = alone.predict(part)
        assert reply.json()["id"] == str(i) and data(reply, "prediction") == alone.labels(expected)
        assert expected.scores is not None
        np.testing.assert_allclose(data(reply, "probabilities"), expected.scores.ravel(), rtol=1e-12)  # a vector's last bit


def test_one_failing_request_does_not_fail_its_neighbours(packages: dict[str, Path], release: ReleaseFolder) -> None:
    release.write(release.add(packages["first"], 1))

    class Picky(Broken):
        def predict(self, columns: Any) -> Any:
            if "UA" in columns["carrier"].tolist():
                raise RuntimeError
            return good.predict(columns)

    good = load(packages["first"])

    async def work(worker: Worker) -> list[int]:
        champion = worker.runtime.require_lineup().champion
        champion.predict = Picky(champion).predict  # type: ignore[method-assign]
        bodies = [{**flights(1), "carrier": np.array([carrier], object)} for carrier in ("AA", "UA", "DL", "UA", "AA")]
        replies = await asyncio.gather(
            *(worker.client.post(INFER, content=json.dumps({"inputs": as_tensors(body)})) for body in bodies)
        )
        return [reply.status_code for reply in replies]

    assert with_worker(release.folder, work) == [200, 500, 200, 500, 200]


def test_the_previous_version_steps_in_then_the_constant_then_nobody(packages: dict[str, Path], release: ReleaseFolder) -> None:
    first, second = release.add(packages["first"], 2), release.add(packages["second"], 1, Role.PREVIOUS)

    async def work(worker: Worker) -> tuple[httpx.Response, dict[str, Any]]:
        break_champion(worker)
        reply = await ask(worker)
        served = worker.observed()[0]
        return reply, {"role": served.role, "reason": served.reason, "status": served.status, "version": served.version}

    release.write(first, second, answer="late")
    reply, told = with_worker(release.folder, work)
    assert (reply.status_code, reply.json()["model_version"]) == (200, "1")
    assert reply.json()["parameters"] == {"variant": "previous", "fallback": True}
    assert told == {"role": "previous", "reason": "fallback", "status": 200, "version": "late@1"}

    release.write(first, answer="late")
    reply, told = with_worker(release.folder, work)
    assert reply.json()["parameters"] == {"variant": "constant", "fallback": True}
    assert data(reply, "prediction") == ["late", "late"] and data(reply, "probabilities") == [None] * 4
    assert told == {"role": "constant", "reason": "fallback", "status": 200, "version": "late@2"}

    release.write(first)
    reply, told = with_worker(release.folder, work)
    assert reply.status_code == 500 and reply.json()["error"] == "model failed" and reply.headers["x-request-id"]
    assert "segmentation" not in reply.text
    assert told == {"role": "champion", "reason": "", "status": 500, "version": "late@2"}


def test_a_previous_version_that_takes_other_inputs_does_not_step_in(packages: dict[str, Path], release: ReleaseFolder) -> None:
    release.write(release.add(packages["first"], 2), release.add(packages["regression"], 1, Role.PREVIOUS), answer="late")

    async def work(worker: Worker) -> httpx.Response:
        break_champion(worker)
        return await ask(worker)

    assert with_worker(release.folder, work).headers["x-variant"] == "constant"


@pytest.mark.parametrize("mode", [StopMode.CONSTANT, StopMode.PREVIOUS])
def test_a_stopped_deployment_answers_by_a_constant_or_the_previous_version_and_says_so(
    packages: dict[str, Path], release: ReleaseFolder, mode: StopMode
) -> None:
    variants = release.add(packages["first"], 2), release.add(packages["second"], 1, Role.PREVIOUS)
    release.write(*variants, answer="on time", stop=Stop(mode, "unfair", 0, "ada"))

    async def work(worker: Worker) -> list[httpx.Response]:
        replies = [await ask(worker), await worker.client.post("/invocations", json={"instances": [[1.0, 2, "AA", True, None]]})]
        by_number = "/v2/models/delays/versions/2/infer"
        return [*replies, await worker.client.post(by_number, content=json.dumps({"inputs": as_tensors(flights(1))}))]

    variant = "constant" if mode is StopMode.CONSTANT else "previous"
    replies = with_worker(release.folder, work)
    assert [reply.headers["x-variant"] for reply in replies] == [variant] * 3
    assert replies[0].json()["parameters"] == {"variant": variant, "stopped": True}
    if mode is StopMode.CONSTANT:
        assert data(replies[0], "prediction") == ["on time"] * 2 and replies[1].json()["predictions"] == ["on time"]


def test_a_number_is_a_constant_of_a_regression(packages: dict[str, Path], release: ReleaseFolder) -> None:
    release.write(release.add(packages["regression"], 1), answer=1.5, stop=Stop(StopMode.CONSTANT, "", 0, ""))

    async def work(worker: Worker) -> httpx.Response:
        return await worker.client.post(INFER, content=json.dumps({"inputs": as_tensors(numbers(2), NUMBERS)}))

    reply = with_worker(release.folder, work)
    assert reply.json()["outputs"][0] == {"name": "prediction", "datatype": "FP64", "shape": [2], "data": [1.5, 1.5]}


def test_a_full_queue_says_so_and_when_to_come_back(packages: dict[str, Path], release: ReleaseFolder) -> None:
    release.write(release.add(packages["first"], 1))

    async def work(worker: Worker) -> list[httpx.Response]:
        return list(await asyncio.gather(*(ask(worker, rows=3) for _ in range(4))))

    replies = with_worker(release.folder, work, queue_rows=8)
    assert sorted(reply.status_code for reply in replies) == [200, 200, 503, 503]
    refused = next(reply for reply in replies if reply.status_code == 503)
    assert refused.headers["retry-after"] == "1" and refused.json()["error"]


def test_while_draining_it_is_not_ready_still_answers_and_closes_connections(
    packages: dict[str, Path], release: ReleaseFolder
) -> None:
    release.write(release.add(packages["first"], 1))

    async def work(worker: Worker) -> list[httpx.Response]:
        worker.runtime.draining = True
        return [await worker.client.get("/v2/health/ready"), await ask(worker)]

    ready, reply = with_worker(release.folder, work)
    assert (ready.status_code, ready.json()) == (503, {"ready": False})
    assert reply.status_code == 200 and reply.headers["connection"] == "close"


def test_before_anything_is_loaded_it_lives_but_is_not_ready(packages: dict[str, Path], release: ReleaseFolder) -> None:
    release.write(release.add(packages["first"], 1))

    async def work(worker: Worker) -> list[int]:
        worker.runtime.lineup = None
        paths = ["/v2/health/live", "/v2/health/ready", "/v2/models/delays", "/ping", "/metrics"]
        replies = [await worker.client.get(path) for path in paths]
        return [reply.status_code for reply in replies] + [(await ask(worker)).status_code]

    assert with_worker(release.folder, work) == [200, 503, 503, 503, 200, 503]


@pytest.mark.parametrize("replay", [True, False])
def test_the_event_time_is_the_callers_only_in_a_replay(packages: dict[str, Path], release: ReleaseFolder, replay: bool) -> None:
    release.write(release.add(packages["first"], 1), replay=replay)

    async def work(worker: Worker) -> tuple[int, int]:
        assert (await ask(worker, event_time="2013-05-06T07:08:09Z")).status_code == 200
        wrong = await ask(worker, event_time="yesterday")
        assert wrong.status_code == (400 if replay else 200)
        served = worker.observed()[0]
        assert abs(time_of_id(served.request_id) - served.arrival) < 1_001
        return served.event_time, served.arrival

    event_time, arrival = with_worker(release.folder, work)
    assert event_time == (parse_time("2013-05-06T07:08:09Z") if replay else arrival)


def test_the_observer_is_told_what_was_asked_and_answered(packages: dict[str, Path], release: ReleaseFolder) -> None:
    variant = release.add(packages["first"], 1)
    release.write(variant)

    async def work(worker: Worker) -> None:
        reply = await ask(worker, rows=3)
        (served,) = worker.observed()
        assert (served.rows, served.first_row, served.version, served.tree) == (3, 0, "late@1", variant.tree)
        assert [f"{served.request_id}-{row}" for row in range(3)] == data(reply, "prediction_id")
        assert numbers_of(served.columns[0]) == flights(3)["distance"].tolist()
        assert served.columns[2] == flights(3)["carrier"].tolist()
        assert np.frombuffer(served.scores).tolist() == data(reply, "probabilities")

    with_worker(release.folder, work)


def test_metrics_count_requests_rows_and_outcomes(packages: dict[str, Path], release: ReleaseFolder) -> None:
    release.write(release.add(packages["first"], 1))

    async def work(worker: Worker) -> str:
        await ask(worker, rows=3)
        await worker.client.post(INFER, content=b"{}")
        return (await worker.client.get("/metrics")).text

    text = with_worker(release.folder, work)
    labels = 'deployment="delays",version="late@1",variant="champion",endpoint="infer"'
    assert f'perenne_requests_total{{{labels},outcome="ok"}} 1' in text
    assert f'perenne_requests_total{{{labels},outcome="invalid"}} 1' in text
    assert f"perenne_predictions_total{{{labels}}} 3" in text
    assert f'perenne_predict_seconds_bucket{{{labels},le="+Inf"}} 2' in text


def test_the_figures_have_the_names_of_other_servers_too_unless_they_are_not_wanted(
    packages: dict[str, Path], release: ReleaseFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    release.write(release.add(packages["first"], 1))

    async def work(worker: Worker) -> bytes:
        await asyncio.gather(*(ask(worker, rows=3) for _ in range(4)))
        await worker.client.post(INFER, content=b"{}")
        worker.counters.set_batch_sizes(worker.runtime.batcher.sizes)
        return (await worker.client.get("/metrics")).content

    page = exposition.read(with_worker(release.folder, work))
    model = (("model", "delays"), ("version", "1"))
    for name, value in {
        "nv_inference_request_success": 4,
        "nv_inference_count": 12,
        "nv_inference_exec_count": 1,
        "model_infer_request_success_total": 4,
        "model_infer_request_failure_total": 1,
    }.items():
        assert page[name].samples[name, model] == value, name
    assert (
        page["nv_inference_request_failure"].samples["nv_inference_request_failure", (model[0], ("reason", "OTHER"), model[1])]
        == 1
    )
    whole = page["nv_inference_request_duration_us"].samples["nv_inference_request_duration_us", model]
    parts = [sum(page[f"nv_inference_{part}_duration_us"].samples.values()) for part in ("queue", "compute_infer")]
    assert 0 < sum(parts) <= whole
    for name in ("request_preprocess_seconds", "request_predict_seconds", "request_postprocess_seconds"):
        assert page[name].samples[f"{name}_count", (("model_name", "delays"),)] == 4
    assert page["perenne_batch_rows"].samples["perenne_batch_rows_bucket", (("le", "16"),)] == 1
    assert sum(page["bentoml_service_request_total"].samples.values()) == 5
    assert sum(page["rest_server_requests_total"].samples.values()) == 5

    monkeypatch.setenv("PERENNE_PEER_METRICS", "0")
    page = exposition.read(with_worker(release.folder, work))
    assert all(name.startswith("perenne_") for name in page)


def test_request_ids_sort_are_valid_and_differ_between_processes() -> None:
    ids, others = RequestIds(), RequestIds()
    made = [ids.next(1_700_000_000_000_000 + 500 * step) for step in range(5_000)]
    assert made == sorted(made) and len(set(made)) == 5_000 and all(map(is_id, made))
    assert time_of_id(made[-1]) == (1_700_000_000_000_000 + 500 * 4_999) // 1_000 * 1_000
    assert others.next()[10:18] != made[0][10:18]
