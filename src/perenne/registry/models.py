"""Registered models: names that versions share, made by rounds and by clients alike."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from perenne.auth import audit, comments
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require, sees
from perenne.core.clock import SystemClock
from perenne.core.errors import Conflict, NotFound
from perenne.registry import guard, model_store, naming, review_store, store, telling
from perenne.registry.finding import find_models
from perenne.registry.guard import Deed
from perenne.registry.model import RegisteredModel, Version
from perenne.storage import links
from perenne.storage.links import Kind
from perenne.storage.transaction import Transaction

IS_PROMPT = "mlflow.prompt.is_prompt"
search = find_models


class ModelEntry(msgspec.Struct, frozen=True):
    """A model with what belongs to it.

    Attributes
    ----------
    tags : dict
        By key.
    aliases : dict
        By name the id of the version.
    latest : tuple of Version
        The newest version of each stage, by number.
    """

    model: RegisteredModel
    tags: dict[str, str]
    aliases: dict[str, str]
    latest: tuple[Version, ...]


def create(
    tx: Transaction,
    actor: Principal,
    name: str,
    *,
    tags: Mapping[str, str] | None = None,
    description: str | None = None,
    project: str = "",
) -> RegisteredModel:
    """Make a model without a version.

    Parameters
    ----------
    project : str
        Whose it is: if not given, of the only project the actor is limited to, else of the name itself.

    Raises
    ------
    Invalid
        If it cannot be called so, or a tag is none.
    Conflict
        If there is a model or a prompt of that name.
    """
    naming.check_model(name)
    _check(tags, description)
    owner = project or (next(iter(actor.projects)) if len(actor.projects) == 1 else name)
    require(actor, Action.LOG, owner)
    prompt, known = is_prompt(tags), model_store.find(tx, name)
    if known is not None:
        raise _taken(known, prompt)
    now = SystemClock().now()
    model = RegisteredModel(name, owner, description, now, now, actor.name, prompt)
    model_store.insert(tx, model)
    model_store.insert_tags(tx, model_store.model_tag, name, tags or {})
    audit.record(tx, actor, "model.create", "model", name, after={"project": owner, "prompt": prompt, "tags": dict(tags or {})})
    telling.model_created(tx, model, dict(tags or {}))
    return model


def bring(
    tx: Transaction,
    actor: Principal,
    name: str,
    *,
    created: int,
    updated: int,
    tags: Mapping[str, str] | None = None,
    description: str | None = None,
) -> bool:
    """Bring in a model from elsewhere with its times, in microseconds; False if there is one of that name. Raises as `create`."""
    known = model_store.find(tx, name)
    if known is not None:
        if known.prompt != is_prompt(tags):
            raise _taken(known, is_prompt(tags))
        return False
    create(tx, actor, name, tags=tags, description=description)
    model_store.change(tx, name, created=created, updated=updated)
    return True


def _check(tags: Mapping[str, str] | None, description: str | None) -> None:
    for key, value in (tags or {}).items():
        naming.check_tag(key, value)
    naming.check_text(description, "description")


def is_prompt(tags: Mapping[str, str] | None) -> bool:
    """Tell by its tags whether something is a prompt."""
    return (tags or {}).get(IS_PROMPT, "").lower() == "true"


def _taken(known: RegisteredModel, prompt: bool) -> Conflict:
    old, new = ("Prompt" if which else "Registered Model" for which in (known.prompt, prompt))
    if old == new:
        message = f"{new} (name={known.name}) already exists."
    else:
        message = (
            f"Tried to create a {new.lower()} with name {known.name!r}, but the name is already taken by a {old.lower()}. "
            "MLflow does not allow creating a model and a prompt with the same name."
        )
    return Conflict(message, code="model.exists", hint="choose another name")


def get(tx: Transaction, actor: Principal, name: str) -> RegisteredModel:
    """Read a model. Raises NotFound if there is none, or none that the actor may see."""
    found = model_store.find(tx, name)
    if found is None or not sees(actor, found.project):
        raise NotFound(
            f"Registered Model with name={naming.shown(name)} not found",
            code="model.not_found",
            hint="`perenne model list` shows those that are",
        )
    return found


def entries(tx: Transaction, models: Sequence[RegisteredModel]) -> list[ModelEntry]:
    """Read what belongs to each of some models, in their order."""
    names = [model.name for model in models]
    tags = model_store.tags_of(tx, model_store.model_tag, names)
    aliases, latest = store.aliases_of_models(tx, names), store.latest_by_stage(tx, names)
    return [ModelEntry(model, tags[model.name], aliases[model.name], tuple(latest[model.name])) for model in models]


def update(tx: Transaction, actor: Principal, name: str, *, description: str | None) -> RegisteredModel:
    """Describe a model."""
    before = get(tx, actor, name)
    require(actor, Action.LOG, before.project)
    naming.check_text(description, "description")
    after = msgspec.structs.replace(before, description=description, updated=SystemClock().now())
    model_store.change(tx, name, description=description, updated=after.updated)
    said = [{"description": model.description} for model in (before, after)]
    audit.record(tx, actor, "model.describe", "model", name, before=said[0], after=said[1])
    return after


def set_tag(tx: Transaction, actor: Principal, name: str, key: str, value: str) -> None:
    """Give a model a tag."""
    model = get(tx, actor, name)
    require(actor, Action.LOG, model.project)
    naming.check_tag(key, value)
    before = model_store.set_tag(tx, model_store.model_tag, name, key, value)
    prompt = value.lower() == "true" if key == IS_PROMPT else model.prompt
    model_store.change(tx, name, updated=SystemClock().now(), prompt=prompt)
    audit.record(tx, actor, "model.tag", "model", name, before=_tag(key, before), after=_tag(key, value))
    telling.model_tag(tx, model, "set", key=key, value=value)


def drop_tag(tx: Transaction, actor: Principal, name: str, key: str) -> None:
    """Take a tag of a model away; one that is not there is away already."""
    model = get(tx, actor, name)
    require(actor, Action.LOG, model.project)
    naming.check_key(key)
    if model_store.drop_tag(tx, model_store.model_tag, name, key):
        model_store.change(tx, name, updated=SystemClock().now(), prompt=model.prompt and key != IS_PROMPT)
        audit.record(tx, actor, "model.untag", "model", name, before={"key": key})
    telling.model_tag(tx, model, "deleted", key=key)


def _tag(key: str, value: str | None) -> dict[str, str | None]:
    return {"key": key, "value": value if value is None else value[:1_000]}


def rename(tx: Transaction, actor: Principal, name: str, new: str) -> RegisteredModel:
    """Give a model another name; versions, aliases, decisions, comments and lineage come along, and its old records stay.

    Raises
    ------
    Conflict
        If there is one of the new name; or if rounds make its versions: they know it by its project's name.
    """
    naming.check_model(new, "new_name")
    model = get(tx, actor, name)
    require(actor, Action.EDIT_PROJECT, model.project)
    if model_store.find(tx, new) is not None:
        raise Conflict(f"Registered Model (name={new}) already exists.", code="model.exists", hint="choose another name")
    if store.has_package(tx, name):
        raise Conflict(
            f"{name} may not be renamed: the rounds of its project make its versions",
            code="model.held",
            hint="name the project otherwise from the start, or copy a version: `models:/NAME/VERSION` is a source",
        )
    now = SystemClock().now()
    for before, after in model_store.rename(tx, name, new):
        links.follow(tx, Kind.VERSION, before, after)
        comments.follow(tx, "version", before, after)
        review_store.rename(tx, before, after, new)
    model_store.change(tx, new, updated=now)
    audit.record(tx, actor, "model.rename", "model", new, before=name, after=new)
    return msgspec.structs.replace(model, name=new, updated=now)


def delete(tx: Transaction, actor: Principal, name: str) -> None:
    """Remove a model with all its versions, for good.

    Raises
    ------
    Conflict
        If one of its versions has a guarded place, or was ever deployed.
    """
    model = get(tx, actor, name)
    require(actor, Action.EDIT_PROJECT, model.project)
    ids = store.all_ids(tx, name)
    guard.require(tx, Deed.GO, *store.some_versions(tx, ids))
    links.forget(tx, Kind.VERSION, ids)
    comments.forget(tx, "version", ids)
    review_store.forget(tx, ids)
    model_store.delete(tx, name, ids)
    audit.record(tx, actor, "model.delete", "model", name, before={"project": model.project, "versions": len(ids)})


def names(tx: Transaction, actor: Principal) -> list[str]:
    """Name every model, and every prompt, that somebody may see."""
    return model_store.names(tx, sorted(actor.projects))


def some(tx: Transaction, names: Iterable[str]) -> dict[str, RegisteredModel]:
    """Read models by their names; one that does not exist is left out."""
    return model_store.some(tx, names)
