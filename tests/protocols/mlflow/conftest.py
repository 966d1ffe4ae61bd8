"""A control plane on a real socket, and what asks it as MLflow's clients do."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from tests.app import servers

from perenne.storage.workspace import Workspace

collect_ignore = ["clients"]
"""Programs for environments of their own; `test_clients` runs them."""

Ask = Callable[..., httpx.Response]


@pytest.fixture
def url(workspace: Workspace) -> Iterator[str]:
    """Run a control plane and say where it is."""
    with servers.control_plane(workspace) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def client(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=60) as client:
        yield client


@pytest.fixture
def post(client: httpx.Client) -> Callable[..., Any]:
    """Post JSON to a path of MLflow's and return what is answered; it must be good."""

    def post(path: str, **given: Any) -> Any:
        answer = client.post(f"/api/2.0/mlflow/{path}", content=json.dumps(given), headers={"content-type": "application/json"})
        assert answer.status_code == 200, answer.text
        return answer.json()

    return post


@pytest.fixture
def run(post: Callable[..., Any]) -> str:
    """Open a run and return its id."""
    identity: str = post("runs/create", experiment_id="0", start_time=1)["run"]["info"]["run_id"]
    return identity
