"""What a gate finds, and what many of them come to: pass, fail or unknown, and unknown is not pass."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from perenne.core.results import EXIT_FINDINGS, EXIT_UNKNOWN
from perenne.registry import Verdict

PREFIX = "gate: "
"""How the evidence of a gate is called in the registry: this and the gate's name."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What one gate found.

    Attributes
    ----------
    verdict : Verdict
        Unknown where it could not run, had nothing to look at, or left something out.
    value, limit : float, optional
        The figure, and what it was held against.
    low, high : float, optional
        The figure's interval.
    unit : str
        Of both, such as ms.
    detail : str
        One sentence for people.
    facts : dict
        All that was found, as JSON can hold it; kept as an object of its own.
    """

    verdict: Verdict
    value: float | None = None
    limit: float | None = None
    low: float | None = None
    high: float | None = None
    unit: str = ""
    detail: str = ""
    facts: dict[str, Any] = {}


class GateRow(msgspec.Struct, frozen=True, kw_only=True):
    """One gate of a version, and what it came to.

    Attributes
    ----------
    gate, title : str
        Its name, and what it asks.
    required : bool
        Whether the version may not go on without it.
    waived, until : str, int, optional
        Why it may stay unknown, and up to which instant.
    digest : str
        Of the object that holds all that was found.
    started, seconds : int, float, optional
        When it was looked at, and how long that took.
    taken_over : bool
        Whether it was found earlier, for the same files and the same limits.
    """

    gate: str
    title: str
    verdict: Verdict
    required: bool
    value: float | None = None
    limit: float | None = None
    low: float | None = None
    high: float | None = None
    unit: str = ""
    detail: str = ""
    waived: str = ""
    until: int | None = None
    digest: str = ""
    terms: str = ""
    started: int | None = None
    seconds: float | None = None
    taken_over: bool = False

    @property
    def holds_back(self) -> bool:
        """Whether the version may not go on because of it."""
        return self.verdict is Verdict.FAIL or (self.verdict is Verdict.UNKNOWN and self.required and not self.waived)


class GateReport(msgspec.Struct, frozen=True, kw_only=True):
    """Every gate of a version in order of cost, what they come to, and what was not checked.

    Attributes
    ----------
    against : str
        The version it was compared with, or an empty text.
    """

    version: str
    tree: str
    against: str
    verdict: Verdict
    rows: tuple[GateRow, ...]
    not_checked: tuple[str, ...]
    seconds: float

    @property
    def exit_code(self) -> int:
        """0 if nothing holds the version back, 6 if a gate failed, 7 if a required one is unknown."""
        return {Verdict.PASS: 0, Verdict.FAIL: EXIT_FINDINGS, Verdict.UNKNOWN: EXIT_UNKNOWN}[self.verdict]


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Combine verdicts on parts of one thing: a failure weighs most, then what is unknown; of nothing, nothing is known.

    >>> worst([Verdict.PASS, Verdict.UNKNOWN]).value, worst([]).value
    ('unknown', 'unknown')
    """
    found = set(verdicts)
    if Verdict.FAIL in found:
        return Verdict.FAIL
    return Verdict.PASS if found == {Verdict.PASS} else Verdict.UNKNOWN


def combine(rows: Iterable[GateRow]) -> Verdict:
    """Say what gates come to: a failure of any, else what a required one leaves unknown, else pass if one has passed."""
    listed = list(rows)
    if any(row.verdict is Verdict.FAIL for row in listed):
        return Verdict.FAIL
    if any(row.holds_back for row in listed) or not any(row.verdict is Verdict.PASS for row in listed):
        return Verdict.UNKNOWN
    return Verdict.PASS


def not_checked(rows: Iterable[GateRow]) -> tuple[str, ...]:
    """Say what nobody looked at, and why."""
    return tuple(
        f"{row.gate}: {row.detail or 'unknown'}" + (f" (let go: {row.waived})" if row.waived else "")
        for row in rows
        if row.verdict is Verdict.UNKNOWN
    )


def passed(
    value: float | None, *, at_least: float | None = None, at_most: float | None = None, unit: str = "", **said: Any
) -> Finding:
    """Hold a figure against a limit; unknown without a figure or without a limit.

    >>> passed(3.0, at_most=2.0, unit="ms").verdict.value, passed(3.0).verdict.value, passed(None, at_most=2.0).verdict.value
    ('fail', 'unknown', 'unknown')
    """
    limit = at_least if at_least is not None else at_most
    if value is None or value != value or limit is None:
        return Finding(verdict=Verdict.UNKNOWN, value=None if value != value else value, limit=limit, unit=unit, **said)
    met = value >= limit if at_least is not None else value <= limit
    return Finding(verdict=Verdict.PASS if met else Verdict.FAIL, value=value, limit=limit, unit=unit, **said)


def unknown(detail: str, facts: Mapping[str, Any] | None = None) -> Finding:
    """Say that it cannot be told, and why."""
    return Finding(verdict=Verdict.UNKNOWN, detail=detail, facts=dict(facts or {}))
