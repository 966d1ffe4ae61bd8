"""Finding models and versions in the filter language, in pages."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from perenne.auth.principals import Principal
from perenne.core.filters import parse_filter
from perenne.registry import model_store, store
from perenne.registry.model import RegisteredModel, Version, VersionForm
from perenne.registry.searchable import MODELS, VERSIONS, about_prompts
from perenne.storage.names import chosen
from perenne.storage.searching import search
from perenne.storage.transaction import Transaction


class FoundModels(NamedTuple):
    """A page of models, and the token of the next; an empty one after the last."""

    models: list[RegisteredModel]
    token: str


class FoundVersions(NamedTuple):
    """A page of versions, and the token of the next; an empty one after the last."""

    versions: list[Version]
    token: str


def find_models(
    tx: Transaction, actor: Principal, text: str = "", order: Sequence[str] = (), *, limit: int, token: str = ""
) -> FoundModels:
    """Find models that the actor may see; prompts only if the filter says something of them.

    Raises
    ------
    Invalid
        If filter, order or token is wrong.
    """
    where: list[Any] = [] if about_prompts(parse_filter(text)) else [model_store.NO_PROMPT]
    if actor.projects:
        where.append(model_store.registered_model.c.project.in_(chosen(sorted(actor.projects))))
    found = search(tx, MODELS, text, order, where=where, limit=limit, token=token)
    known = model_store.some(tx, found.keys)
    return FoundModels([known[name] for name in found.keys], found.token)


def find_versions(
    tx: Transaction, actor: Principal, text: str = "", order: Sequence[str] = (), *, limit: int, token: str = ""
) -> FoundVersions:
    """Find versions that the actor may see; those of prompts only if the filter says something of them.

    Raises
    ------
    Invalid
        If filter, order or token is wrong.
    """
    where: list[Any] = [store.LIVE]
    if not about_prompts(parse_filter(text)):
        where.append(store.version.c.form != VersionForm.PROMPT)
    if actor.projects:
        where.append(store.version.c.project.in_(chosen(sorted(actor.projects))))
    found = search(tx, VERSIONS, text, order, where=where, limit=limit, token=token)
    known = {version.id: version for version in store.some_versions(tx, found.keys)}
    return FoundVersions([known[identity] for identity in found.keys], found.token)
