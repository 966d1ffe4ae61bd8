"""What reading sources tells the others."""

from typing import ClassVar

from perenne.core.events import Event


class SourceFailed(Event, frozen=True):
    """A source with a calendar could not be read, several times in a row, or its columns are not what they were.

    Attributes
    ----------
    dataset, uri : str
        Whose source, and its address, without any secret.
    problem : str
        What was wrong.
    at : int
        When, in microseconds since 1970.
    project : str
        The project the rows are for, if any.
    """

    name: ClassVar[str] = "source.failed"
    dataset: str
    uri: str
    problem: str
    at: int
    project: str = ""


class SourceRecovered(Event, frozen=True):
    """A source that could not be read was read again."""

    name: ClassVar[str] = "source.recovered"
    dataset: str
    at: int


class RowsLate(Event, frozen=True):
    """Rows of a source came later than their watermark and were not taken; an empty `note`: they come in time again."""

    name: ClassVar[str] = "data.late"
    dataset: str
    uri: str
    note: str
    at: int
    project: str = ""


class RowsArrived(Event, frozen=True):
    """A source gave a new snapshot: `rows` in all, `added` of them new; `project` is the one they are for, if any."""

    name: ClassVar[str] = "data.arrived"
    dataset: str
    snapshot: str
    project: str
    rows: int
    added: int
