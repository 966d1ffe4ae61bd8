"""What the bodies of REST requests about deployments have in common, and whose a deployment in a path is."""

from collections.abc import Mapping
from typing import Annotated

import msgspec

from perenne.serving import service
from perenne.storage.transaction import Transaction

Reason = Annotated[str, msgspec.Meta(max_length=2_000)]
Given = Annotated[str, msgspec.Meta(min_length=1, max_length=2_000)]
VersionId = Annotated[str, msgspec.Meta(min_length=1, max_length=300)]


def project_of_deployment(tx: Transaction, path: Mapping[str, str]) -> str:
    """Find the project of a deployment."""
    return service.get_deployment(tx, path["deployment"]).project
