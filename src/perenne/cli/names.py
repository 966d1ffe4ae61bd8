"""The names people type: of models, versions, deployments, runs, data and the rest, newest first, read quickly.

For completion in a shell and for "did you mean". Nothing is made or migrated: where there is no database there are no names.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from perenne.core.config import load_settings

if TYPE_CHECKING:
    from perenne.storage.transaction import Transaction

MOST = 1_000
SHOWN_IDS = 50


def names_of(noun: str) -> list[str]:
    """Return the names of one kind of thing; an empty list for a kind that has none."""
    find = _FINDERS.get(noun)
    if find is None:
        return []
    with _reading() as tx:
        return [] if tx is None else list(dict.fromkeys(find(tx)))


@contextmanager
def _reading() -> "Iterator[Transaction | None]":
    from perenne.storage.database import Database

    with Database(load_settings().database) as database:
        if not database.backend.is_made():
            yield None
            return
        with database.read() as tx:
            yield tx


def _models(tx: "Transaction") -> Iterable[str]:
    return (name.partition("@")[0] for name in _versions(tx))


def _versions(tx: "Transaction") -> Iterable[str]:
    from perenne import registry

    return (version.id for version in registry.versions(tx, limit=MOST))


def _deployments(tx: "Transaction") -> Iterable[str]:
    from perenne import serving

    return (deployment.name for deployment in serving.service.deployments(tx, limit=MOST))


def _projects(tx: "Transaction") -> Iterable[str]:
    from perenne import projects

    return projects.project_names(tx, limit=MOST)


def _runs(tx: "Transaction") -> Iterable[str]:
    from perenne import tracking

    return (run.id for run in tracking.service.runs(tx, limit=SHOWN_IDS))


def _datasets(tx: "Transaction") -> Iterable[str]:
    from perenne import data

    return data.summary.datasets(tx, "", MOST)


def _snapshots(tx: "Transaction") -> Iterable[str]:
    from perenne import data

    return (snapshot.id[:12] for snapshot in data.summary.matching(tx, "", SHOWN_IDS))


def _label_sets(tx: "Transaction") -> Iterable[str]:
    from perenne import labels
    from perenne.auth.principals import local_principal

    return (item.name for item in labels.sets.listed(tx, local_principal()))


def _alerts(tx: "Transaction") -> Iterable[str]:
    from perenne import monitoring

    return (alert.id for alert in monitoring.summary.open_lines(tx))


def _episodes(tx: "Transaction") -> Iterable[str]:
    from perenne import automation

    return (episode.id for episode in automation.list_episodes(tx, limit=SHOWN_IDS))


def _jobs(tx: "Transaction") -> Iterable[str]:
    from perenne.storage import jobs

    return (job.id for job in jobs.jobs(tx, limit=SHOWN_IDS))


def _tokens(tx: "Transaction") -> Iterable[str]:
    from perenne.auth import tokens
    from perenne.auth.principals import local_principal

    return (token.id for token in tokens.tokens(tx, local_principal()))


_FINDERS: "dict[str, Callable[[Transaction], Iterable[str]]]" = {
    "model": _models,
    "version": _versions,
    "deployment": _deployments,
    "project": _projects,
    "run": _runs,
    "dataset": _datasets,
    "snapshot": _snapshots,
    "label_set": _label_sets,
    "alert": _alerts,
    "episode": _episodes,
    "job": _jobs,
    "token": _tokens,
}
NOUNS = tuple(_FINDERS)
