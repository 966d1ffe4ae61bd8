"""The job of an episode on real rows: a column that is gone trains nothing and alerts; mended rows are judged with figures."""

from pathlib import Path

import pyarrow.csv as csv
from tests.automation.conftest import do_round

from perenne.app.wiring import Platform
from perenne.auth.principals import Principal
from perenne.automation import episodes
from perenne.automation.model import Episode, EpisodeState, Step
from perenne.automation.triggering import trigger_by_hand
from perenne.core.clock import ManualClock
from perenne.core.config import Settings
from perenne.monitoring import service as monitoring
from perenne.registry import versions
from perenne.storage.workspace import Workspace


def retrained(workspace: Workspace, actor: Principal, platform: Platform) -> tuple[Episode, tuple[Step, ...]]:
    """Retrain by hand, and do what is to be done at once."""
    now = workspace.clock.now()
    opened = workspace.database.write(lambda tx: trigger_by_hand(tx, actor, "lumps", "a test", now))
    for _ in range(4):
        platform.loop.settle()
        platform.trainer.drain()
    with workspace.database.read() as tx:
        return episodes.get_episode(tx, opened.id), tuple(episodes.history(tx, opened.id))


def test_a_changed_schema_trains_nothing_and_a_mended_one_is_judged_by_figures(
    settings: Settings, actor: Principal, clock: ManualClock, folder: Path
) -> None:
    with Workspace(settings, clock) as workspace:
        do_round(workspace, actor, folder)
        platform = Platform(workspace)
        platform.loop.settle()
        table = csv.read_csv(folder / "samples.csv")
        gone = next(name for name in table.column_names if name not in {"day", "group", "target"})
        csv.write_csv(table.drop_columns([gone]), folder / "samples.csv")
        episode, steps = retrained(workspace, actor, platform)
        assert episode.state is EpisodeState.FAILED and gone in episode.note
        assert [step.after for step in steps] == ["triggered", "debounced", "budget_ok", "failed"]
        assert steps[-1].evidence["cpu_seconds"] > 0 and steps[2].evidence["runs_per_month"] == 30
        with workspace.database.read() as tx:
            assert [alert.rule for alert in monitoring.open_alerts(tx)] == ["policy data"]
            assert len(versions(tx, "lumps")) == 1
        csv.write_csv(table.slice(0, table.num_rows - 40), folder / "samples.csv")
        clock.advance_to(episode.rest_until)
        episode, steps = retrained(workspace, actor, platform)
        judged = next(step for step in steps if step.after == "evaluated").evidence
        assert judged["terms"]["mode"] == "superior" and judged["contests"][0]["part"] == "all"
        assert judged["champion"] and judged["challenger"] and judged["rows"] > 30 and judged["cpu_seconds"] > 0
        assert episode.alpha == 0.05 and episode.source
        with workspace.database.read() as tx:
            assert monitoring.open_alerts(tx) == []
