"""The list of runs as its screen shows it: a window of those that fit a filter, and some runs side by side."""

from collections.abc import Sequence
from typing import Any

import msgspec

from perenne.auth.principals import Principal
from perenne.auth.roles import sees
from perenne.core.errors import Invalid
from perenne.core.paging import ROWS
from perenne.storage.database import Transaction
from perenne.tracking import store
from perenne.tracking.model import Run, RunState

MOST_COMPARED = 8


class RunRow(msgspec.Struct, frozen=True):
    """A run in a list; times in microseconds."""

    id: str
    project: str
    kind: str
    state: str
    started: int
    ended: int | None
    outcome: str
    parameters: dict[str, str]
    metrics: dict[str, float | None]
    commit: str
    dirty: bool
    flow: str


class RunFilter(msgspec.Struct, frozen=True):
    """Which runs are asked for: of a project, in a state, with words; empty for any."""

    project: str = ""
    state: str = ""
    text: str = ""


class RunWindow(msgspec.Struct, frozen=True, kw_only=True):
    """Some of the runs that fit, newest first.

    Attributes
    ----------
    total, all : int
        How many fit, and how many there are without the filter.
    projects : tuple of str
        Those that have runs.
    parameters, metrics : tuple of str
        The names in these rows.
    """

    rows: tuple[RunRow, ...]
    total: int
    all: int
    projects: tuple[str, ...]
    parameters: tuple[str, ...]
    metrics: tuple[str, ...]


def run_window(tx: Transaction, actor: Principal, wanted: RunFilter, offset: int = 0, limit: int = ROWS) -> RunWindow:
    """Read a window of runs that somebody may see.

    Raises
    ------
    Invalid
        If the filter names no state.
    """
    mine = sorted(actor.projects) or None
    where = store.fitting(mine, wanted.project, _state(wanted.state), wanted.text)
    rows = tuple(row_of(run) for run in store.window(tx, where, offset, max(1, min(limit, ROWS))))
    everything = store.fitting(mine)
    return RunWindow(
        rows=rows,
        total=store.count_fitting(tx, where),
        all=store.count_fitting(tx, everything),
        projects=tuple(name for name in store.projects(tx) if sees(actor, name)),
        parameters=_names([row.parameters for row in rows]),
        metrics=_names([row.metrics for row in rows]),
    )


def compared_runs(tx: Transaction, actor: Principal, ids: Sequence[str]) -> tuple[RunRow, ...]:
    """Read some runs, in the order they are named; what does not exist or may not be seen is left out.

    Raises
    ------
    Invalid
        If too many are named.
    """
    if len(ids) > MOST_COMPARED:
        raise Invalid(f"compare names {len(ids)} runs", code="request.query", hint=f"at most {MOST_COMPARED}")
    found = {run.id: run for run in store.some(tx, ids)}
    return tuple(row_of(found[name]) for name in dict.fromkeys(ids) if name in found and sees(actor, found[name].project))


def row_of(run: Run) -> RunRow:
    """Return a run as a row of a list."""
    said = run.provenance
    return RunRow(
        run.id, run.project, run.kind, run.state.value, run.started, run.ended, run.outcome, run.parameters, run.metrics,
        said.commit, said.dirty, run.flow,
    )  # fmt: skip


def _state(name: str) -> RunState | None:
    if not name:
        return None
    if name not in set(RunState):
        raise Invalid(f"state is {name[:40]!r}", code="request.query", hint=f"one of: {', '.join(RunState)}")
    return RunState(name)


def _names(values: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    """Return the keys as they come: those that stand first somewhere before those that stand second."""
    place: dict[str, int] = {}
    for value in values:
        for position, name in enumerate(value):
            place[name] = min(position, place.get(name, position))
    return tuple(sorted(place, key=lambda name: place[name]))
