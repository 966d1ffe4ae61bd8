"""Telling others what changed in the registry, in the transaction of the change, as webhooks speak of it."""

from typing import Any

from perenne.registry.events import RegistryChanged
from perenne.registry.model import RegisteredModel, Version, VersionForm
from perenne.storage.outbox import emit
from perenne.storage.transaction import Transaction

TEXT = "mlflow.prompt.text"
_OF_PROMPTS = frozenset({"mlflow.prompt.is_prompt", "_mlflow_prompt_type"})
"""Tags that say that something is a prompt, which the event says itself."""


def model_created(tx: Transaction, model: RegisteredModel, tags: dict[str, str]) -> None:
    """Announce a model or a prompt."""
    said = {"name": model.name, "tags": _plain(tags) if model.prompt else tags, "description": model.description}
    emit(tx, RegistryChanged("prompt" if model.prompt else "registered_model", "created", said, model.project))


def model_tag(tx: Transaction, model: RegisteredModel, action: str, **said: Any) -> None:
    """Announce a tag of a prompt that was set or deleted; of those of models nobody wants to hear."""
    if model.prompt:
        emit(tx, RegistryChanged("prompt_tag", action, {"name": model.name, **said}, model.project))


def version_created(tx: Transaction, version: Version, tags: dict[str, str]) -> None:
    """Announce a version."""
    said: dict[str, Any] = {"name": version.model, "version": str(version.number), "description": version.description}
    if version.form is VersionForm.PROMPT:
        rest = {key: value for key, value in _plain(tags).items() if key != TEXT}
        emit(
            tx, RegistryChanged("prompt_version", "created", {**said, "template": tags.get(TEXT), "tags": rest}, version.project)
        )
    else:
        made = {**said, "source": version.source, "run_id": version.run or None, "tags": tags}
        emit(tx, RegistryChanged("model_version", "created", made, version.project))


def version_tag(tx: Transaction, version: Version, action: str, **said: Any) -> None:
    """Announce a tag of a version that was set or deleted."""
    entity = "prompt_version_tag" if version.form is VersionForm.PROMPT else "model_version_tag"
    emit(tx, RegistryChanged(entity, action, {"name": version.model, "version": str(version.number), **said}, version.project))


def alias(tx: Transaction, version: Version, action: str, name: str) -> None:
    """Announce an alias that was set or deleted."""
    entity = "prompt_alias" if version.form is VersionForm.PROMPT else "model_version_alias"
    said = {"name": version.model, "alias": name}
    if action == "created":
        said["version"] = str(version.number)
    emit(tx, RegistryChanged(entity, action, said, version.project))


def _plain(tags: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in tags.items() if key not in _OF_PROMPTS}
