"""The deployment's page says where it runs in clusters, as was recorded."""

from pathlib import Path

import msgspec
import pytest
from playwright.sync_api import expect
from tests.delivery.clusters.plans import IMAGE
from tests.serving.test_deployments import register
from tests.web.conftest import Browse, Inspect
from tests.web.control_plane import control_plane

from perenne.auth.principals import local_principal
from perenne.core.clock import SystemClock
from perenne.core.config import load_settings
from perenne.delivery.clusters import Revision, RevisionState, revisions
from perenne.serving import service
from perenne.storage.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(load_settings(tmp_path, {}))


def recorded(workspace: Workspace, sent: Revision, *, ends: bool) -> None:
    """Record an apply, all of it or its begin alone."""
    ada, now = local_principal(), SystemClock().now()
    begun = workspace.database.write(lambda tx: revisions.begin(tx, ada, sent))
    if ends:
        workspace.database.write(lambda tx: revisions.end(tx, ada, begun.id, now))
        workspace.database.write(lambda tx: revisions.settle(tx, ada, begun.id, now))


def test_the_page_of_a_deployment_shows_where_it_runs(browse: Browse, inspect: Inspect, workspace: Workspace) -> None:
    ada, now = local_principal(), SystemClock().now()
    with workspace, control_plane(workspace) as url:
        version = register(workspace.database, ada, "a")
        workspace.database.write(lambda tx: service.deploy(tx, ada, "churn", version))
        sent = Revision(
            id="", deployment="churn", project="flights", cluster="staging", namespace="shop", server="https://k.example.org",
            number=0, manifests="m" * 64, image=IMAGE, version=version, state=RevisionState.BEGUN, began=now, by="",
        )  # fmt: skip
        for cluster in ("staging", "production"):
            recorded(workspace, msgspec.structs.replace(sent, cluster=cluster), ends=cluster == "staging")
        page = browse("/deploy/churn", url)
        rows = page.get_by_role("region", name="What was applied to clusters").get_by_role("row")
        expect(rows).to_have_count(3)
        expect(rows.nth(1)).to_contain_text("production")
        expect(rows.nth(1)).to_contain_text("begun")
        expect(rows.nth(2)).to_contain_text("settled")
        expect(rows.nth(2)).to_contain_text("churn@abababababab")
        inspect(page, "deployment-clusters")
