"""What erasing tells others: whoever keeps something about rows removes what is about these."""

from typing import ClassVar

from perenne.core.events import Event


class RowsErased(Event, frozen=True):
    """Rows of a snapshot are gone for good.

    Attributes
    ----------
    erasure, snapshot : str
        By which erasure, and of which snapshot.
    replacement : str
        The snapshot that holds what is left, in the same order; empty if nothing is.
    rows : tuple of int
        The places of the rows that are gone, from 0, in ascending order.
    """

    name: ClassVar[str] = "data.rows_erased"
    erasure: str
    snapshot: str
    replacement: str
    rows: tuple[int, ...]
