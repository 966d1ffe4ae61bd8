"""MLflow's model versions: registered from a source, tagged, put into stages, found."""

import os
import re
from typing import ClassVar

import msgspec
from msgspec import UNSET, UnsetType

from perenne import registry
from perenne.auth.roles import Action
from perenne.protocols.mlflow.decoding import Message
from perenne.protocols.mlflow.endpoint import Call, Endpoint, Kind
from perenne.protocols.mlflow.messages import Int64, Pair, some
from perenne.protocols.mlflow.registered_models import (
    Named,
    VersionAnswer,
    VersionsAnswer,
    answer_version,
    number_of,
    tags_in,
)
from perenne.protocols.mlflow.wire import mistyped, wrong

MOST_VERSIONS = 200_000
ALLOWED = "MLFLOW_CREATE_MODEL_VERSION_SOURCE_VALIDATION_REGEX"
"""The variable with the pattern that an operator wants every source to have; as MLflow calls it."""


class CreateVersion(Named):
    """Register a version."""

    required: ClassVar[tuple[str, ...]] = ("name", "source")
    source: str = ""
    run_id: str | UnsetType = UNSET
    tags: list[Pair] = []
    run_link: str = ""
    description: str = ""
    model_id: str | UnsetType = UNSET


class OneVersion(Named):
    """A request that names a version."""

    required: ClassVar[tuple[str, ...]] = ("name", "version")
    version: str | int = ""


class UpdateVersion(OneVersion):
    """Describe a version."""

    description: str | UnsetType = UNSET


class Transition(OneVersion):
    """Put a version into a stage."""

    required: ClassVar[tuple[str, ...]] = ("name", "version", "stage")
    stage: str = ""
    archive_existing_versions: bool = False


class VersionTag(OneVersion):
    """A tag of a version."""

    required: ClassVar[tuple[str, ...]] = ("name", "version", "key")
    key: str = ""
    value: str = ""


class SearchVersions(Message):
    """Find versions."""

    filter: str = ""
    max_results: Int64 = MOST_VERSIONS
    order_by: list[str] = []
    page_token: str = ""


class DownloadUri(msgspec.Struct):
    """Where the files of a version are."""

    artifact_uri: str


def create_version(call: Call, asked: CreateVersion) -> VersionAnswer:
    """Register a version."""
    pattern = os.environ.get(ALLOWED)
    if pattern and not re.search(pattern, asked.source):
        raise wrong(f"Invalid model version source: '{asked.source}'.")
    made = registry.registrations.create(
        call.tx,
        call.actor,
        asked.name,
        asked.source,
        run=None if asked.run_id is UNSET else asked.run_id,
        logged_model=None if asked.model_id is UNSET else asked.model_id,
        tags=tags_in(asked.tags),
        run_link=asked.run_link or None,
        description=asked.description or None,
    )
    return _answer(call, made)


def get_version(call: Call, asked: OneVersion) -> VersionAnswer:
    """Give a version."""
    return _answer(call, _named(call, asked))


def download_uri(call: Call, asked: OneVersion) -> DownloadUri:
    """Say where the files of a version are."""
    return DownloadUri(registry.registrations.download_uri(_named(call, asked)))


def update_version(call: Call, asked: UpdateVersion) -> VersionAnswer:
    """Describe a version."""
    description = None if asked.description is UNSET else asked.description or None
    return _answer(
        call, registry.registrations.update(call.tx, call.actor, asked.name, number_of(asked.version), description=description)
    )


def transition(call: Call, asked: Transition) -> VersionAnswer:
    """Put a version into a stage, if its gate lets it."""
    stage, version = registry.placing.canonical_stage(asked.stage), _named(call, asked)
    moved = registry.placing.move_to_stage(call.tx, call.actor, version.id, stage, archive_others=asked.archive_existing_versions)
    return _answer(call, moved)


def delete_version(call: Call, asked: OneVersion) -> None:
    """Delete a version."""
    registry.registrations.delete(call.tx, call.actor, asked.name, number_of(asked.version))


def set_version_tag(call: Call, asked: VersionTag) -> None:
    """Give a version a tag."""
    registry.registrations.set_tag(call.tx, call.actor, asked.name, number_of(asked.version), asked.key, asked.value)


def delete_version_tag(call: Call, asked: VersionTag) -> None:
    """Take a tag of a version away."""
    registry.registrations.drop_tag(call.tx, call.actor, asked.name, number_of(asked.version), asked.key)


def search_versions(call: Call, asked: SearchVersions) -> VersionsAnswer:
    """Find versions."""
    if asked.max_results > MOST_VERSIONS:
        raise mistyped("max_results", str(asked.max_results))
    if asked.max_results < 1:
        raise wrong(f"Invalid value for max_results. It must be a positive integer, but got {asked.max_results}")
    found = registry.registrations.search(
        call.tx, call.actor, asked.filter, asked.order_by, limit=asked.max_results, token=asked.page_token
    )
    entries = registry.registrations.entries(call.tx, found.versions)
    return VersionsAnswer(some([answer_version(entry, aliases=False) for entry in entries]), found.token or UNSET)


def _named(call: Call, asked: OneVersion) -> "registry.Version":
    return registry.registrations.get(call.tx, call.actor, asked.name, number_of(asked.version))


def _answer(call: Call, version: "registry.Version") -> VersionAnswer:
    (entry,) = registry.registrations.entries(call.tx, [version])
    return VersionAnswer(answer_version(entry))


_VERSIONS = "2.0/mlflow/model-versions"
ENDPOINTS = [
    Endpoint("POST", f"{_VERSIONS}/create", Kind.CHANGE, create_version, CreateVersion, Action.LOG),
    Endpoint("GET", f"{_VERSIONS}/get", Kind.READ, get_version, OneVersion),
    Endpoint("GET", f"{_VERSIONS}/get-download-uri", Kind.READ, download_uri, OneVersion),
    Endpoint("PATCH", f"{_VERSIONS}/update", Kind.CHANGE, update_version, UpdateVersion, Action.LOG),
    Endpoint("POST", f"{_VERSIONS}/transition-stage", Kind.CHANGE, transition, Transition, Action.DEPLOY),
    Endpoint("DELETE", f"{_VERSIONS}/delete", Kind.CHANGE, delete_version, OneVersion, Action.EDIT_PROJECT),
    Endpoint("POST", f"{_VERSIONS}/set-tag", Kind.CHANGE, set_version_tag, VersionTag, Action.LOG),
    Endpoint("DELETE", f"{_VERSIONS}/delete-tag", Kind.CHANGE, delete_version_tag, VersionTag, Action.LOG),
    Endpoint("GET", f"{_VERSIONS}/search", Kind.READ, search_versions, SearchVersions),
]
