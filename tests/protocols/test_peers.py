"""Real clients against a model server: tritonclient itself, and what MLflow's and KServe's send, as it was recorded.

`python -m tests.protocols.peers.record` records anew. The long version runs all three, where `PERENNE_MLFLOW` and
`PERENNE_KSERVE` name a Python that has them.
"""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.app import servers
from tests.protocols.test_oip_binary import outputs_of
from tests.serving.packages import ReleaseFolder, made_packages
from tests.serving.worker import Worker, with_worker

PEERS = Path(__file__).with_name("peers")
RECORDED: dict[str, list[dict[str, Any]]] = json.loads((PEERS / "recorded.json").read_text())


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> ReleaseFolder:
    release = ReleaseFolder(tmp_path_factory.mktemp("peers") / "release")
    release.write(release.add(made_packages()["first"], 1))
    return release


@pytest.fixture(scope="module")
def url(release: ReleaseFolder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with servers.model_server(release, tmp_path_factory.mktemp("model"), workers=2) as running:
        yield running.url


def run(program: str, python: str, url: str) -> str:
    done = subprocess.run([python, str(PEERS / f"{program}.py"), url], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_tritonclient_gets_all_it_asks_for(url: str) -> None:
    assert len(json.loads(run("tritonclient_http", sys.executable, url))) == 2


@pytest.mark.long
@pytest.mark.parametrize(("program", "variable"), [("mlflow_scoring", "PERENNE_MLFLOW"), ("kserve_rest", "PERENNE_KSERVE")])
def test_other_clients_get_all_they_ask_for(program: str, variable: str, url: str) -> None:
    python = os.environ.get(variable, "")
    if not Path(python).is_file():
        pytest.skip(f"{variable} names no Python with this client")
    assert run(program, python, url)


def replay(release: ReleaseFolder, client: str) -> list[httpx.Response]:
    async def work(worker: Worker) -> list[httpx.Response]:
        replies = []
        for sent in RECORDED[client]:
            worker.client.headers = httpx.Headers({"host": "test"})
            body = base64.b64decode(sent["body"]) if sent["method"] == "POST" else None
            replies.append(await worker.client.request(sent["method"], sent["path"], headers=sent["headers"], content=body))
        return replies

    return with_worker(release.folder, work)


@pytest.mark.parametrize("client", sorted(RECORDED))
def test_what_clients_sent_is_answered_as_it_was(release: ReleaseFolder, client: str) -> None:
    replies = replay(release, client)
    assert [reply.status_code for reply in replies] == [sent["status"] for sent in RECORDED[client]]
    assert {200, 400} <= {reply.status_code for reply in replies} and len(replies) >= 8
    for reply in replies:
        assert reply.status_code < 400 or reply.json().get("error") or reply.json()["message"]


def test_every_client_gets_the_same_prediction(release: ReleaseFolder) -> None:
    scores, labels = [], []
    for client, requests in RECORDED.items():
        for sent, reply in zip(requests, replay(release, client), strict=True):
            if reply.status_code == 200 and sent["path"].endswith("/infer"):
                found = outputs_of(reply)
                scores.append(found["probabilities"])
                labels.append(found["prediction"])
            elif reply.status_code == 200 and sent["path"].endswith((":predict", "/invocations")):
                labels.append(reply.json()["predictions"])
    assert len(scores) >= 8 and all(score == scores[0] for score in scores)
    assert len(labels) >= 12 and all(label == labels[0] for label in labels)
