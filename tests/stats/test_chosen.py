import numpy as np
import pytest
from tests.stats.streams import profile_of, reference_of

from perenne.stats.cells import Reference
from perenne.stats.chosen import judge_chosen
from perenne.stats.columns import Column
from perenne.stats.drift import DriftVerdict, judge
from perenne.stats.names import resolve
from perenne.stats.profile import Profile


def draw(seed: int, rows: int, shift: float = 0.0, level: float = 0.5) -> dict[str, Column]:
    rng = np.random.default_rng(seed)
    return {
        "amount": rng.normal(shift, 1, rows),
        "age": rng.normal(shift, 1, rows),
        "plan": np.where(rng.random(rows) < level, "basic", "pro").astype(object),
    }


@pytest.fixture(scope="module")
def reference() -> Reference:
    return reference_of(draw(0, 8000))


def states(reference: Reference, window: Profile, **choices: str) -> tuple[DriftVerdict, dict[str, str]]:
    given = {name.replace("every", "*"): resolve(choice) for name, choice in choices.items()}
    verdict = judge_chosen(reference, window, judge(reference, window), given)
    return verdict, {feature.name: feature.state for feature in verdict.features}


def test_a_chosen_statistic_takes_the_place_of_the_rule(reference: Reference) -> None:
    window = profile_of(reference, draw(1, 2000, shift=0.25))
    assert states(reference, window)[1] == {"amount": "alarm", "age": "alarm", "plan": "ok"}
    verdict, found = states(reference, window, amount="psi")
    assert found == {"amount": "ok", "age": "alarm", "plan": "ok"} and verdict.state == "alarm"
    amount = next(feature for feature in verdict.features if feature.name == "amount")
    assert (amount.statistic, amount.threshold, amount.sentence) == ("psi", 0.2, "")
    assert amount.value is not None and 0.03 < amount.value < 0.2
    verdict, found = states(reference, window, every="psi")
    assert set(found.values()) == {"ok"} and verdict.state == "ok"


def test_an_alarm_tells_the_statistic_and_its_limit(reference: Reference) -> None:
    verdict, found = states(reference, profile_of(reference, draw(2, 2000, level=0.4)), plan="TVD(0.05)", every="ks")
    assert found == {"plan": "alarm", "amount": "ok", "age": "ok"}
    assert verdict.features[0].name == "plan"
    assert verdict.features[0].sentence.startswith("'basic' 5") and verdict.features[0].sentence.endswith("limit 0.05)")
    _, found = states(reference, profile_of(reference, draw(2, 2000, level=0.4)), every="ks")
    assert found["plan"] == "alarm"  # it has no order: the rule judges it


def test_few_rows_stay_too_few_and_an_empty_window_says_nothing(reference: Reference) -> None:
    assert states(reference, profile_of(reference, draw(3, 50, shift=3)), every="ks")[0].state == "too_few"
    assert set(states(reference, Profile.empty(reference), every="psi")[1].values()) == {"ok"}
