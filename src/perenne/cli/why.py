"""`perenne why`: explain one prediction."""

from typing import Any

import click

from perenne.storage.workspace import Workspace


@click.command()
@click.argument("prediction_id")
@click.pass_obj
def why(workspace: Workspace, prediction_id: str) -> Any:
    """Explain one prediction: model, code, data, approvals, drift at that minute, and what each input did."""
    from perenne import automation

    return automation.why(workspace, prediction_id)
