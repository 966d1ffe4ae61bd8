"""The automation study, lean: years whose truth is known, through the real judging and the decisions of the loop."""

import pytest
from benchmarks.automation.bench import Outcome, live, rules
from benchmarks.automation.years import SCENARIOS, Year

from perenne.projects import RetrainPolicy
from perenne.testing import WorldContract


class TestYear(WorldContract):
    """The first month of one."""

    @pytest.fixture
    def world(self) -> Year:
        return Year(SCENARIOS["sudden"], 1, days=30)

    @pytest.fixture
    def models(self, world: Year) -> tuple[str, str]:
        policy = RetrainPolicy()
        return world.first, world.train(world.stretches[20].end, world.first, policy, policy.rule(()), 0).model


RULES = {rule.name: rule for rule in rules()}
PROVEN = "perenne: weekly, proven live"


def year(kind: str, *names: str, seed: int = 3) -> list[Outcome]:
    return live(kind, seed, [RULES[name] for name in names])


def test_where_nothing_changes_a_calendar_promotes_next_to_nothing_and_the_greater_mean_a_dozen() -> None:
    proven, greater = year("no change", PROVEN, "weekly, mean greater")
    assert proven.useless <= 0.05 * proven.trained and proven.trained >= 20
    assert greater.useless >= 10


def test_harmless_drift_is_found_to_need_nothing() -> None:
    (careful,) = year("harmless shift", "perenne: drift, missed")
    assert careful.unneeded > 10 * careful.trained and careful.promoted == 0


def test_after_a_sudden_change_the_model_is_replaced() -> None:
    proven, never = year("sudden, unseen", PROVEN, "never")
    assert proven.promoted >= 1 and proven.useless == 0
    assert proven.behind < 0.6 * never.behind and proven.lost < 0.5 * never.lost


def test_a_refit_that_is_worse_for_people_is_not_promoted_though_the_holdout_likes_it() -> None:
    proven, greater = year("refit is worse", PROVEN, "weekly, mean greater")
    assert proven.promoted == 0 and proven.behind == 0
    assert greater.useless >= 10 and greater.behind > 100


@pytest.mark.long
@pytest.mark.parametrize("kind", ["no change", "harmless shift", "sudden", "sudden, unseen", "label noise", "refit is worse"])
def test_of_many_retrains_at_most_one_in_twenty_is_promoted_for_nothing(kind: str) -> None:
    found = [year(kind, PROVEN, seed=100 + number)[0] for number in range(10)]
    assert sum(item.useless for item in found) <= 0.05 * sum(item.trained for item in found)
