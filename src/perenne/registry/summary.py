"""Versions asked for many at once: the newest of each model, those that wait, how many there are, and those of some name."""

from collections.abc import Collection, Iterable

from perenne.registry import store
from perenne.registry.model import Dossier, GateState, Version, VersionState
from perenne.registry.service import dossiers
from perenne.storage.database import Transaction


def newest(tx: Transaction, models: Iterable[str]) -> dict[str, Dossier]:
    """Read what is known about the newest version of each of some models; one that has no version is left out."""
    return {found.version.model: found for found in dossiers(tx, store.newest_versions(tx, models))}


def waiting(tx: Transaction, project: str | None = None) -> list[Dossier]:
    """List the versions whose gate waits for a person, newest first, of one project if named."""
    maybe = store.waiting_versions(tx, project)
    return [found for found in dossiers(tx, maybe) if found.gate.state is GateState.WAITING]


def some(tx: Transaction, ids: Iterable[str]) -> dict[str, Version]:
    """Read some versions by their ids; one that does not exist is left out."""
    return {version.id: version for version in store.some_versions(tx, ids)}


def known(tx: Transaction, ids: Iterable[str]) -> dict[str, Dossier]:
    """Read everything known about some versions, by their ids; one that does not exist is left out."""
    return {found.version.id: found for found in dossiers(tx, store.some_versions(tx, ids))}


def counts(tx: Transaction, projects: Collection[str] = ()) -> dict[VersionState, int]:
    """Count the versions by where they stand, of all projects or of those that are named."""
    return store.count_versions(tx, projects)


def matching(tx: Transaction, text: str, limit: int, projects: Collection[str] = ()) -> list[Version]:
    """Find versions by a piece of their id: first those whose id begins so."""
    ids = store.find_ids(tx, text, limit, projects)
    found = some(tx, ids)
    return [found[identity] for identity in ids]


def models(tx: Transaction, text: str, limit: int, projects: Collection[str] = ()) -> list[str]:
    """Find models by a piece of their name."""
    return store.find_models(tx, text, limit, projects)
