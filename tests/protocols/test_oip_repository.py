"""The repository extension: versions are taken out of service and back, in every worker, where that is enabled."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.app import servers
from tests.serving.packages import ReleaseFolder, as_tensors, flights
from tests.serving.worker import Worker, with_worker

from perenne.core.config import load_settings
from perenne.core.errors import Invalid
from perenne.serving.model import Role
from perenne.serving.switches import Off, Switches

BODY = json.dumps({"inputs": as_tensors(flights(1))})
MODEL = "/v2/models/delays"
CHANGE = "/v2/repository/models/delays"


@pytest.fixture
def folder(packages: dict[str, Path], release: ReleaseFolder) -> Path:
    release.write(release.add(packages["second"], 2), release.add(packages["first"], 1, Role.PREVIOUS))
    return release.folder


async def states(worker: Worker) -> dict[str, tuple[str, str]]:
    lines = (await worker.client.post("/v2/repository/index")).json()
    return {line["version"]: (line["state"], line["reason"]) for line in lines}


def one(version: str) -> dict[str, Any]:
    return {"parameters": {"version": version}}


def test_unless_enabled_nothing_can_be_unloaded(folder: Path) -> None:
    async def work(worker: Worker) -> list[Any]:
        changes = [await worker.client.post(f"{CHANGE}/{word}") for word in ("load", "unload")]
        return [*[reply.status_code for reply in changes], (await worker.client.get("/v2")).json()["extensions"]]

    assert with_worker(folder, work) == [404, 404, ["binary_tensor_data"]]


def test_a_version_that_is_unloaded_answers_nobody_and_another_one_steps_in(folder: Path) -> None:
    async def work(worker: Worker) -> None:
        client = worker.client
        assert (await client.get("/v2")).json()["extensions"] == ["binary_tensor_data", "model_repository"]
        assert (await client.post(f"{CHANGE}/unload", json=one("2"))).status_code == 200
        assert await states(worker) == {"2": ("UNAVAILABLE", "unloaded"), "1": ("READY", "")}
        ready = (await client.post("/v2/repository/index", json={"ready": True})).json()
        assert [line["version"] for line in ready] == ["1"]
        by_number = await client.post(f"{MODEL}/versions/2/infer", content=BODY)
        assert by_number.status_code == 503 and by_number.headers["retry-after"] == "1" and by_number.json()["error"]
        assert by_number.headers["x-model-version"] == "2"
        assert (await client.get(f"{MODEL}/versions/2/ready")).json() == {"name": "delays", "ready": False}
        answer = (await client.post(f"{MODEL}/infer", content=BODY)).json()
        assert (answer["model_version"], answer["parameters"]) == ("1", {"variant": "previous", "fallback": True})
        assert (await client.get("/v2/health/ready")).status_code == 200
        assert (await client.post(f"{CHANGE}/load", json=one("late@2"))).status_code == 200
        assert (await client.post(f"{MODEL}/infer", content=BODY)).json()["model_version"] == "2"

    with_worker(folder, work, repository=True)


def test_a_model_that_is_unloaded_makes_the_server_not_ready(
    folder: Path, release: ReleaseFolder, packages: dict[str, Path]
) -> None:
    async def work(worker: Worker) -> None:
        client = worker.client
        assert (await client.post(f"{CHANGE}/unload")).status_code == 200
        assert (await client.get("/v2/health/ready")).status_code == 503 == (await client.get("/v1/models/delays")).status_code
        assert (await client.get("/v2/health/live")).status_code == 200
        assert (await client.get("/ping")).status_code == 503
        assert (await client.post(f"{MODEL}/infer", content=BODY)).status_code == 503
        scored = await client.post("/invocations", json={"instances": []})
        assert (scored.status_code, scored.json()["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")
        release.write(release.add(packages["first"], 3))
        worker.reload()
        assert await states(worker) == {"3": ("UNAVAILABLE", "unloaded")}
        assert (await client.post(f"{CHANGE}/load", content=b"{}")).status_code == 200
        assert (await client.post(f"{MODEL}/infer", content=BODY)).json()["model_version"] == "3"

    with_worker(folder, work, repository=True)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v2/repository/models/other/unload", b"", 404),
        (f"{CHANGE}/unload", b'{"parameters": {"version": "9"}}', 404),
        (f"{CHANGE}/unload", b'{"parameters": {"version": 2}}', 400),
        (f"{CHANGE}/unload", b"[]", 400),
        (f"{CHANGE}/unload", b"{", 400),
        ("/v2/repository/index", b'{"ready": "yes"}', 400),
    ],
)
def test_mistakes_change_nothing(folder: Path, path: str, body: bytes, status: int) -> None:
    async def work(worker: Worker) -> None:
        reply = await worker.client.post(path, content=body)
        assert reply.status_code == status and reply.json()["error"]
        assert {state for state, _ in (await states(worker)).values()} == {"READY"}

    with_worker(folder, work, repository=True)


def test_one_version_is_switched_on_while_everything_is_off() -> None:
    switches = Switches.create()
    switches.switch(off=True)
    after = switches.switch(off=False, version="late@1", loaded=("late@1", "late@2"))
    assert (after, switches.read()) == (Off(2, frozenset({"late@2"})), after) and not after.covers("late@1")
    assert switches.switch(off=False).versions == frozenset()


def test_switches_that_several_processes_turn_at_once_lose_nothing() -> None:
    switches = Switches.create()
    program = (
        "import sys; from perenne.serving.switches import Switches\n"
        "for turn in range(50): Switches(int(sys.argv[1])).switch(off=True, version=f'late@{sys.argv[2]}{turn}')"
    )
    command = [sys.executable, "-c", program, str(switches.handle)]
    running = [subprocess.Popen([*command, name], pass_fds=[switches.handle]) for name in "abc"]
    assert [process.wait() for process in running] == [0, 0, 0]
    assert switches.read().change == len(switches.read().versions) == 150


@pytest.fixture
def url(folder: Path, release: ReleaseFolder, tmp_path: Path) -> Iterator[str]:
    with servers.model_server(release, tmp_path, workers=2, repository=True) as running:
        yield running.url


def test_every_worker_does_as_one_was_told(url: str) -> None:
    def ask() -> tuple[int, str]:
        with httpx.Client(headers={"connection": "close"}) as client:
            reply = client.post(f"{url}{MODEL}/infer", content=BODY)
            return reply.status_code, reply.headers["x-model-version"]

    assert {ask() for _ in range(12)} == {(200, "2")}
    assert httpx.post(f"{url}{CHANGE}/unload", json=one("2")).status_code == 200
    assert {ask() for _ in range(12)} == {(200, "1")}
    assert httpx.post(f"{url}{CHANGE}/unload").status_code == 200
    assert {ask()[0] for _ in range(12)} == {503}
    assert httpx.post(f"{url}{CHANGE}/load").status_code == 200
    assert {ask() for _ in range(12)} == {(200, "2")}


def test_the_setting_is_on_or_off(tmp_path: Path) -> None:
    assert load_settings(tmp_path, {}).repository is False
    assert load_settings(tmp_path, {"PERENNE_REPOSITORY": "on"}).repository is True
    with pytest.raises(Invalid, match="PERENNE_REPOSITORY"):
        load_settings(tmp_path, {"PERENNE_REPOSITORY": "yes"})
