"""Telling others what changed in the registry, in the transaction of the change: webhooks and pages hear of it."""

from typing import Any

from perenne.registry.model import RegisteredModel, Version
from perenne.storage.transaction import Transaction


def tell_of_model(tx: Transaction, model: RegisteredModel, change: str, **data: Any) -> None:
    """Announce a change of a model, such as ``created`` or ``tag.set``."""


def tell(tx: Transaction, version: Version, change: str, **data: Any) -> None:
    """Announce a change of a version, such as ``created``, ``alias.created`` or ``stage``."""
