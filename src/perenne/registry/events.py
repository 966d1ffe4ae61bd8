"""What the registry tells the others."""

from typing import Any, ClassVar

from perenne.core.events import Event


class VersionRegistered(Event, frozen=True):
    """A new version exists, with its evidence."""

    name: ClassVar[str] = "version.registered"
    version: str
    model: str


class VersionDecided(Event, frozen=True):
    """A person approved or rejected a version."""

    name: ClassVar[str] = "version.decided"
    version: str
    model: str
    approved: bool
    approver: str
    reason: str


class RegistryChanged(Event, frozen=True):
    """Something of the registry was made, set or deleted, in the words of the webhooks that hear of it (`registry.webhooks`).

    Attributes
    ----------
    entity : str
        registered_model, model_version, model_version_tag, model_version_alias, prompt, prompt_version, prompt_tag,
        prompt_version_tag or prompt_alias.
    action : str
        created, set or deleted.
    data : dict
        What it was about: `name`, and of the entity `version`, `source`, `run_id`, `description`, `template`, `tags`, `alias`,
        `key`, `value`; versions are texts.
    project : str
        Whose it is; an empty text if it belongs to no project.
    """

    name: ClassVar[str] = "registry.changed"
    entity: str
    action: str
    data: dict[str, Any]
    project: str = ""
