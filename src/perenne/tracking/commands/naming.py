"""What people name on the command line: experiments by name or number."""

from perenne.auth.principals import Principal
from perenne.storage.transaction import Transaction
from perenne.tracking import experiments
from perenne.tracking.errors import UnknownExperiment
from perenne.tracking.model import Experiment


def experiment_named(tx: Transaction, actor: Principal, text: str) -> Experiment:
    """Find an experiment by its name, else by its number. Raises UnknownExperiment."""
    try:
        return experiments.by_name(tx, actor, text)
    except UnknownExperiment:
        if not (text.isascii() and text.isdecimal() and len(text) < 10):
            raise
        return experiments.get(tx, actor, int(text))
