"""What ingest speaks of: a declared source, what was read from it, and what became of each reading."""

from enum import StrEnum

import msgspec

from perenne.data.model import Anomaly, ColumnType


class Mode(StrEnum):
    """How rows that were read join those of before: in their place, or behind them; or whether they stay where they are."""

    FULL = "full"
    APPEND = "append"
    PIN = "pin"


class Outcome(StrEnum):
    """What became of a reading."""

    NEW = "new"
    UNCHANGED = "unchanged"
    REFUSED = "refused"
    FAILED = "failed"


class Source(msgspec.Struct, frozen=True):
    """Where the rows of a dataset come from.

    Attributes
    ----------
    dataset : str
        What the rows are called.
    uri : str
        Where they are, without any secret.
    sealed : str
        The address with its secret, sealed; empty if it has none.
    query : str
        For a database.
    watermark : str
        For append: the column that only grows.
    every : str
        The calendar of refreshes, as cron has it; empty if there is none.
    trusted : bool
        Whether its host may be private, and be asked without TLS.
    columns : tuple of ColumnType
        What the rows looked like when they first came; they are read by it.
    state : dict
        What tells whether something changed: ETags, states of files, the highest watermark, a table's version.
    snapshot : str
        The newest.
    checked, outcome, problem, failures
        When it was looked at last, what came of it, what was wrong, and how often in a row that was so.
    """

    dataset: str
    uri: str
    sealed: str = ""
    query: str = ""
    mode: Mode = Mode.FULL
    watermark: str = ""
    every: str = ""
    project: str = ""
    trusted: bool = False
    paused: bool = False
    columns: tuple[ColumnType, ...] = ()
    state: dict[str, str] = {}
    snapshot: str = ""
    checked: int | None = None
    outcome: str = ""
    problem: str = ""
    failures: int = 0
    created: int = 0
    created_by: str = ""


class Refresh(msgspec.Struct, frozen=True):
    """One reading of a source, as it is kept.

    Attributes
    ----------
    added : int
        Rows that were not in the snapshot before; for full mode all of them.
    state : dict
        What told the source's version: an ETag, a table's snapshot id.
    notes : tuple of str
        What a person should know, such as rows that came too late.
    tool : str
        Which perenne read it.
    """

    id: str
    dataset: str
    uri: str
    query: str
    started: int
    ended: int
    outcome: Outcome
    snapshot: str = ""
    rows: int = 0
    added: int = 0
    state: dict[str, str] = {}
    notes: tuple[str, ...] = ()
    problem: str = ""
    tool: str = ""


class Refreshed(msgspec.Struct, frozen=True):
    """What a reading came to: its record, and how the rows break what was written down of them, if they do."""

    refresh: Refresh
    anomalies: tuple[Anomaly, ...] = ()
