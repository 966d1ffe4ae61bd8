"""Callers of the model against those of a holdout, a canary or a challenger, by an outcome; looked at as often as one likes.

Who answered whom was drawn by chance, with a propensity that is in the log: each outcome weighs by its inverse, and the mean of
the differences has an interval that holds at all looks together (`stats.sequential.difference_interval`). A challenger in shadow
acts on nobody, so it is compared only once it answers callers of its own.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from perenne.monitoring import store
from perenne.monitoring.alerts import advance
from perenne.monitoring.experiments import RANDOMISED
from perenne.monitoring.guarding.joining import measured
from perenne.monitoring.guarding.running import breach
from perenne.monitoring.guards import store as guard_store
from perenne.monitoring.guards.model import Running
from perenne.monitoring.judge import speaks
from perenne.monitoring.labels import read_labels
from perenne.monitoring.model import CHAMPION, BoundState, Figure, Standing, Watch, WindowKey, stand
from perenne.projects import Guardrail
from perenne.stats.sequential import difference_interval
from perenne.storage.database import Transaction
from perenne.storage.objects import ObjectStore
from perenne.storage.workspace import Workspace

ALPHA = 0.05
_OTHERS = {"holdout": ("holdout",), "canary": ("canary",), "challenger": ("canary",)}


def compare_callers(workspace: Workspace, now: int) -> int:
    """Hold callers against each other wherever outcomes have come since it was done last; return in how many deployments."""
    with workspace.database.read() as tx:
        due = guard_store.compared_due(tx)
        watches = {name: store.list_watches(tx, name) for name in due}
    return sum(_compare(workspace, watched, now) for watched in watches.values())


def _compare(workspace: Workspace, watches: Sequence[Watch], now: int) -> bool:
    compared = [guardrail for watch in watches[:1] for guardrail in watch.guardrails if guardrail.against]
    if not compared:
        return False
    with workspace.database.read() as tx:
        objects = guard_store.outcome_objects(tx, watches[0].deployment)
        revision = guard_store.outcome_revision(tx, watches[0].deployment)
    newest = max(objects, key=lambda found: (found[0].stream.variant == CHAMPION, found[0].start))[0]
    watch = next((watch for watch in watches if watch.version == newest.stream.version), watches[0])
    states = [_state(workspace.objects, objects, watch, newest, guardrail) for guardrail in compared]

    def keep(tx: Transaction) -> bool:
        found = tuple(state for state in states if state is not None)
        guard_store.save_running(tx, _record(newest, revision, found, now))
        missed = [state for state in found if state.standing is Standing.MISSED]
        if missed and speaks(tx, newest.stream):
            advance(tx, watch, newest, [breach(watch, newest, state) for state in missed], now)
        return True

    return workspace.database.write(keep)


def _record(key: WindowKey, revision: int, states: tuple[BoundState, ...], now: int) -> Running:
    return Running(
        deployment=key.stream.deployment,
        variant=guard_store.COMPARED,
        version=key.stream.version,
        window_start=key.start,
        window_length=key.length,
        revision=revision,
        look=1,
        alpha=ALPHA,
        states=states,
        looked=now,
    )


def _state(
    objects: ObjectStore, found: Sequence[tuple[WindowKey, str]], watch: Watch, newest: WindowKey, guardrail: Guardrail
) -> BoundState | None:
    """Compare by one outcome, over the whole time for which the present version answers."""
    others = _OTHERS[guardrail.against]
    mine: list[float] = []
    theirs: list[float] = []
    for key, rows_at in found:
        model = key.stream.variant == CHAMPION and key.stream.version == newest.stream.version
        if model or key.stream.variant in others:
            rows = read_labels(objects.get(rows_at)).to_pylist()
            (mine if model else theirs).extend(_weighted(rows, guardrail.metric))
    figure = difference(mine, theirs)
    return None if figure is None else stand(guardrail, figure)


def _weighted(rows: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    """Return the values of an outcome over the propensity of the answer, of those who were drawn by chance."""
    drawn = [row for row in rows if row.get("reason") in RANDOMISED and row.get("propensity")]
    return [value / row["propensity"] for row in drawn for found, value in (measured(row),) if found == name]


def difference(mine: Sequence[float], theirs: Sequence[float], alpha: float = ALPHA) -> Figure | None:
    """Return by how much an outcome is larger for the model's callers, with limits that hold at every look.

    Parameters
    ----------
    mine, theirs : sequence of float
        Values over their propensities, of the model's callers and of the others.

    Returns
    -------
    Figure or None
        None with too few rows on either side.
    """
    found = difference_interval(mine, theirs, alpha)
    if found is None:
        return None
    value, low, high = found
    return Figure(value=value, low=low, high=high, source="compared", rows=len(mine) + len(theirs))
