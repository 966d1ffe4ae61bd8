"""`perenne runs`, `perenne experiments` and `perenne gc`."""

import click

from perenne.tracking.change_commands import comment, delete, flush, note, restore
from perenne.tracking.cleaning_commands import gc
from perenne.tracking.experiment_commands import experiments
from perenne.tracking.lookup_commands import compare, diff, list_, show
from perenne.tracking.reproduce_command import reproduce

__all__ = ["experiments", "gc", "runs"]


@click.group()
def runs() -> None:
    """What was tried, and what came out."""


for _command in (list_, show, compare, diff, note, comment, delete, restore, reproduce, flush):
    runs.add_command(_command)
