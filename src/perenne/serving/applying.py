"""A change made by hand on the machine of the control plane: what it needs is packaged, then it is committed and released."""

from collections.abc import Callable
from pathlib import Path

import click

from perenne.auth.principals import local_principal
from perenne.serving import service
from perenne.serving.model import Deployment
from perenne.serving.releases import release
from perenne.storage.database import Transaction
from perenne.storage.workspace import Workspace


def change(workspace: Workspace, work: Callable[[Transaction], Deployment]) -> Deployment:
    """Commit a change, then release it, so that running model servers follow at once."""
    deployment = workspace.database.write(work)
    release(workspace, deployment)
    return deployment


def prepare(
    workspace: Workspace, identity: str, *, example: Path | None = None, trust: tuple[str, ...] = (), reason: str = ""
) -> None:
    """Package a version that a client registered, telling the steps on stderr; what is a package is left."""
    packaged = service.prepare(
        workspace, local_principal(), identity, trusted=frozenset(trust), rows=example, reason=reason, on_progress=tell
    )
    for note in packaged.notes if packaged else ():
        tell(note)


def tell(text: str) -> None:
    """Say a step or a note on stderr."""
    click.echo(text, err=True)
