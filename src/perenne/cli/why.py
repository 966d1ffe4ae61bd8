"""`perenne why`: explain one prediction."""

from typing import Any

import click

from perenne.storage.workspace import Workspace


@click.command()
@click.argument("prediction_id")
@click.pass_obj
def why(workspace: Workspace, prediction_id: str) -> Any:
    r"""Explain one prediction: model, code, data, approvals, drift at that minute, and what each input did.

    \b
    Examples:
      perenne why 01M8GQSGBA1NHC8Y45EHH2NB3J-0
    """
    from perenne import automation

    return automation.why(workspace, prediction_id)
