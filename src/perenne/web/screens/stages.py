"""The stages of the loop on the home page: a figure, what it counts, and how it divides, over all projects that may be seen."""

from collections import Counter
from collections.abc import Collection, Mapping

import msgspec

from perenne import automation, data, registry, tracking
from perenne.automation import EpisodeState
from perenne.core.clock import DAY
from perenne.core.stages import Stage
from perenne.registry import VersionState
from perenne.storage.database import Transaction
from perenne.tracking import RunState

_CLOSED_WELL = (EpisodeState.SETTLED, EpisodeState.NOT_NEEDED)
_CLOSED = {
    EpisodeState.REJECTED: "rejected",
    EpisodeState.ROLLED_BACK: "rolled back",
    EpisodeState.FAILED: "failed",
    EpisodeState.EXPIRED: "expired",
    EpisodeState.SUPERSEDED: "superseded",
    EpisodeState.CANCELLED: "cancelled",
}


class Part(msgspec.Struct, frozen=True):
    """A part of what a stage counts: how many, in words, and its tone."""

    count: int
    tone: str
    title: str


class StageFigure(msgspec.Struct, frozen=True):
    """One stage: its figure, what that counts, how the whole divides, and where more of it is."""

    stage: Stage
    title: str
    figure: int
    caption: str
    parts: tuple[Part, ...]
    path: str


class Serving(msgspec.Struct, frozen=True):
    """What is known of the deployments already: how many stand how, of how many a challenger is tried, and alerts that fire."""

    states: Mapping[str, int]
    challenged: int
    firing: int


def stage_figures(
    tx: Transaction, now: int, names: Collection[str], with_policy: int, limits: Collection[str], serving: Serving, waiting: int
) -> tuple[StageFigure, ...]:
    """Sum every stage up.

    Parameters
    ----------
    now : int
        By the machine's clock, which runs, versions and snapshots are kept by.
    names, with_policy : collection, int
        The projects that may be seen, and how many of them retrain by themselves.
    limits : collection of str
        The projects that whoever asks is limited to; empty for none.
    """
    return (
        _originate(len(names), with_policy),
        _data(data.summary.counts(tx, now - DAY, limits)),
        _train(tracking.summary.counts(tx, now - DAY, limits)),
        _review(registry.summary.counts(tx, limits), waiting),
        _serve(serving),
        _monitor(serving),
        _retrain(automation.episodes.newest_states(tx, names)),
    )


def _of(stage: Stage, title: str, figure: int, caption: str, parts: list[tuple[int, str, str]], path: str) -> StageFigure:
    shown = tuple(Part(count, tone, f"{count:,} {what}") for count, tone, what in parts if count)
    return StageFigure(stage, title, figure, caption, shown, path)


def _counted(number: int, one: str, more: str) -> str:
    return one if number == 1 else more


def _originate(projects: int, with_policy: int) -> StageFigure:
    parts = [(with_policy, "ok", "with a retraining policy"), (projects - with_policy, "none", "without one")]
    caption = f"{_counted(projects, 'project', 'projects')}, {with_policy:,} with a policy"
    return _of(Stage.ORIGINATE, "Originate", projects, caption, parts, "/project")


def _data(found: data.summary.DataCounts) -> StageFigure:
    parts = [(found.new, "ok", "snapshots in 24 h"), (found.snapshots - found.new, "none", "older snapshots")]
    caption = f"{_counted(found.datasets, 'dataset', 'datasets')}, {found.new:,} new in 24 h"
    return _of(Stage.DATA, "Data", found.datasets, caption, parts, "/data")


def _train(found: Mapping[RunState, int]) -> StageFigure:
    done, failed, running = (found.get(state, 0) for state in (RunState.FINISHED, RunState.FAILED, RunState.RUNNING))
    total = done + failed + running
    parts = [(done, "ok", "finished"), (running, "info", "running"), (failed, "crit", "failed")]
    caption = f"{_counted(total, 'run', 'runs')} in 24 h" + (f", {failed:,} failed" if failed else "")
    return _of(Stage.TRAIN, "Train", total, caption, parts, "/runs")


def _review(found: Mapping[VersionState, int], waiting: int) -> StageFigure:
    approved, rejected, barred = (
        found.get(state, 0) for state in (VersionState.APPROVED, VersionState.REJECTED, VersionState.BARRED)
    )
    undecided = max(0, found.get(VersionState.CANDIDATE, 0) - waiting)
    parts = [
        (approved, "ok", "approved"),
        (undecided, "none", "decided by evidence alone"),
        (waiting, "warn", "waiting for a person"),
        (rejected, "crit", "rejected"),
        (barred, "crit", "barred"),
    ]
    return _of(Stage.REVIEW, "Review", waiting, _counted(waiting, "needs approval", "need approval"), parts, "/model")


def _serve(serving: Serving) -> StageFigure:
    total, stopped = sum(serving.states.values()), serving.states.get("stopped", 0)
    parts = [(total - stopped, "ok", "answering"), (stopped, "crit", "stopped")]
    caption = "in service" + (f", {serving.challenged:,} challenged" if serving.challenged else "")
    return _of(Stage.SERVE, "Serve", total, caption, parts, "/deploy")


def _monitor(serving: Serving) -> StageFigure:
    states = Counter(serving.states)
    watch, alarm = states["warn"], states["alarm"] + states["stopped"]
    parts = [
        (states["ok"], "ok", "healthy"),
        (sum(states.values()) - states["ok"] - watch - alarm, "none", "of which too little is known"),
        (watch, "warn", "to watch"),
        (alarm, "crit", "in alarm or stopped"),
    ]
    return _of(Stage.MONITOR, "Monitor", serving.firing, _counted(serving.firing, "alert fires", "alerts fire"), parts, "/alert")


def _retrain(found: Mapping[EpisodeState, int]) -> StageFigure:
    settled = sum(found.get(state, 0) for state in _CLOSED_WELL)
    running = sum(count for state, count in found.items() if state not in _CLOSED and state not in _CLOSED_WELL)
    parts = [(settled, "ok", "settled"), (running, "info", "in progress")]
    parts += [(found.get(state, 0), "crit" if word == "failed" else "warn", word) for state, word in _CLOSED.items()]
    return _of(Stage.RETRAIN, "Retrain", running, "in progress", parts, "/policy")
