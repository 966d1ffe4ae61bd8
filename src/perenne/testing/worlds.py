"""What a replay of policies may take for granted of every past, a workspace's or a simulated one."""

from itertools import pairwise
from typing import Any


class WorldContract:
    """For worlds. Fixtures: `world`, and `models`, the names of two that can answer: who answered at first, and another."""

    def test_its_windows_follow_one_another(self, world: Any) -> None:
        stretches = world.stretches
        assert stretches and all(item.length > 0 for item in stretches)
        assert all(one.end <= two.start for one, two in pairwise(stretches))

    def test_labels_are_known_when_a_window_has_ended_and_not_before(self, world: Any) -> None:
        known = [(place, world.labelled_at(place)) for place in range(len(world.stretches))]
        assert all(time is None or time >= world.stretches[place].end for place, time in known)
        assert all(world.labels(place) > 0 for place, time in known if time is not None)

    def test_a_window_is_heard_the_same_again_and_with_labels_measured(self, world: Any, models: tuple[str, str]) -> None:
        place = next(place for place in range(len(world.stretches)) if world.labelled_at(place) is not None)
        for model in models:
            heard = world.hear(model, place, labels=True)
            assert heard == world.hear(model, place, labels=True) and heard.measured is not None
            assert heard.verdict.window_start == world.stretches[place].start

    def test_beside_each_other_two_models_are_counted_alike_either_way(self, world: Any, models: tuple[str, str]) -> None:
        first, second = models
        one, two = world.beside(second, first, 0), world.beside(first, second, 0)
        assert (one.rows, one.labelled, one.wins, one.losses) == (two.rows, two.labelled, two.losses, two.wins)
        assert one.wins + one.losses <= one.labelled <= one.rows
