"""Past rounds that stand for those that would have been: what they cost and what they made, as it was recorded."""

import math
from collections.abc import Callable, Sequence

import msgspec
from msgspec.structs import replace

from perenne import registry, tracking
from perenne.automation import store
from perenne.automation.backtest.model import Compared, Trained
from perenne.automation.model import Episode, EpisodeState, Step
from perenne.core.clock import SECOND
from perenne.projects import Mode, Promotion, RetrainPolicy
from perenne.registry import Dossier, Verdict
from perenne.storage.database import Transaction

EPISODES = 1_000
COMPARED = "compare:"
Z = 1.96


class PastRound(msgspec.Struct, frozen=True):
    """A round that an episode asked for, and what it came to."""

    time: int
    champion: str
    challenger: str
    compared: Compared | None
    lacking: str
    seconds: float
    length: int


class PastEpisode(msgspec.Struct, frozen=True):
    """An episode as it was, with its transitions and its round."""

    episode: Episode
    steps: tuple[Step, ...]
    round: PastRound | None


def past_episodes(tx: Transaction, project: str, start: int, end: int) -> list[PastEpisode]:
    """Read the episodes that were opened in a stretch of time, oldest first."""
    found = [item for item in reversed(store.newest(tx, project, EPISODES)) if start <= item.opened < end]
    steps = store.steps_of(tx, [item.id for item in found])
    dossiers = registry.summary.known(tx, {item.challenger for item in found if item.challenger})
    runs = {run.id: run for run in tracking.service.runs(tx, project, limit=EPISODES)}
    return [
        PastEpisode(item, (own := tuple(steps.get(item.id, ()))), _round(item, own, dossiers.get(item.challenger), runs))
        for item in found
    ]


def _round(item: Episode, steps: Sequence[Step], found: Dossier | None, runs: dict[str, tracking.Run]) -> PastRound | None:
    if found is None:
        return None
    times = {step.after: step.time for step in steps}
    began = times.get(EpisodeState.BUDGET_OK.value, item.opened)
    failed = [fact for fact in found.evidence if fact.check in _required(found) and not fact.lets_through()]
    return PastRound(
        time=began,
        champion=item.champion,
        challenger=item.challenger,
        compared=compared_of(found),
        lacking="; ".join(fact.check for fact in failed),
        seconds=_cost(steps, runs.get(found.version.run)),
        length=max(0, times.get(EpisodeState.EVALUATED.value, began) - began),
    )


def _cost(steps: Sequence[Step], run: tracking.Run | None) -> float:
    """Return the CPU seconds that a round is known to have taken; of rounds of before they were kept, how long it took."""
    known = [step.evidence["cpu_seconds"] for step in steps if "cpu_seconds" in step.evidence]
    if known:
        return float(max(known))
    return 0.0 if run is None or run.ended is None else (run.ended - run.started) / SECOND


def _required(found: Dossier) -> set[str]:
    """Name the checks that the gate asks for, apart from the comparison with whoever was champion then."""
    return {check for check in found.version.policy.required if not check.startswith(COMPARED)}


def compared_of(found: Dossier) -> Compared | None:
    """Return the figures of a version's newest comparison with a champion."""
    for item in reversed(found.evidence):
        if item.check.startswith(COMPARED) and None not in (item.value, item.low, item.high):
            return Compared(float(item.value or 0), float(item.low or 0), float(item.high or 0), 0)
    return None


class PastRounds:
    """Takes the round nearest in time for one that would have been.

    Parameters
    ----------
    rounds : sequence of PastRound
        Those there were.
    hold_against : callable
        Compares two models on labelled rows of a stretch of time, for a champion that was another one then.
    """

    def __init__(self, rounds: Sequence[PastRound]) -> None:
        self._rounds = sorted(rounds, key=lambda item: item.time)
        self.hold_against: Callable[[str, str, int, int], Compared | None] | None = None

    def train(self, now: int, champion: str, policy: RetrainPolicy, terms: Promotion, since: int) -> Trained:
        """Tell what the nearest round came to, by the figures of its test."""
        if not self._rounds:
            return Trained(model="", verdict=Verdict.UNKNOWN, detail="no past round can stand for this one")
        near = min(self._rounds, key=lambda item: abs(item.time - now))
        spent = Trained(model="", verdict=Verdict.FAIL, detail="", cpu_seconds=near.seconds, length=near.length)
        stands = f"{near.challenger} stands for it"
        if near.challenger == champion:
            return replace(spent, model=champion, detail=f"{stands}, which answers already")
        compared = near.compared
        if champion != near.champion and self.hold_against is not None:
            end = near.time - policy.label_delay
            compared = self.hold_against(near.challenger, champion, end - policy.holdout, end)
        verdict, detail = verdict_of(compared, terms)
        if near.lacking and verdict is Verdict.PASS:
            verdict, detail = Verdict.FAIL, near.lacking
        return replace(spent, model=near.challenger, verdict=verdict, detail=f"{stands}: {detail}", compared=compared)


def verdict_of(compared: Compared | None, rule: Promotion) -> tuple[Verdict, str]:
    """Judge by a difference and its interval what a test would have said.

    >>> verdict_of(Compared(0.02, 0.005, 0.035, 900), Promotion())
    (<Verdict.PASS: 'pass'>, 'better by 0.02 (0.005 to 0.035), p = 0.0045')
    """
    if compared is None:
        return Verdict.UNKNOWN, "the two cannot be compared"
    limit = -rule.margin if rule.mode is Mode.NON_INFERIOR else 0.0
    deviation = (compared.high - compared.low) / (2 * Z)
    chance = math.erfc((compared.difference - limit) / (deviation or math.inf) / math.sqrt(2)) / 2
    enough = rule.mode is Mode.NON_INFERIOR or (compared.difference > 0 and compared.difference >= rule.min_effect)
    way = "better" if compared.difference > 0 else "worse"
    detail = f"{way} by {abs(compared.difference):.3g} ({compared.low:.3g} to {compared.high:.3g}), p = {chance:.2g}"
    return (Verdict.PASS if enough and chance < rule.alpha else Verdict.FAIL), detail
