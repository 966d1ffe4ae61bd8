"""`perenne model` and `perenne review`."""

import click

from perenne.registry.change_commands import alias, approve, archive, comment, promote, reject, restore, tag
from perenne.registry.impact_commands import impact
from perenne.registry.lookup_commands import card_, diff, list_, search, show
from perenne.registry.review_commands import review
from perenne.registry.trust_commands import keys, sign, trust_, verify

__all__ = ["model", "review"]


@click.group()
def model() -> None:
    """Models and their versions: evidence, gate, decisions, aliases."""


for _command in (list_, show, search, diff, card_, impact, approve, reject, promote, alias, archive, restore, tag, comment):
    model.add_command(_command)
for _command in (sign, verify, keys, trust_):
    model.add_command(_command)
