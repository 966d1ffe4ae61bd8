"""Starting and ending runs."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require
from perenne.core import json
from perenne.core.clock import SystemClock
from perenne.core.errors import NotFound
from perenne.core.ids import new_id
from perenne.storage.database import Transaction
from perenne.storage.links import Kind, add_link, links_from
from perenne.tracking import experiments, store
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
    identity, now = new_id(), SystemClock().now()
    experiment = experiments.of_project(tx, project, now)
    number = store.insert(
        tx,
        {
            "id": identity, "experiment": experiment.id, "project": project, "name": "", "started_by": actor.name, "kind": kind,
            "state": RunState.RUNNING, "data": (), "provenance": provenance, "flow": flow, "outcome": "",
            "artifact_uri": f"{experiment.artifact_location}/{identity}/artifacts", "started": now,
        },
    )  # fmt: skip
    store.put_parameters(tx, number, _as_texts(parameters))
    add_link(tx, (Kind.RUN, identity), "of", (Kind.PROJECT, project))
    audit.record(tx, actor, "run.start", "run", identity, after={"project": project, "kind": kind, "commit": provenance.commit})
    return get_run(tx, identity)


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
    if flow:
        values["flow"] = flow
    number = store.number_of(tx, identity)
    if number is None:
        raise _unknown(identity)
    store.update(tx, identity, **values)
    if metrics is not None:
        store.put_metrics(tx, number, metrics, values["ended"] // 1_000)
    if parameters is not None:
        store.put_parameters(tx, number, _as_texts(parameters))
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


def _as_texts(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return parameters as they are kept: texts as they are, everything else as JSON."""
    return {name: value if isinstance(value, str) else json.encode(value).decode() for name, value in parameters.items()}


def _unknown(identity: str) -> NotFound:
    return NotFound(
        f"run {identity[:100]!r} does not exist", code="run.not_found", hint="`perenne runs list` shows those that do"
    )
