"""REST of clusters: what was applied, for those who may see the deployment."""

from pathlib import Path

from tests.asked import ask, seen
from tests.delivery.clusters.plans import IMAGE, OTHER_IMAGE
from tests.delivery.clusters.test_applying import done

from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.delivery import clusters
from perenne.storage.workspace import Workspace


def test_what_was_applied_is_listed_and_read(workspace: Workspace, actor: Principal, deployed: str, kubeconfig: Path) -> None:
    where = ("--cluster", "stand-in", "--kubeconfig", str(kubeconfig), "--namespace", "shop")
    assert seen(workspace, actor, "/api/deploy/churn/clusters") == []
    for image in (IMAGE, OTHER_IMAGE):
        done(workspace, "apply", "churn", *where, "--image", image)
    newest, first = seen(workspace, actor, "/api/deploy/churn/clusters")
    assert (newest["number"], newest["image"], newest["version"], newest["state"]) == (2, OTHER_IMAGE, deployed, "applied")
    assert seen(workspace, actor, f"/api/deploy/churn/clusters?before={newest['id']}") == [first]
    assert seen(workspace, actor, "/api/deploy/churn/clusters?cluster=elsewhere") == []
    manifests = ask(workspace, actor, "GET", f"/api/deploy/churn/clusters/{first['id']}/manifests")
    assert manifests.status_code == 200 and f"image: {IMAGE}" in manifests.text
    with workspace.database.read() as tx:
        assert [item.number for item in clusters.latest(tx, "churn")] == [2]


def test_what_may_not_be_seen_is_not_shown(workspace: Workspace, actor: Principal, deployed: str) -> None:
    stranger = Principal("eve", roles=frozenset({Role.VIEWER}), projects=frozenset({"elsewhere"}))
    assert ask(workspace, stranger, "GET", "/api/deploy/churn/clusters").status_code in (403, 404)
    assert ask(workspace, actor, "GET", "/api/deploy/churn/clusters/none/manifests").status_code == 404
    assert ask(workspace, actor, "GET", "/api/deploy/nobody/clusters").status_code == 404
