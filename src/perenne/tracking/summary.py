"""Runs asked for many at once: how many began since an instant, and those of some id."""

from collections.abc import Collection, Iterable

from perenne.storage.database import Transaction
from perenne.tracking import experiments, store
from perenne.tracking.model import Experiment, Run, RunState


def counts(tx: Transaction, since: int, projects: Collection[str] = ()) -> dict[RunState, int]:
    """Count the runs that were begun since an instant of the machine's clock, by where they stand."""
    return store.count(tx, since, projects)


def matching(tx: Transaction, text: str, limit: int, projects: Collection[str] = ()) -> list[Run]:
    """Find runs by a piece of their id or name: first those whose id begins so, then the newest that are called so."""
    ids = store.find_ids(tx, text, limit, projects)
    if len(ids) < limit:
        ids += [found for found in store.find_named(tx, text, limit, projects) if found not in ids][: limit - len(ids)]
    found = {run.id: run for run in store.some(tx, ids)}
    return [found[identity] for identity in ids]


def experiments_called(tx: Transaction, text: str, limit: int, projects: Collection[str] = ()) -> list[Experiment]:
    """Find experiments by a piece of their name: first those whose name begins so."""
    return experiments.some(tx, store.find_experiments(tx, text, limit, projects))


def some(tx: Transaction, ids: Iterable[str]) -> dict[str, Run]:
    """Read runs by their ids; what does not exist is left out."""
    return {run.id: run for run in store.some(tx, ids)}


def of_flows(tx: Transaction, flows: Iterable[str]) -> dict[str, Run]:
    """Read the runs whose work some pipeline runs did, by pipeline run; those that belong to no run are left out."""
    return {run.flow: run for run in store.of_flows(tx, flows)}


def flows(tx: Transaction, projects: Collection[str]) -> set[str]:
    """Name the pipeline runs that did the work of some projects' runs."""
    return store.flows(tx, projects)


def newest_runs(tx: Transaction, projects: Iterable[str]) -> dict[str, Run]:
    """Read the newest run of each of some projects; one that has none is left out."""
    return {run.project: run for run in store.newest_of(tx, projects)}


def newest_failed(tx: Transaction, projects: Iterable[str]) -> set[str]:
    """Name those of many projects whose newest run failed."""
    return store.newest_failed(tx, projects)
