"""A version that is parked alerts until it is asked again, taken out, or promoted."""

import pytest
from tests.monitoring.alerting.conftest import Desk
from tests.serving.test_deployments import change, register
from tests.serving.test_steps import step

from perenne.auth.principals import Principal
from perenne.monitoring.alerting import reports
from perenne.serving import DeploymentChanged
from perenne.storage.outbox import Outbox
from perenne.storage.workspace import Workspace


@pytest.mark.parametrize("way_out", ["unpark", "remove_canary"])
def test_a_parked_canary_is_told_of_until_it_is_asked_again_or_out(
    workspace: Workspace, actor: Principal, desk: Desk, way_out: str
) -> None:
    database = workspace.database
    first, second = (register(database, actor, seed) for seed in "ab")
    change(database, actor, "deploy", first)
    step(database, actor, "set_canary", second, 0.3)

    def hear() -> None:
        Outbox(database, {DeploymentChanged: [reports.ParkedVersions(workspace.clock).on_deployment]}).deliver()
        desk.post()

    hear()
    assert desk.boxes["mail"].subjects == []
    step(database, actor, "park", second, reason="60 of 60 requests failed")
    hear()
    assert desk.boxes["mail"].subjects == ["[warning] delays: firing"]
    assert f"{second} in delays is asked no more (canary): 60 of 60 requests failed" in desk.boxes["mail"].messages[0].lines[0]
    step(database, actor, way_out, second)
    hear()
    assert desk.boxes["mail"].subjects[1:] == ["[warning] delays: resolved"]
