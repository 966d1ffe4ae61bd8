"""Fixtures of clusters: an API server in the place of a real one, and a deployment to apply to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.delivery.clusters.api.server import StandIn
from tests.serving.test_deployments import register

from perenne.auth.principals import Principal
from perenne.serving import service
from perenne.storage.workspace import Workspace


@pytest.fixture
def api() -> Iterator[StandIn]:
    with StandIn() as stand_in:
        stand_in.add_namespace("shop")
        yield stand_in


@pytest.fixture
def kubeconfig(api: StandIn, tmp_path: Path) -> Path:
    return api.kubeconfig(tmp_path / "kubeconfig")


@pytest.fixture
def deployed(workspace: Workspace, actor: Principal) -> str:
    """Make a deployment `churn`; give the version that answers."""
    version = register(workspace.database, actor, "a")
    workspace.database.write(lambda tx: service.deploy(tx, actor, "churn", version))
    return version
