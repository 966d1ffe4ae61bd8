"""What rollouts learn from labels: shares of a bandit that follow the rewards, and canaries that labels show to be worse."""

from itertools import count

import pyarrow as pa
import pytest
from tests.serving.test_deployments import change, register
from tests.serving.test_steps import step

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.automation.learning import judge_canaries, learn
from perenne.core.clock import HOUR
from perenne.monitoring import experiments, row_store
from perenne.monitoring.labels import write_labels
from perenne.monitoring.row_store import WindowLabels
from perenne.serving import service
from perenne.serving.model import Bandit, BanditRule, Deployment, Rollback
from perenne.serving.shares import read_shares
from perenne.stats.bandits import Rewards, epsilon_shares, thompson_shares
from perenne.stats.sequential import mean_interval
from perenne.storage.database import Database
from perenne.storage.workspace import Workspace

_windows = count()


def keep(
    workspace: Workspace, version: str, variant: str, right: list[bool], *, propensity: float = 0.5, reason: str = "weight",
    window: int | None = None, deployment: str = "delays",
) -> None:  # fmt: skip
    """Keep labelled rows of a window, as the join leaves them."""
    rows = len(right)
    table = pa.table(
        {
            "prediction_id": [f"row-{place}" for place in range(rows)],
            "prediction": ["late" if fine else "on time" for fine in right],
            "label": ["late"] * rows,
            "reason": [reason] * rows,
            "propensity": pa.array([propensity] * rows, pa.float32()),
        }
    )
    row = WindowLabels(
        deployment=deployment, variant=variant, version=version,
        window_start=(next(_windows) if window is None else window) * HOUR,
        window_length=HOUR, labels=workspace.objects.put(write_labels(table)), rows=rows, revision=1,
    )  # fmt: skip
    workspace.database.write(lambda tx: row_store.save_labels(tx, row))


@pytest.fixture
def rolled(workspace: Workspace, database: Database, actor: Principal) -> Deployment:
    first, second = (register(database, actor, seed) for seed in "ab")
    change(database, actor, "deploy", first)
    made = step(database, actor, "set_canary", second, 0.5)
    (workspace.settings.releases / "delays").mkdir(parents=True)
    return made


@pytest.mark.parametrize("rule", list(BanditRule))
def test_a_bandit_gives_more_to_who_earns_more_and_tells_the_workers(
    workspace: Workspace, database: Database, actor: Principal, rolled: Deployment, rule: BanditRule
) -> None:
    step(database, actor, "set_route", Bandit(rule, "correct", 0.1))
    folder = workspace.settings.releases / "delays"
    assert learn(workspace) == 1 and learn(workspace) == 0
    before = read_shares(folder)
    assert before is not None and before.shares == {"late@1": 0.5, "late@2": 0.5}
    keep(workspace, "late@1", "champion", [True, False] * 100)
    keep(workspace, "late@2", "canary", [True, True, True, False] * 50, reason="bandit")
    keep(workspace, "late@2", "canary", [False] * 500, reason="explicit", propensity=1.0)
    assert learn(workspace) == 1
    after = read_shares(folder)
    assert after is not None and after.shares["late@2"] > 0.94 and sum(after.shares.values()) == pytest.approx(1)
    assert (after.posterior["late@2"].count, after.posterior["late@2"].mean) == (200, 0.75)
    with database.read() as tx:
        present = service.get_deployment(tx, "delays")
    assert after.of(present) == after.shares, "what was learnt needs no new generation"


def test_a_canary_that_is_worse_on_the_same_rows_is_parked_and_one_that_is_not_is_not(
    workspace: Workspace, database: Database, rolled: Deployment
) -> None:
    keep(workspace, "late@1", "champion", [True, False] * 20, window=1)
    keep(workspace, "late@2", "challenger", [True, False] * 20, window=1)
    assert judge_canaries(workspace) == 0
    keep(workspace, "late@1", "champion", [True] * 30, window=2)
    keep(workspace, "late@2", "challenger", [False] * 20 + [True] * 10, window=2)
    assert judge_canaries(workspace) == 1 and judge_canaries(workspace) == 0
    with database.read() as tx:
        present = service.get_deployment(tx, "delays")
        record = audit.trail(tx, entity="deployment", entity_id="delays")[0]
    why = "worse by labels: alone right on 0 of 70 same rows, the champion alone on 20"
    assert present.canaries[0].parked == why == record.reason and record.actor == "rollback:delays"


def test_a_canary_that_is_worse_on_its_own_callers_is_parked_unless_labels_are_left_out(
    workspace: Workspace, database: Database, actor: Principal, rolled: Deployment
) -> None:
    step(database, actor, "set_rules", Rollback(metric_alpha=0.0))
    keep(workspace, "late@1", "champion", [True] * 900 + [False] * 100)
    keep(workspace, "late@2", "canary", [True] * 300 + [False] * 700)
    assert judge_canaries(workspace) == 0
    step(database, actor, "set_rules", Rollback())
    with database.read() as tx:
        earned = experiments.earned(tx, workspace.objects, "delays", "correct")
    found = experiments.difference(earned, "late@1", "late@2")
    assert found is not None and found.low < -0.6 < found.high < 0 and found.value == pytest.approx(-0.6)
    assert judge_canaries(workspace) == 1


def test_shares_are_right_for_what_is_known() -> None:
    assert thompson_shares([Rewards(1_000, 500, 500), Rewards(1_000, 500, 500)], 0.0)[0] == pytest.approx(0.5, abs=0.02)
    assert thompson_shares([Rewards(1_000, 500, 500), Rewards(), Rewards(1_000, 100, 100)], 0.1)[2] == pytest.approx(0.1 / 3)
    numbers = thompson_shares([Rewards(100, 500.0, 2_600.0), Rewards(100, 700.0, 5_000.0), Rewards()], 0.0)
    assert numbers[1] > numbers[0] and sum(numbers) == pytest.approx(1)
    assert epsilon_shares([Rewards(5, 1, 1), Rewards()], 0.3) == [0.5, 0.5]


def test_the_interval_covers_the_mean_at_all_looks_together() -> None:
    import numpy as np

    draw = np.random.default_rng(3)
    missed = 0
    for _ in range(60):
        values = draw.normal(0.0, 1.0, 3_000)
        sums, squares = values.cumsum(), (values**2).cumsum()
        looks = [mean_interval(n, sums[n - 1], squares[n - 1], 0.05) for n in range(100, 3_001, 20)]
        missed += any(not low <= 0 <= high for low, high in looks)
    assert missed <= 6
