"""`perenne runs`, `perenne experiments` and `perenne gc`."""

import click

from perenne.tracking.commands.changing import comment, delete, flush, note, restore
from perenne.tracking.commands.cleaning import gc
from perenne.tracking.commands.experiments import experiments
from perenne.tracking.commands.looking import compare, diff, list_, show
from perenne.tracking.commands.reproduce import reproduce

__all__ = ["experiments", "gc", "runs"]


@click.group()
def runs() -> None:
    """What was tried, and what came out."""


for _command in (list_, show, compare, diff, note, comment, delete, restore, reproduce, flush):
    runs.add_command(_command)
