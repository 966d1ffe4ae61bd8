"""Fixtures of clusters: an API server in the place of a real one, and a deployment to apply to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.delivery.clusters.api.server import StandIn
from tests.serving.packages import made_packages
from tests.serving.test_deployments import package

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


@pytest.fixture(scope="session")
def packages() -> dict[str, Path]:
    return made_packages()


@pytest.fixture
def deployed(workspace: Workspace, actor: Principal, packages: dict[str, Path]) -> str:
    """A deployment `churn`, and the version that answers."""
    version = package(workspace, actor, packages["first"], "first")
    workspace.database.write(lambda tx: service.deploy(tx, actor, "churn", version))
    return version
