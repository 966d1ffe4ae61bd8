"""What harm drift does, by what monitoring knows: how far it moves the answer, what labels say, and what else is wrong."""

import math
from collections.abc import Iterable, Sequence

from perenne import monitoring
from perenne.automation.deciding import Harm, Signal
from perenne.automation.model import Episode
from perenne.monitoring import BoundState, WindowVerdict
from perenne.projects import Objective, ProjectRecord
from perenne.storage.database import Transaction

MOST_WINDOWS = 30
ALARM = "alarm"


def drift_signal(tx: Transaction, deployment: str, version: str, features: Sequence[str], windows: int) -> Signal:
    """Return drift as triggers are asked about it: what has drifted now, and in each of the newest windows of a version."""
    newest = monitoring.summary.champion_verdicts(tx, deployment, windows) if windows > 1 else []
    drifted = tuple(drifted_in(verdict) for verdict in newest if verdict.version == version)
    return Signal(kind="drift", features=tuple(features), windows=drifted)


def drifted_in(verdict: WindowVerdict) -> tuple[str, ...]:
    """Name what had drifted in a window."""
    return tuple(cause.feature for cause in verdict.causes if cause.state == ALARM)


def harm_of(tx: Transaction, project: ProjectRecord, episode: Episode) -> Harm:
    """Gather what is known of the harm since what opened an episode began."""
    lines = monitoring.summary.open_lines(tx, [project.name])
    others = {line.rule for line in lines if line.version == episode.champion and line.fired is not None and line.rule != "drift"}
    verdicts = [
        verdict
        for verdict in monitoring.summary.champion_verdicts(tx, project.name, MOST_WINDOWS)
        if verdict.version == episode.champion
        and verdict.window_start + verdict.window_length > (episode.since or episode.opened)
    ]
    return judged_harm(project.objectives, verdicts, tuple(sorted(others)))


def judged_harm(objectives: Iterable[Objective], verdicts: Sequence[WindowVerdict], alarms: tuple[str, ...] = ()) -> Harm:
    """Judge the harm by the windows since it began: pure.

    An objective is met by labels if the whole interval of its mean over the windows lies on the right side of the limit: a single
    window may have too few rows to tell.
    """
    moved = [cause.impact for verdict in verdicts for cause in verdict.causes if cause.state == ALARM]
    known = [abs(value) for value in moved if value is not None]
    met: list[str] = []
    unmet: list[str] = []
    unknown: list[str] = []
    labels = 0
    for objective in objectives:
        if objective.operational:
            continue
        found = [state for verdict in verdicts for state in verdict.bounds if _by_labels(state, objective)]
        labels = max(labels, sum(state.figure.rows for state in found))
        (unknown if not found else met if _surely(found) else unmet).append(objective.id)
    return Harm(
        impact=max(known) if known and len(known) == len(moved) else None,
        alarms=alarms, labels=labels, met=tuple(met), open=tuple(unmet), unknown=tuple(unknown),
    )  # fmt: skip


def _by_labels(state: BoundState, objective: Objective) -> bool:
    mine = state.kind == "objective" and state.bound == objective.id
    return mine and state.figure.source == "realised" and state.standing != "unknown"


def _surely(states: Sequence[BoundState]) -> bool:
    """Tell whether the mean of a figure over windows, each by its rows, keeps its bound with its whole interval."""
    figures = [state.figure for state in states]
    if any(figure.value is None or figure.low is None or figure.high is None for figure in figures):
        return False
    rows = sum(figure.rows for figure in figures) or 1
    value = sum(figure.rows * (figure.value or 0.0) for figure in figures) / rows
    half = math.hypot(*(figure.rows * ((figure.high or 0.0) - (figure.low or 0.0)) / 2 for figure in figures)) / rows
    limit = states[0].limit
    return value - half >= limit if states[0].at_least else value + half <= limit
