"""Versions that clients register: a source, tags, a description; and what clients ask about versions."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from perenne import projects, tracking
from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require, sees
from perenne.core import json
from perenne.core.clock import SystemClock
from perenne.core.errors import Invalid, NotFound
from perenne.core.hashing import digest_bytes
from perenne.registry import files, guard, model_store, models, naming, review_store, service, sources, store, telling
from perenne.registry.finding import find_versions
from perenne.registry.guard import Deed
from perenne.registry.model import GatePolicy, RegisteredModel, Version, VersionForm, VersionState
from perenne.registry.review_store import ReviewState
from perenne.registry.sources import Origin
from perenne.storage.links import Kind, add_link
from perenne.storage.transaction import Transaction

TEXT = telling.TEXT
VERSIONS_OF = "mlflow.modelVersions"
search = find_versions
BY_A_ROUND = "package: made by a round of its project"
"""What a version lacks that a client puts among those of a project's rounds."""


class VersionEntry(msgspec.Struct, frozen=True):
    """A version with its tags, by key, and its aliases."""

    version: Version
    tags: dict[str, str]
    aliases: tuple[str, ...]


class BroughtVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version from elsewhere; times in microseconds. A `deleted` one only keeps its number from being given again."""

    number: int
    source: str
    created: int
    updated: int
    run: str = ""
    logged_model: str = ""
    run_link: str = ""
    description: str = ""
    author: str = ""
    tags: dict[str, str] = {}
    deleted: bool = False


def create(
    tx: Transaction,
    actor: Principal,
    name: str,
    source: str,
    *,
    run: str | None = None,
    logged_model: str | None = None,
    tags: Mapping[str, str] | None = None,
    run_link: str | None = None,
    description: str | None = None,
) -> Version:
    """Register a version of a model that exists, under the next number.

    Raises
    ------
    NotFound
        If there is no such model.
    Invalid
        If the source is no place that may be named, or a tag is none.
    """
    given = dict(tags or {})
    model = models.get(tx, actor, name)
    require(actor, Action.LOG, model.project)
    for key, value in given.items():
        naming.check_tag(key, value)
    for text, what in ((description, "description"), (run_link, "run_link"), (source, "source")):
        naming.check_text(text, what)
    prompt = models.is_prompt(given)
    origin = sources.origin_of(tx, actor, source, run, logged_model, prompt=prompt)
    now = SystemClock().now()
    model = _adopted(tx, actor, model, origin)
    version = Version(
        id="", model=name, number=store.next_number(tx, name), project=model.project, run=origin.run,
        tree=digest_bytes(given.get(TEXT, "").encode()) if prompt else files.digest_at(tx, origin.root),
        reference="", snapshot="", state=VersionState.CANDIDATE, policy=_policy(tx, model), fallback=None, created=now,
        created_by=actor.name, form=VersionForm.PROMPT if prompt else VersionForm.LOGGED, source=origin.source,
        storage=origin.storage, root=origin.root, run_link=run_link, description=description, updated=now, author=origin.author,
        logged_model=origin.logged_model,
    )  # fmt: skip
    version = msgspec.structs.replace(version, id=f"{name}@{version.number}")
    _keep(tx, actor, version, given)
    _tell_logged_model(tx, actor, version)
    return version


def _tell_logged_model(tx: Transaction, actor: Principal, version: Version) -> None:
    """Note at the logged model which versions are of it, as clients read it."""
    try:
        found = tracking.models.get(tx, actor, version.logged_model) if version.logged_model else None
    except NotFound:
        return
    if found is None:
        return
    known = next((tag.value for tag in found.tags if tag.key == VERSIONS_OF), "[]")
    try:
        listed = json.decode(known, list[dict[str, Any]], what=VERSIONS_OF)
    except Invalid:  # somebody wrote something else there
        listed = []
    listed.append({"name": version.model, "version": str(version.number)})
    tracking.models.set_tags(tx, actor, found.id, [tracking.Tag(VERSIONS_OF, json.encode(listed).decode())])


def bring(tx: Transaction, actor: Principal, name: str, said: BroughtVersion) -> bool:
    """Bring in a version from elsewhere under the number and with the times it had; False if there is one of that number.

    Aliases and stages are not brought: whoever wants them asks for them, and the gate has its say. Whoever brings it counts as
    one of its makers, who may not approve it.

    Raises
    ------
    NotFound
        If there is no such model.
    Invalid
        If the source is no place that may be named.
    """
    model = models.get(tx, actor, name)
    require(actor, Action.LOG, model.project)
    if store.has_number(tx, name, said.number):
        return False
    prompt = models.is_prompt(said.tags)
    origin = sources.origin_of(tx, actor, said.source, said.run or None, said.logged_model or None, prompt=prompt)
    model = _adopted(tx, actor, model, origin)
    version = Version(
        id=f"{name}@{said.number}", model=name, number=said.number, project=model.project, run=origin.run,
        tree=digest_bytes(said.tags.get(TEXT, "").encode()) if prompt else files.digest_at(tx, origin.root),
        reference="", snapshot="", state=VersionState.CANDIDATE, policy=_policy(tx, model), fallback=None, created=said.created,
        created_by=said.author or actor.name, form=VersionForm.PROMPT if prompt else VersionForm.LOGGED, source=origin.source,
        storage=origin.storage, root=origin.root, run_link=said.run_link or None, description=said.description or None,
        updated=said.updated, author=actor.name if said.author else origin.author, logged_model=origin.logged_model,
    )  # fmt: skip
    _keep(tx, actor, version, said.tags)
    if said.deleted:
        store.change_version(tx, version.id, deleted=said.updated, waiting=None)
    return True


def _keep(tx: Transaction, actor: Principal, version: Version, tags: Mapping[str, str]) -> None:
    store.insert_version(tx, version, waiting=None)
    model_store.insert_tags(tx, model_store.version_tag, version.id, tags)
    model_store.change(tx, version.model, updated=version.created)
    if version.run:
        add_link(tx, (Kind.VERSION, version.id), "made_by", (Kind.RUN, version.run))
    if version.logged_model:
        add_link(tx, (Kind.VERSION, version.id), "made_of", (Kind.LOGGED_MODEL, version.logged_model))
    add_link(tx, (Kind.VERSION, version.id), "of", (Kind.PROJECT, version.project))
    gate = service.mark_waiting(tx, version)
    after = {"tree": version.tree, "run": version.run, "source": version.source, "gate": gate.value}
    audit.record(tx, actor, "version.register", "version", version.id, after=after)
    telling.version_created(tx, version, dict(tags))


def _adopted(tx: Transaction, actor: Principal, model: RegisteredModel, origin: Origin) -> RegisteredModel:
    """Let a model that has no version yet belong to the project of the run that makes its first."""
    if not origin.project or origin.project == model.project or store.all_ids(tx, model.name):
        return model
    require(actor, Action.LOG, origin.project)
    model_store.change(tx, model.name, project=origin.project)
    return msgspec.structs.replace(model, project=origin.project)


def _policy(tx: Transaction, model: RegisteredModel) -> GatePolicy:
    """Return what a version of a client needs: among those of a project's rounds, what these need."""
    made = store.newest_package(tx, model.name)
    if made is not None:
        return made.policy
    try:
        stated = projects.get_project(tx, model.name)
    except NotFound:
        return GatePolicy()
    return GatePolicy((BY_A_ROUND,), stated.policy.approve_by if stated.policy else "")


def get(tx: Transaction, actor: Principal, name: str, number: int) -> Version:
    """Read a version by its model and number. Raises NotFound if there is none, or none that the actor may see."""
    found = store.find_number(tx, name, number) if 0 < number < 2**31 else None
    if found is None or not sees(actor, found.project):
        raise NotFound(
            f"Model Version (name={naming.shown(name)}, version={number}) not found",
            code="version.not_found",
            hint="`perenne model list NAME` shows those that are",
        )
    return found


def entries(tx: Transaction, versions: Sequence[Version]) -> list[VersionEntry]:
    """Read tags and aliases of each of some versions, in their order."""
    ids = [version.id for version in versions]
    tags, aliases = model_store.tags_of(tx, model_store.version_tag, ids), store.list_aliases(tx, ids)
    return [VersionEntry(version, tags[version.id], tuple(aliases[version.id])) for version in versions]


def update(tx: Transaction, actor: Principal, name: str, number: int, *, description: str | None) -> Version:
    """Describe a version."""
    before = get(tx, actor, name, number)
    require(actor, Action.LOG, before.project)
    naming.check_text(description, "description")
    after = msgspec.structs.replace(before, description=description, updated=SystemClock().now())
    _touch(tx, before, after.updated, description=description)
    said = [{"description": version.description} for version in (before, after)]
    audit.record(tx, actor, "version.describe", "version", before.id, before=said[0], after=said[1])
    return after


def set_tag(tx: Transaction, actor: Principal, name: str, number: int, key: str, value: str) -> None:
    """Give a version a tag. Raises Conflict if it is the text of a prompt that has a guarded place."""
    version = get(tx, actor, name, number)
    require(actor, Action.LOG, version.project)
    naming.check_tag(key, value)
    _spare_text(tx, version, key)
    before = model_store.set_tag(tx, model_store.version_tag, version.id, key, value)
    _touch(tx, version, SystemClock().now(), **_retexted(version, key, value))
    said = [{"key": key, "value": text if text is None else text[:1_000]} for text in (before, value)]
    audit.record(tx, actor, "version.tag", "version", version.id, before=said[0], after=said[1])
    telling.version_tag(tx, version, "set", key=key, value=value)


def drop_tag(tx: Transaction, actor: Principal, name: str, number: int, key: str) -> None:
    """Take a tag of a version away; one that is not there is away already."""
    version = get(tx, actor, name, number)
    require(actor, Action.LOG, version.project)
    naming.check_key(key)
    _spare_text(tx, version, key)
    if model_store.drop_tag(tx, model_store.version_tag, version.id, key):
        _touch(tx, version, SystemClock().now(), **_retexted(version, key, ""))
        audit.record(tx, actor, "version.untag", "version", version.id, before={"key": key})
    telling.version_tag(tx, version, "deleted", key=key)


def _spare_text(tx: Transaction, version: Version, key: str) -> None:
    if version.form is VersionForm.PROMPT and key == TEXT:
        guard.require(tx, Deed.CHANGE, version)


def _retexted(version: Version, key: str, value: str) -> dict[str, str]:
    """Return what another text of a prompt changes: what was approved of it before is of other words."""
    return {"tree": digest_bytes(value.encode())} if version.form is VersionForm.PROMPT and key == TEXT else {}


def delete(tx: Transaction, actor: Principal, name: str, number: int, *, reason: str = "") -> None:
    """Delete a version: its aliases go, its number stays taken, its records stay.

    Raises
    ------
    Conflict
        If it has a guarded place, or was ever deployed.
    """
    version = get(tx, actor, name, number)
    require(actor, Action.EDIT_PROJECT, version.project)
    guard.require(tx, Deed.GO, version)
    now = SystemClock().now()
    (aliases,) = store.list_aliases(tx, [version.id]).values()
    for alias in aliases:
        store.drop_alias(tx, name, alias)
    for review in review_store.open_of(tx, [version.id]):
        review_store.close(tx, review.id, ReviewState.WITHDRAWN, time=now, by=actor.name, note="the version was deleted")
    _touch(tx, version, now, deleted=now, waiting=None)
    before = {"aliases": aliases, "stage": version.stage, "source": version.source, "tree": version.tree}
    audit.record(tx, actor, "version.delete", "version", version.id, before=before, reason=reason)


def download_uri(version: Version) -> str:
    """Return where the files of a version are read from. Raises Invalid if it is a package, which clients do not read."""
    if version.form is VersionForm.PACKAGE:
        raise Invalid(
            f"{version.id} is a package of a round, which no client of MLflow reads",
            code="version.package",
            hint=f"call it once it is deployed: POST /v2/models/NAME/infer, after `perenne deploy version NAME {version.id}`",
        )
    return version.storage or version.source


def _touch(tx: Transaction, version: Version, now: int, **values: object) -> None:
    """Change a version; its model was changed by that too."""
    store.change_version(tx, version.id, updated=now, **values)
    model_store.change(tx, version.model, updated=now)
