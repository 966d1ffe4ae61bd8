"""Where the rows of a version come from: what several deployments have in common when the same feature of theirs moves."""

from perenne import data
from perenne.storage.database import Transaction
from perenne.storage.links import Kind, links_from

_OF_MANY_TABLES = ("sqlite:", "duckdb:", "postgres")
"""Places that hold more than one table: there the dataset's name tells them apart."""


def source_of(tx: Transaction, version: str) -> str:
    """Name the data that a version was trained on: its place, or the dataset it was kept as; empty if nothing is known."""
    links = links_from(tx, Kind.VERSION, version)
    taken = [link.target for link in links if link.target_kind == Kind.SNAPSHOT and link.relation == "trained_on"]
    if not taken:
        return ""
    found = data.summary.some(tx, taken[:1]).get(taken[0])
    if found is None:
        return ""
    one_place = "/" in found.source and not found.source.startswith(_OF_MANY_TABLES)
    return found.source if one_place else found.dataset
