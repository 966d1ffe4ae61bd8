"""What a policy does next: pure. State, evidence and clock go in, a decision comes out; production and replay ask the same.

A signal is matched against the policy's triggers (`matching`, `complete`), `arrival` says what becomes of it, and for each state
one function says whether the episode moves, and why, or until when it waits. Nothing here reads a clock or a database.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from perenne.automation.model import Episode, EpisodeState, rest
from perenne.core.clock import DAY, MINUTE, format_duration, format_time
from perenne.projects import (
    AllOf,
    Concept,
    Cron,
    Drift,
    Manual,
    Missed,
    NewData,
    Promotion,
    RetrainPolicy,
    Trigger,
)
from perenne.stats.promotion import EXPECTED_TESTS, next_alpha
from perenne.stats.sequential import log_e_value

MONTH = 30 * DAY
QUARTER = 365 * DAY // 4
NO_IMPACT = 0.001
MOST_TRIES = 5
LEAST_ALPHA = 1e-9

_S = EpisodeState


class Move(msgspec.Struct, frozen=True):
    """A transition: where to, why in words, the figures that decided, and when to look at the new state."""

    to: EpisodeState
    note: str
    evidence: dict[str, Any] = {}
    due: int | None = None


class Wait(msgspec.Struct, frozen=True):
    """Nothing yet: when to look again, and what for."""

    until: int
    why: str


Decision: TypeAlias = Move | Wait


class Signal(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was noticed, as the policy's triggers are asked about it.

    Attributes
    ----------
    kind : str
        `drift`, `missed`, `concept`, `rows`, `versions`, `cron` or `manual`.
    features : tuple of str
        Of drift: what has drifted.
    windows : tuple of tuple of str
        Of drift: what had drifted in each of the newest windows, newest first; empty where nothing had.
    name : str
        The metric that is missed, the detector, the data set, or the calendar as `zone/expression`.
    count : int
        Rows, or versions.
    """

    kind: str
    features: tuple[str, ...] = ()
    windows: tuple[tuple[str, ...], ...] = ()
    name: str = ""
    count: int = 0


def matching(policy: RetrainPolicy, signal: Signal) -> tuple[tuple[Trigger, Trigger], ...]:
    """Return the triggers of a policy that a signal speaks for, each with the part that did: itself, or one of several.

    >>> both = AllOf((Drift(), NewData(rows=100)))
    >>> found = matching(RetrainPolicy(on=(Missed(), both)), Signal(kind="rows", count=120))
    >>> found == ((both, NewData(rows=100)),)
    True
    """
    pairs = [(on, part) for on in policy.on for part in (on.triggers if isinstance(on, AllOf) else (on,))]
    return tuple((on, part) for on, part in pairs if speaks_for(part, signal))


def speaks_for(trigger: Trigger, signal: Signal) -> bool:
    """Tell whether a signal is what a trigger waits for.

    >>> wanted = Drift(for_windows=2, of=3, features=("age",))
    >>> speaks_for(wanted, Signal(kind="drift", features=("age",), windows=(("age",), (), ("age", "fare"))))
    True
    """
    match trigger:
        case Drift(for_windows, of):
            if signal.kind != "drift":
                return False
            if for_windows == 1 and not of:
                return _touches(trigger, signal.features)
            return sum(_touches(trigger, window) for window in signal.windows[: trigger.windows]) >= for_windows
        case Missed(name):
            return signal.kind == "missed" and name in ("", signal.name)
        case Concept(name):
            return signal.kind == "concept" and name in ("", signal.name)
        case NewData(rows, versions, dataset):
            wanted = ("rows", rows) if rows else ("versions", versions)
            return signal.kind == wanted[0] and signal.count >= wanted[1] and dataset in ("", signal.name)
        case Cron(expression, zone):
            return signal.kind == "cron" and signal.name == f"{zone}/{expression}"
        case Manual():
            return signal.kind == "manual"
        case AllOf():
            return False


def _touches(trigger: Drift, features: Collection[str]) -> bool:
    return bool(features) and (not trigger.features or not set(trigger.features).isdisjoint(features))


def complete(trigger: AllOf, heard: Mapping[Trigger, int], now: int) -> bool:
    """Tell whether all parts of a trigger have been heard within its time.

    >>> both = AllOf((Drift(), Manual()), within=10)
    >>> complete(both, {Drift(): 5, Manual(): 12}, 14), complete(both, {Drift(): 1, Manual(): 12}, 14)
    (True, False)
    """
    return all(part in heard and now - heard[part] <= trigger.within for part in trigger.triggers)


def arrival(current: Episode | None, last: Episode | None, now: int, *, held: bool) -> str:
    """Say what becomes of a trigger: `merged` into the open episode, `paused`, `resting`, or `opened`.

    >>> arrival(None, None, 0, held=False), arrival(None, None, 0, held=True)
    ('opened', 'paused')
    """
    if current is not None:
        return "merged"
    if held:
        return "paused"
    return "resting" if last is not None and now < last.rest_until else "opened"


def after_end(episode: Episode, to: EpisodeState, policy: RetrainPolicy, now: int) -> tuple[int, int]:
    """Return how many episodes in a row promoted nothing, and until when the policy rests, once an episode ends.

    An end that says nothing about the challenger (not needed, cancelled, superseded) makes the rest no longer.
    """
    rests = now + rest(policy.cooldown, episode.rejections)
    if to in (_S.NOT_NEEDED, _S.CANCELLED, _S.SUPERSEDED):
        return episode.rejections, rests
    return (0 if to is _S.SETTLED else episode.rejections + 1), rests


def gathered(policy: RetrainPolicy, opened: int, now: int) -> Decision:
    """Let further triggers join for a time."""
    waited = now - opened
    if waited < policy.debounce:
        return Wait(opened + policy.debounce, "further triggers may join")
    note = f"gathered triggers for {format_duration(waited)}" if waited else "no time set to gather further triggers"
    return Move(_S.DEBOUNCED, note, {"waited": waited}, now)


class Harm(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the harm that drift does.

    Attributes
    ----------
    impact : float, optional
        The most that a drifted input moves the mean answer; None if that is not known of each.
    alarms : tuple of str
        Other alerts that fire: an objective missed, a guardrail breached, a changed concept.
    labels : int
        Labelled rows of the windows since the drift began.
    met, open, unknown : tuple of str
        Objectives that those labels show to be met, by their whole interval; those that they do not; and those without labels.
    """

    impact: float | None = None
    alarms: tuple[str, ...] = ()
    labels: int = 0
    met: tuple[str, ...] = ()
    open: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def unneeded(policy: RetrainPolicy, triggers: Iterable[Trigger], harm: Harm) -> Move | None:
    """Say that no retraining is needed, where drift alone asks for it and does no harm; None where that is not known.

    >>> unneeded(RetrainPolicy(), [Drift()], Harm(impact=0.0)).to.value
    'not_needed'
    >>> unneeded(RetrainPolicy(), [Drift(), Missed()], Harm(impact=0.0)) is None
    True
    """
    parts = [part for trigger in triggers for part in (trigger.triggers if isinstance(trigger, AllOf) else (trigger,))]
    if not policy.skip_unneeded or harm.alarms or not parts or not all(isinstance(part, Drift) for part in parts):
        return None
    evidence = msgspec.to_builtins(harm)
    if harm.met and not (harm.open or harm.unknown) and harm.labels >= policy.minimum_labels:
        note = f"no retraining needed: {harm.labels:,} labels since the drift began show {', '.join(harm.met)} met"
        return Move(_S.NOT_NEEDED, note, evidence)
    if harm.impact is not None and harm.impact <= NO_IMPACT and not harm.open:
        note = f"no retraining needed: what drifted moves the mean answer by {harm.impact:.2g} at most, and nothing else is wrong"
        return Move(_S.NOT_NEEDED, note, evidence)
    return None


class Spent(msgspec.Struct, frozen=True):
    """What training took in the last 30 days."""

    runs: int
    cpu_hours: float = 0.0


def affordable(policy: RetrainPolicy, spent: Spent, now: int) -> Decision:
    """Let an episode train within the budget, outside blackout hours; what is too dear ends it, and nothing is trained."""
    money = spent.cpu_hours * policy.cpu_hour_costs
    evidence = {
        "runs": spent.runs, "runs_per_month": policy.runs_per_month, "cpu_hours": spent.cpu_hours,
        "cpu_hours_per_month": policy.cpu_hours_per_month, "money": money, "money_per_month": policy.money_per_month,
    }  # fmt: skip
    if spent.runs >= policy.runs_per_month:
        over = f"{spent.runs} training runs in 30 days, {policy.runs_per_month} allowed"
    elif policy.cpu_hours_per_month and spent.cpu_hours >= policy.cpu_hours_per_month:
        over = f"{spent.cpu_hours:.3g} CPU hours in 30 days, {policy.cpu_hours_per_month:g} allowed"
    elif policy.money_per_month and money >= policy.money_per_month:
        over = f"{money:.3g} spent in 30 days, {policy.money_per_month:g} allowed"
    else:
        if (closed := policy.closed_until(now)) is not None:
            return Wait(closed, f"blackout until {format_time(closed)}")
        return Move(_S.BUDGET_OK, f"{spent.runs} of {policy.runs_per_month} training runs used in 30 days", evidence)
    return Move(_S.FAILED, f"budget: {over}; nothing was trained", evidence)


def terms(policy: RetrainPolicy, triggers: Iterable[Trigger], spent: Sequence[tuple[int, float]], now: int) -> Promotion:
    """Return the test that a challenger has to pass, with the alpha that the year's budget leaves it.

    Parameters
    ----------
    spent : sequence of (time, alpha)
        The tests that were made before.
    """
    rule = policy.rule(triggers)
    begin = now // QUARTER * QUARTER
    mine = [alpha for time, alpha in spent if time >= begin]
    before = sum(1 for time, _ in spent if begin - QUARTER <= time < begin)
    alpha = next_alpha(rule.alpha, policy.false_promotions_per_year, sum(mine), len(mine), before or EXPECTED_TESTS)
    return msgspec.structs.replace(rule, alpha=max(LEAST_ALPHA, alpha))


def examined(gate: str, reasons: Sequence[str], *, again: bool, sentence: str, evidence: dict[str, Any]) -> Move:
    """Take a measured challenger on if its gate is not closed, else reject it with the gate's reasons.

    Parameters
    ----------
    again : bool
        Whether the round made the champion itself once more.
    sentence : str
        How it compares, in words.
    """
    if again:
        return Move(_S.REJECTED, "the same data, code and parameters made the champion again", evidence)
    if gate == "closed":
        return Move(_S.REJECTED, "; ".join(reasons), evidence)
    return Move(_S.BLESSED, sentence, evidence)


def allowed(policy: RetrainPolicy, gate: str, reasons: Sequence[str], approver: str, challenger: str, now: int) -> Move:
    """Ask a person where the gate waits for one, else go on to the shadow."""
    if gate == "waiting":
        note = f"waits for {policy.approve_by or 'a person'} to approve {challenger}"
        return Move(_S.AWAITING_APPROVAL, note, {"approve_by": policy.approve_by}, now + policy.approval_time)
    if gate == "open":
        return shadowed(policy, f"approved by {approver}" if approver else "the evidence alone decides", now)
    return Move(_S.FAILED, "; ".join(reasons))


def shadowed(policy: RetrainPolicy, why: str, now: int) -> Move:
    """Let a challenger answer unseen."""
    note = f"{why}; answers unseen for {format_duration(policy.shadow)} and {policy.shadow_rows} rows"
    return Move(_S.SHADOW, note, {"length": policy.shadow, "rows": policy.shadow_rows}, now + look_after(policy.shadow))


def waited_out(policy: RetrainPolicy, entered: int, now: int) -> Decision:
    """Let an approval that nobody gave expire."""
    if now < entered + policy.approval_time:
        return Wait(entered + policy.approval_time, "nobody has decided")
    return Move(_S.EXPIRED, f"nobody decided within {format_duration(policy.approval_time)}")


def look_after(length: int) -> int:
    """Return how long to wait between looks at a trial: often enough to end a bad one early.

    >>> look_after(0), look_after(20 * 60 * MINUTE) // MINUTE
    (0, 60)
    """
    return min(length, max(MINUTE, length // 20))


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """How a challenger does beside the champion.

    Attributes
    ----------
    entered : int
        Since when it is where it is.
    rows, errors : int
        Rows it answered, and requests it failed on.
    parked : str
        Why it was taken out of rotation, if it was.
    labelled, wins, losses : int
        Rows whose label has come, and of them those that only the challenger or only the champion has right.
    agreement : float, optional
        Share of the rows that it answers like the champion.
    """

    entered: int
    rows: int
    errors: int = 0
    parked: str = ""
    labelled: int = 0
    wins: int = 0
    losses: int = 0
    agreement: float | None = None


def tried(policy: RetrainPolicy, state: EpisodeState, trial: Trial, now: int) -> Decision:
    """Say what becomes of a challenger in shadow or canary: promoted, rejected as soon as it is shown to be worse, or waiting.

    The evidence of labels is an e-value either way, so that it may be looked at whenever one likes.
    """
    canary = state is _S.CANARY
    length = (policy.canary_time or policy.shadow) if canary else policy.shadow
    better, worse, needed = (*_evidence(trial), -math.log(policy.promote.alpha))
    evidence = {
        **msgspec.to_builtins(trial), "log_e_better": better, "log_e_worse": worse, "needed": needed,
        "needed_rows": policy.shadow_rows, "length": length,
    }  # fmt: skip
    if trial.parked:
        return Move(_S.REJECTED, f"parked: {trial.parked}", evidence)
    if trial.errors:
        return Move(_S.REJECTED, f"failed on {trial.errors} of {trial.rows} rows in {state.value}", evidence)
    counts = f"alone right on {trial.wins:,} of {trial.labelled:,} labelled rows, the champion alone on {trial.losses:,}"
    if worse >= needed:
        return Move(_S.REJECTED, f"worse by labels: {counts}", evidence)
    end = trial.entered + length
    lacking = f"{trial.rows} of {policy.shadow_rows} rows" if trial.rows < policy.shadow_rows else ""
    if not lacking and policy.prove_live and better < needed:
        lacking = f"labels do not show it to be better yet: {counts}"
    if now < end or lacking:
        if now >= trial.entered + policy.trial_time:
            return Move(_S.EXPIRED, f"not shown within {format_duration(policy.trial_time)}: {lacking}", evidence)
        return Wait(min(max(end, now + MINUTE), now + max(MINUTE, look_after(length))), lacking or "its time is not over")
    if (closed := policy.closed_until(now)) is not None:
        return Wait(closed, f"blackout until {format_time(closed)}")
    how = f"{trial.rows} rows in {state.value}, none failed"
    if policy.canary and not canary:
        longer = look_after(policy.canary_time or policy.shadow)
        return Move(_S.CANARY, f"{how}; now {policy.canary:.1%} of the callers", evidence, now + longer)
    if trial.labelled:
        how += f"; {counts}"
    return Move(_S.PROMOTED, f"{how}; agreed with the champion on {trial.agreement or 0:.1%}", evidence, now)


def _evidence(trial: Trial) -> tuple[float, float]:
    return log_e_value(trial.wins, trial.losses), log_e_value(trial.losses, trial.wins)


def superseded(episode: Episode, champion: str) -> Move | None:
    """Give an episode up whose challenger was held against a champion that no longer answers; None if it still does."""
    compared = episode.state in (_S.INFRA_CHECKED, _S.AWAITING_APPROVAL, _S.SHADOW, _S.CANARY)
    if not compared or champion in (episode.champion, episode.challenger):
        return None
    note = f"{champion} answers now; {episode.challenger} was held against {episode.champion}"
    return Move(_S.SUPERSEDED, note, {"champion": champion})


def takes_back(kind: str, *, missed_before: bool) -> bool:
    """Tell whether what a guard says of a version that soaks takes it back.

    A breached guardrail always does. A missed objective does unless the champion before it missed the same one: to go back to
    that would undo an improvement that is not enough yet.

    >>> takes_back("guardrail", missed_before=True), takes_back("objective", missed_before=True)
    (True, False)
    """
    return kind == "guardrail" or not missed_before


def soaked(policy: RetrainPolicy, entered: int, now: int) -> Decision:
    """Settle a promoted version that no guard has spoken up about."""
    if now < entered + policy.soak:
        return Wait(entered + policy.soak, "it is watched")
    return Move(_S.SETTLED, f"no guard spoke up in {format_duration(now - entered)}", {"watched": now - entered})


def stumbled(tries: int, error: str, now: int) -> Decision:
    """Try a transition again that failed for reasons that may pass, ever later; in the end the episode has failed.

    >>> stumbled(1, "no space left", 0).until // MINUTE, stumbled(5, "no space left", 0).to.value
    (2, 'failed')
    """
    if tries >= MOST_TRIES:
        return Move(_S.FAILED, f"given up after {tries} tries: {error}", {"tries": tries})
    return Wait(now + (MINUTE << tries), f"try {tries}: {error}")
