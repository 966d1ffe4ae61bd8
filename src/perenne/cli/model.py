"""`perenne model …`: verbs of the registry and of delivery under one noun."""

from perenne.delivery.bill.commands import bill
from perenne.registry.commands import model

model.add_command(bill)

__all__ = ["model"]
