"""Starting, ending, finding and deleting runs: perenne's own and those of clients are the same.

Who opens a run for work of its own holds it; whoever notices that its process died closes it.
"""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from perenne.auth import audit
from perenne.auth.principals import Principal, PrincipalKind
from perenne.auth.roles import Action, require, sees
from perenne.core import json
from perenne.core.clock import SECOND, SystemClock
from perenne.core.errors import Conflict
from perenne.core.ids import new_id
from perenne.storage.clock import database_now
from perenne.storage.database import Database, Transaction
from perenne.storage.links import Kind, add_link, links_from
from perenne.storage.owners import is_dead
from perenne.tracking import experiments, limits, loading, logs, sealing, store
from perenne.tracking import provenance as provenances
from perenne.tracking.errors import NameTwice, UnknownRun
from perenne.tracking.model import RUN_NAME, Experiment, LoggedRun, Metric, Provenance, Run, RunState, Tag
from perenne.tracking.naming import generated_name

capture = provenances.capture

LEASE = 60 * SECOND
LOST = "its process was lost"

_SYSTEM = Principal("perenne", PrincipalKind.SYSTEM)


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
    require(actor, Action.LOG, project)
    experiment = experiments.of_project(tx, project)
    identity = new_id()
    made = _insert(
        tx, actor, experiment, identity, name=generated_name(), started=SystemClock().now(), project=project, kind=kind,
        provenance=provenance, flow=flow,
    )  # fmt: skip
    store.put_parameters(tx, made.number, _as_texts(parameters))
    return get_run(tx, identity)


def create_run(
    tx: Transaction,
    actor: Principal,
    experiment: int,
    *,
    name: str = "",
    started: int | None = None,
    user: str = "",
    tags: Sequence[Tag] = (),
    identity: str = "",
) -> LoggedRun:
    """Open a run in an experiment, as clients do.

    Parameters
    ----------
    name : str
        What it is called; else what its tag `mlflow.runName` says, else a name is drawn.
    started : int, optional
        When it began by the client's clock, in microseconds.
    user : str
        Who started it, as the client says.
    identity : str
        Its id, where it is brought from elsewhere; 32 hexadecimal digits are drawn if it is empty.

    Raises
    ------
    UnknownExperiment, Denied, Deleted
        If the experiment is not there, may not be logged to, or was deleted.
    NameTwice
        If name and tag differ.
    Unfit
        If a tag is beyond its limits.
    Conflict
        If there is a run of this id, `run.exists`.
    """
    found = experiments.open_experiment(tx, actor, experiment)
    for place, tag in enumerate(tags):
        limits.check_key(f"tags[{place}].key", tag.key, f"tags[{place}].key")
    said = next((tag.value for tag in reversed(tags) if tag.key == RUN_NAME), "")
    if name and said and name != said:
        raise NameTwice(name, said)
    called = name or said or generated_name()
    if identity and store.number_of(tx, identity) is not None:
        raise Conflict(f"there is a run {identity[:100]} already", code="run.exists", hint="choose another id")
    identity = identity or uuid.uuid4().hex
    began = SystemClock().now() if started is None else started
    return _insert(tx, actor, found, identity, name=called, started=began, project=found.project, started_by=user, tags=tags)


def update_run(
    tx: Transaction,
    actor: Principal,
    identity: str,
    *,
    state: RunState | None = None,
    ended: int | None = None,
    name: str = "",
) -> LoggedRun:
    """Change where a run stands, when it ended, or its name, as clients do: what is not given stays.

    Returns it as it is then, without what was logged to it.

    Raises
    ------
    UnknownRun, Denied, Deleted
        See `logs.open_run`.
    """
    found = logs.open_run(tx, actor, identity)
    values: dict[str, Any] = {key: value for key, value in (("state", state), ("ended", ended)) if value is not None}
    if values:
        store.update(tx, identity, **values)
    if name:
        logs.put_tags(tx, found.number, (Tag(RUN_NAME, name),))
    if state is not None:
        audit.record(tx, actor, f"run.{state.value}", "run", identity)
        if state not in (RunState.RUNNING, RunState.SCHEDULED):
            sealing.seal_later(tx, found.number)
    return loading.load_info(tx, found.number)


def delete_run(tx: Transaction, actor: Principal, identity: str) -> None:
    """Delete a run; `restore_run` brings it back. To do so twice changes nothing. Raises UnknownRun and Denied."""
    found = _find(tx, actor, identity)
    if found.deleted is None:
        store.update(tx, identity, deleted=SystemClock().now())
        audit.record(tx, actor, "run.delete", "run", identity)


def restore_run(tx: Transaction, actor: Principal, identity: str) -> None:
    """Bring a deleted run back. Raises UnknownRun and Denied."""
    found = _find(tx, actor, identity)
    if found.deleted is not None:
        store.update(tx, identity, deleted=None)
        audit.record(tx, actor, "run.restore", "run", identity)


def get_logged(tx: Transaction, actor: Principal, identity: str) -> LoggedRun:
    """Read a run with all that was logged to it, also a deleted one. Raises UnknownRun."""
    number = store.number_of(tx, identity)
    found = loading.load(tx, [number]) if number is not None else []
    if not found or not sees(actor, found[0].project):
        raise UnknownRun(identity)
    return found[0]


def runs_of(tx: Transaction, numbers: Sequence[int], *, inputs: bool = True) -> list[LoggedRun]:
    """Read runs with all that was logged to them, in the order of their numbers as given, in six statements however many.

    Who may see them is for the caller to decide; `inputs` tells whether data sets and models are read as well.
    """
    return loading.load(tx, numbers, inputs=inputs)


def _insert(
    tx: Transaction,
    actor: Principal,
    experiment: Experiment,
    identity: str,
    *,
    name: str,
    started: int,
    project: str,
    kind: str = "",
    provenance: Provenance = Provenance(),  # noqa: B008
    flow: str = "",
    started_by: str | None = None,
    tags: Sequence[Tag] = (),
) -> LoggedRun:
    """Add a run with its name, its tags, its link and its record."""
    values: dict[str, Any] = {
        "id": identity, "experiment": experiment.id, "project": project, "name": name, "kind": kind,
        "started_by": actor.name if started_by is None else started_by, "state": RunState.RUNNING, "outcome": "",
        "started": started, "artifact_uri": f"{experiment.artifact_location}/{identity}/artifacts",
    }  # fmt: skip
    number = store.insert(tx, {**values, "data": (), "provenance": provenance, "flow": flow})
    said = logs.put_tags(tx, number, (*tags, Tag(RUN_NAME, name)), renaming=False)
    add_link(tx, (Kind.RUN, identity), "of", (Kind.PROJECT, project))
    audit.record(tx, actor, "run.start", "run", identity, after={"project": project, "kind": kind, "commit": provenance.commit})
    return LoggedRun(**values, number=number, ended=None, deleted=None, tags=said)


def _find(tx: Transaction, actor: Principal, identity: str) -> logs.FoundRun:
    found = logs.find_run(tx, actor, identity)
    require(actor, Action.LOG, found.project)
    return found


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
        raise UnknownRun(identity)
    store.update(tx, identity, **values)
    if metrics is not None:
        time, none = values["ended"] // 1_000, float("nan")
        logs.put_metrics(tx, number, [Metric(name, none if value is None else value, time) for name, value in metrics.items()])
    if parameters is not None:
        store.put_parameters(tx, number, _as_texts(parameters))
    sealing.seal_later(tx, number)
    for digest in data:
        add_link(tx, (Kind.RUN, identity), "used", (Kind.SNAPSHOT, digest))
    if report:
        add_link(tx, (Kind.RUN, identity), "reported", (Kind.REPORT, report))
    audit.record(tx, actor, f"run.{state.value}", "run", identity, after={"outcome": outcome})


def get_run(tx: Transaction, identity: str) -> Run:
    """Read a run. Raises NotFound."""
    run = store.find(tx, identity)
    if run is None:
        raise UnknownRun(identity)
    return run


def report_of(tx: Transaction, identity: str) -> str:
    """Return the digest of what a run reported, or an empty text if it reported nothing."""
    found = (link.target for link in links_from(tx, Kind.RUN, identity) if link.target_kind == Kind.REPORT)
    return next(found, "")


def runs(tx: Transaction, project: str | None = None, *, limit: int = 50) -> list[Run]:
    """List runs, newest first."""
    return store.newest(tx, project, limit)


def _as_texts(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return parameters as they are kept: texts as they are, everything else as JSON."""
    return {name: value if isinstance(value, str) else json.encode(value).decode() for name, value in parameters.items()}


def hold_run(tx: Transaction, identity: str, owner: str) -> None:
    """Say that a run's process lives: for the next minute nobody may call the run lost.

    Parameters
    ----------
    owner : str
        See `perenne.storage.owners.owner_token`.
    """
    store.hold(tx, identity, owner, database_now(tx) + LEASE)


def close_lost_runs(database: Database) -> int:
    """Close the open runs that were held and are no longer, as failed; return how many.

    Of this machine a process is known to be dead at once, of another when its minute is over.
    """
    with database.read() as tx:
        lost = _lost(tx)
    for identity in lost:
        database.write(lambda tx, identity=identity: _close(tx, identity))  # type: ignore[misc]
    return len(lost)


def _lost(tx: Transaction) -> list[str]:
    now = database_now(tx)
    return [identity for identity, owner, lease in store.held(tx) if lease < now or is_dead(owner)]


def _close(tx: Transaction, identity: str) -> None:
    if identity not in _lost(tx):  # it ended, or is held again
        return
    store.update(tx, identity, state=RunState.FAILED, outcome=LOST, ended=SystemClock().now(), owner=None, lease=None)
    sealing.seal_later(tx, store.number_of(tx, identity) or 0)
    audit.record(tx, _SYSTEM, "run.failed", "run", identity, after={"outcome": LOST})
