"""Starting and ending runs."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require
from perenne.core.clock import SystemClock
from perenne.core.errors import NotFound
from perenne.core.ids import new_id
from perenne.storage.database import Transaction
from perenne.storage.links import Kind, add_link, links_from
from perenne.tracking import store
from perenne.tracking.model import Provenance, Run, RunState


def start_run(
    tx: Transaction,
    actor: Principal,
    *,
    project: str,
    kind: str,
    parameters: Mapping[str, Any],
    provenance: Provenance,
    flow: str = "",
) -> Run:
    """Open a run.

    Parameters
    ----------
    kind : str
        What it does, such as ``round``.
    flow : str
        The pipeline run that does the work.
    """
    require(actor, Action.LOG)
    run = Run(
        new_id(), project, kind, RunState.RUNNING, dict(parameters), {}, (), provenance, flow, "", SystemClock().now(), None
    )
    store.insert(tx, run)
    add_link(tx, (Kind.RUN, run.id), "of", (Kind.PROJECT, project))
    audit.record(tx, actor, "run.start", "run", run.id, after={"project": project, "kind": kind, "commit": provenance.commit})
    return run


def end_run(
    tx: Transaction,
    actor: Principal,
    identity: str,
    *,
    state: RunState,
    outcome: str,
    metrics: Mapping[str, float | None] | None = None,
    data: Sequence[str] = (),
    flow: str = "",
    parameters: Mapping[str, Any] | None = None,
    report: str = "",
) -> None:
    """Close a run with what came out; the snapshots it used are linked to it.

    Parameters
    ----------
    metrics, flow, parameters
        Replace what was known before, if given.
    report : str
        Digest of the object that tells all that was found.
    """
    values: dict[str, Any] = {"state": state, "outcome": outcome, "ended": SystemClock().now(), "data": tuple(data)}
    values |= {"owner": None, "lease": None}
    if metrics is not None:
        values["metrics"] = dict(metrics)
    if parameters is not None:
        values["parameters"] = dict(parameters)
    if flow:
        values["flow"] = flow
    if not store.update(tx, identity, **values):
        raise _unknown(identity)
    for digest in data:
        add_link(tx, (Kind.RUN, identity), "used", (Kind.SNAPSHOT, digest))
    if report:
        add_link(tx, (Kind.RUN, identity), "reported", (Kind.REPORT, report))
    audit.record(tx, actor, f"run.{state.value}", "run", identity, after={"outcome": outcome})


def get_run(tx: Transaction, identity: str) -> Run:
    """Read a run. Raises NotFound."""
    run = store.find(tx, identity)
    if run is None:
        raise _unknown(identity)
    return run


def report_of(tx: Transaction, identity: str) -> str:
    """Return the digest of what a run reported, or an empty text if it reported nothing."""
    found = (link.target for link in links_from(tx, Kind.RUN, identity) if link.target_kind == Kind.REPORT)
    return next(found, "")


def runs(tx: Transaction, project: str | None = None, *, limit: int = 50) -> list[Run]:
    """List runs, newest first."""
    return store.newest(tx, project, limit)


def newest_runs(tx: Transaction, projects: Iterable[str]) -> dict[str, Run]:
    """Read the newest run of each of some projects; one that has none is left out."""
    return {run.project: run for run in store.newest_of(tx, projects)}


def newest_failed(tx: Transaction, projects: Iterable[str]) -> set[str]:
    """Name those of many projects whose newest run failed."""
    return store.newest_failed(tx, projects)


def _unknown(identity: str) -> NotFound:
    return NotFound(
        f"run {identity[:100]!r} does not exist", code="run.not_found", hint="`perenne runs list` shows those that do"
    )
