"""What really happened, in the words of a backtest: the episodes as they were, the models that answered, and how well."""

from collections.abc import Sequence

import msgspec

from perenne.automation.backtest.history import History
from perenne.automation.backtest.model import Bout, Point, Track, sum_up
from perenne.automation.backtest.rounds import PastEpisode
from perenne.automation.model import EpisodeState

TRAINED = frozenset({EpisodeState.DATA_READY.value, EpisodeState.TRAINING.value, EpisodeState.EVALUATED.value})


def what_happened(world: History, episodes: Sequence[PastEpisode], price: float | None) -> Track:
    """Tell what happened."""
    bouts = tuple(_bout(world, item) for item in episodes)
    points = tuple(_points(world))
    words = ("What the policy of each time, and people, really did.",)
    return Track("really", words, bouts, points, sum_up(bouts, points, price))


def _bout(world: History, past: PastEpisode) -> Bout:
    item, made = past.episode, past.round
    bout = Bout(
        opened=item.opened,
        ended=None if item.open else item.entered,
        state=item.state,
        triggers=(item.cause,),
        steps=tuple(msgspec.structs.replace(step, evidence={}) for step in past.steps),
        champion=item.champion,
        challenger=item.challenger,
        note=item.note,
        trained=any(step.after in TRAINED for step in past.steps),
        cpu_seconds=made.seconds if made else 0.0,
        compared=made.compared if made else None,
    )
    decided = next((step.time for step in reversed(past.steps) if step.after in ("promoted", "rejected")), None)
    if decided is None or not item.challenger or item.challenger == item.champion:
        return bout
    return msgspec.structs.replace(bout, later=world.later(item.challenger, item.champion, decided))


def _points(world: History) -> Sequence[Point]:
    found = []
    for place, stretch in enumerate(world.stretches):
        model = world.who(place)
        known = world.labelled_at(place) is not None
        heard = world.hear(model, place, labels=known)
        found.append(Point(stretch.start, stretch.length, model, heard.verdict.state.value, heard.measured))
    return found
