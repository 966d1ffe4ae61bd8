"""Who gets which variant: weights, sticky keys, bandits; and that a weight that grows moves callers only towards its variant."""

from collections import Counter
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perenne.core.errors import Conflict, Invalid, NotFound
from perenne.serving import rollouts
from perenne.serving.model import Bandit, Deployment, Role, Sticky, Variant
from perenne.serving.routing import SLOTS, Chooser, owners, pack_slots, slots_of, sticky_hash

STICKY = Sticky(header="X-User")
KEYS = [f"user-{number}".encode() for number in range(3_000)]


def variant(number: int, role: Role = Role.CANARY) -> Variant:
    return Variant(role.value, role, f"m@{number}", f"tree{number}")


def deployment(**weights: float) -> Deployment:
    made = Deployment(name="d", project="p", generation=1, variants=(variant(1, Role.CHAMPION),), route=STICKY)
    for name, weight in weights.items():
        made = rollouts.canaried(made, variant(int(name[1:])), weight)
    return made


def assigned(made: Deployment, keys: list[bytes] = KEYS) -> list[str]:
    chooser = Chooser(made)
    return [chooser.variants[chooser.choose([(b"x-user", key)], {}).place].version for key in keys]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(2, 4), st.integers(0, SLOTS)), min_size=1, max_size=8))
def test_a_changed_weight_moves_callers_only_between_its_variant_and_the_champion(steps: list[tuple[int, int]]) -> None:
    made = deployment(_2=0.1, _3=0.2, _4=0.0)
    for number, slots in steps:
        before = owners(_answering(made))
        try:
            after = rollouts.canaried(made, variant(number), slots / SLOTS)
        except Invalid:
            assert slots + sum(v.weight for v in made.canaries if v.version != f"m@{number}") * SLOTS > SLOTS - 0.5
            continue
        version, grows = f"m@{number}", slots / SLOTS >= _weight(made, number)
        names = [v.version for v in _answering(made)]
        moved = [(names[a], _name(after, b)) for a, b in zip(before, owners(_answering(after)), strict=True)]
        moved = [(a, b) for a, b in moved if a != b]
        assert all((a, b) == (("m@1", version) if grows else (version, "m@1")) for a, b in moved)
        assert owners(_answering(after)).count(_place(after, number)) == slots
        made = after


def _answering(made: Deployment) -> list[Variant]:
    return [made.champion, *made.canaries]


def _name(made: Deployment, place: int) -> str:
    return _answering(made)[place].version


def _place(made: Deployment, number: int) -> int:
    return [v.version for v in _answering(made)].index(f"m@{number}")


def _weight(made: Deployment, number: int) -> float:
    return next(v.weight for v in made.canaries if v.version == f"m@{number}")


def test_a_key_stays_with_its_variant_in_any_process_and_shares_are_as_the_weights_say() -> None:
    made = deployment(_2=0.2, _3=0.1)
    assert assigned(made) == assigned(made)
    shares = Counter(assigned(made))
    assert abs(shares["m@2"] / len(KEYS) - 0.2) < 0.03 and abs(shares["m@3"] / len(KEYS) - 0.1) < 0.02
    assert sticky_hash("", "ada") == 2811677874490880021, "callers would change variants with an update"
    assert slots_of(deployment(_2=0.005).canaries[0].slots) == [144, 359, 808, 888, 953]
    other = msgspec.structs.replace(made, route=Sticky(header="x-user", salt="spring"))
    assert np.mean([a == b for a, b in zip(assigned(made), assigned(other), strict=True)]) < 0.8


def test_a_canary_that_is_promoted_keeps_its_callers_and_gets_the_champions() -> None:
    from perenne.serving.model import crowned

    made = deployment(_2=0.3, _3=0.2)
    before, after = assigned(made), assigned(crowned(made, variant(2)))
    assert {(a, b) for a, b in zip(before, after, strict=True)} == {("m@1", "m@2"), ("m@2", "m@2"), ("m@3", "m@3")}


def test_each_answer_says_by_what_chance_it_was_given() -> None:
    made = msgspec.structs.replace(deployment(_2=0.25), route=Sticky(field="user"))
    chooser = Chooser(made)
    one = chooser.choose((), {"user": np.array(["ada", "ada"], object)})
    assert (one.reason, one.sticky_hash, one.propensity) == ("sticky", sticky_hash("", "ada"), (0.75, 0.25)[one.place])
    assert chooser.choose((), {"user": np.array(["ada", "bob"], object)}) == (0, "mixed", 1.0, 0)
    assert chooser.choose((), {"user": np.array([None], object)}).reason == "weight"
    assert chooser.choose((), {"user": np.array([np.nan])}).reason == "weight"
    assert chooser.choose((), {"user": np.array([7.0])}).sticky_hash == sticky_hash("", "7.0")
    gone = Chooser(made, absent={"tree2"})
    assert gone.shares == (1.0,) and {gone.choose((), {"user": np.array([k], object)}).place for k in KEYS[:50]} == {0}


def test_a_bandit_chooses_by_the_shares_it_was_given_and_by_what_is_left_of_them() -> None:
    made = msgspec.structs.replace(deployment(_2=0.0, _3=0.0), route=Bandit())
    shares = {"m@1": 0.1, "m@2": 0.6, "m@3": 0.3}
    chooser = Chooser(made, shares=shares)
    drawn = [chooser.choose((), {}) for _ in range(4_000)]
    assert all(choice.reason == "bandit" and choice.propensity == chooser.shares[choice.place] for choice in drawn)
    counted = Counter(chooser.variants[choice.place].version for choice in drawn)
    assert all(abs(counted[version] / 4_000 - share) < 0.05 for version, share in shares.items())
    assert Chooser(made, {"tree2"}, shares).shares == pytest.approx((0.25, 0.75))
    assert Chooser(made).shares == (1 / 3,) * 3


@given(st.sets(st.integers(0, SLOTS - 1)))
@settings(max_examples=25)
def test_slots_are_written_as_bits(slots: set[int]) -> None:
    assert set(slots_of(pack_slots(slots))) == slots and len(pack_slots(slots)) in (0, SLOTS // 8)


def test_several_weights_are_set_at_once_and_add_up() -> None:
    made = deployment(_2=0.6, _3=0.3)
    after = rollouts.split(made, {"m@3": 0.6, "m@2": 0.3, "m@1": 0.1})
    assert [v.weight for v in after.canaries] == [0.3, 0.6] and after.generation == made.generation + 1
    with pytest.raises(Invalid, match="what is left"):
        rollouts.split(made, {"m@2": 0.2, "m@1": 0.2})
    with pytest.raises(Invalid, match="not left"):
        rollouts.split(made, {"m@2": 0.8, "m@3": 0.3})
    with pytest.raises(NotFound):
        rollouts.split(made, {"m@9": 0.1})


@pytest.mark.parametrize("weight", [-0.1, 1.1, float("nan"), 0.0001])
def test_a_weight_that_is_none_is_refused(weight: float) -> None:
    with pytest.raises(Invalid):
        deployment(_2=weight)


def test_what_cannot_be_is_refused() -> None:
    made = deployment(_2=0.1)
    with pytest.raises(Conflict):
        rollouts.canaried(made, variant(1), 0.1)
    for route in (Sticky(), Sticky(header="a", field="b"), Bandit(epsilon=0), Bandit(reward="profit")):
        with pytest.raises(Invalid):
            rollouts.routed(made, route)
    for rule, value in {"error_rate": 2.0, "slower": 0.5, "min_requests": 0, "window": 0}.items():
        with pytest.raises(Invalid, match=rule):
            rollouts.ruled(made, msgspec.structs.replace(made.rollback, **{rule: value}))
    with pytest.raises(Invalid):
        rollouts.timed(made, "m@2", -1)
    with pytest.raises(NotFound):
        rollouts.mirrored(made, "m@1", 0.5)


def test_who_is_parked_gives_its_callers_back_and_keeps_its_place() -> None:
    parked = rollouts.parked(deployment(_2=0.5, _3=0.2), "m@2", "too slow")
    gone, stays = parked.canaries
    assert (gone.parked, gone.weight, gone.slots) == ("too slow", 0.0, b"") and stays.weight == 0.2
    assert set(assigned(parked)) == {"m@1", "m@3"}
    with pytest.raises(Conflict):
        rollouts.parked(parked, "m@2", "again")
    again = rollouts.canaried(parked, variant(2), 0.1)
    assert next(v for v in again.canaries if v.version == "m@2").parked == ""
    weights = [rollouts.canaried(again, variant(2), weight / 10) for weight in range(1, 8)]
    kept = [set(slots_of(next(v.slots for v in each.canaries if v.version == "m@2"))) for each in weights]
    assert all(small <= large for small, large in pairwise(kept))
