"""A change made by hand on the machine of the control plane: committed, then released at once."""

from collections.abc import Callable

from perenne.serving.model import Deployment
from perenne.serving.releases import release
from perenne.storage.database import Transaction
from perenne.storage.workspace import Workspace


def change(workspace: Workspace, work: Callable[[Transaction], Deployment]) -> Deployment:
    """Commit a change, then release it, so that running model servers follow at once."""
    deployment = workspace.database.write(work)
    release(workspace, deployment)
    return deployment
