"""A real cluster, where somebody names one: what the API server there takes, and what it says of it.

`PERENNE_TEST_CONTEXT` names a context of the kubeconfig, `PERENNE_TEST_NAMESPACE` a namespace that is there, `perenne-test` if
not given. No pod needs to start: the image is nowhere.
"""

import os

import pytest
from tests.delivery.clusters.plans import IMAGE, OTHER_IMAGE
from tests.delivery.clusters.test_applying import done

from perenne.delivery.clusters.applying import owned_objects
from perenne.delivery.clusters.target import connect
from perenne.storage.workspace import Workspace

CONTEXT = os.environ.get("PERENNE_TEST_CONTEXT", "")
NAMESPACE = os.environ.get("PERENNE_TEST_NAMESPACE", "perenne-test")
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not CONTEXT, reason="PERENNE_TEST_CONTEXT names no context of a kubeconfig: no live cluster was asked"),
]


def test_a_live_cluster_takes_changes_and_gives_back_what_is_rendered(workspace: Workspace, deployed: str) -> None:
    where = ("--cluster", CONTEXT, "--namespace", NAMESPACE)
    now = ("--timeout", "0s", "--prune")
    cluster = connect(CONTEXT)
    try:
        assert {row["change"] for row in done(workspace, "apply", "churn", *where, *now, "--image", IMAGE).value} == {"create"}
        assert "already" in done(workspace, "apply", "churn", *where, *now, "--image", IMAGE).note
        done(workspace, "apply", "churn", *where, *now, "--image", OTHER_IMAGE, "--replicas", "2")
        done(workspace, "rollback", "churn", *where, *now)
        status = done(workspace, "status", "churn", *where).value
        assert status.runs == "revision 3" and status.healthy is False
    finally:
        for item in reversed(owned_objects(cluster, "churn", NAMESPACE)[0]):
            cluster.delete(item, NAMESPACE)
