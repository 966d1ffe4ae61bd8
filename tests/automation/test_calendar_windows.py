"""A project that comes to be watched by the calendar: whoever answers is counted so from then on."""

import msgspec
import pytest
from tests.automation.test_reactions import Stage

from perenne import monitoring
from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.automation.advancing import watch_version
from perenne.core.clock import DAY, HOUR, ManualClock
from perenne.projects import Monitoring, get_project
from perenne.storage.workspace import Workspace


@pytest.fixture
def stage(workspace: Workspace, clock: ManualClock, actor: Principal) -> Stage:
    made = Stage(workspace, clock, actor)
    made.state()
    return made


def test_observers_follow_a_project_to_windows_by_the_calendar(stage: Stage) -> None:
    champion = stage.version("a")
    assert stage.deployment().window_length == DAY
    challenger = stage.version("b")
    with stage.database.read() as tx:
        project = get_project(tx, "p")
    plan = Monitoring(windows="day", zone="Asia/Kolkata")
    asked = msgspec.structs.replace(project, monitoring=plan)
    for _ in range(2):
        stage.database.write(lambda tx: watch_version(tx, stage.actor, asked, challenger))
    assert stage.deployment().window_length == HOUR // 2
    with stage.database.read() as tx:
        watches = {watch.version: watch for watch in monitoring.service.watches(tx, "p")}
        changes = [record.action for record in audit.trail(tx, entity="deployment", entity_id="p")]
    assert watches.keys() == {champion, challenger}
    assert {watch.plan.windows for watch in watches.values()} == {"day"}
    assert {watch.window_length for watch in watches.values()} == {HOUR // 2}
    assert changes.count("deployment.window_changed") == 1
