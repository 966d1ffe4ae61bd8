"""A change made by hand on the machine of the control plane: what it needs is packaged, then it is committed and released."""

from collections.abc import Callable
from pathlib import Path

import click

from perenne.auth.principals import local_principal
from perenne.core.errors import Invalid
from perenne.serving import service
from perenne.serving.model import Constant, Deployment
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


def constant_of(text: str | None) -> Constant | None:
    """Read a constant answer from JSON. Raises Invalid."""
    import msgspec

    try:
        return None if text is None else msgspec.json.decode(text, type=Constant)
    except msgspec.DecodeError:
        raise Invalid(
            "--answer is not JSON of a text, a number or a boolean", code="deployment.answer", hint="write --answer '\"on time\"'"
        ) from None


def tell(text: str) -> None:
    """Say a step or a note on stderr."""
    click.echo(text, err=True)
