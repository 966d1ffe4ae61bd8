"""Versions, evidence, decisions, and the gate: a pure function of them."""

from collections.abc import Sequence
from enum import StrEnum

import msgspec


class VersionState(StrEnum):
    """Where a version stands."""

    CANDIDATE = "candidate"
    APPROVED = "approved"
    REJECTED = "rejected"
    BARRED = "barred"


class Verdict(StrEnum):
    """What a check says. Unknown is not pass."""

    PASS = "pass"  # noqa: S105
    FAIL = "fail"
    UNKNOWN = "unknown"


class GatePolicy(msgspec.Struct, frozen=True):
    """What a version needs before it may answer anybody, fixed when it is registered.

    Attributes
    ----------
    required : tuple of str
        Checks whose newest evidence must pass.
    approve_by : str
        Who must approve, or an empty text if the evidence alone decides.
    """

    required: tuple[str, ...] = ()
    approve_by: str = ""


class Version(msgspec.Struct, frozen=True):
    """A model as it was packaged.

    Attributes
    ----------
    id : str
        `name@number`.
    model, number : str, int
        The name it shares with its siblings, and its place among them.
    project, run : str
        What it is for, and the run that made it.
    tree : str
        Digest of the package's files: what is approved is what runs.
    reference : str
        Digest of the monitoring reference inside the package.
    snapshot : str
        Digest of the data it was trained on.
    state : VersionState
        Where it stands.
    policy : GatePolicy
        What it needs.
    fallback : label, number or None
        What is answered while the version is stopped and no earlier one can answer.
    created, created_by : int, str
        When and by whom it was registered.
    """

    id: str
    model: str
    number: int
    project: str
    run: str
    tree: str
    reference: str
    snapshot: str
    state: VersionState
    policy: GatePolicy
    fallback: str | int | float | bool | None
    created: int
    created_by: str


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """One fact about a version.

    Attributes
    ----------
    check : str
        What was checked, such as ``objective: roc_auc ≥ 0.64``.
    verdict : Verdict
        Pass, fail, or unknown.
    value, low, high : float, optional
        The figure, and its interval.
    limit : float, optional
        What it was held against.
    detail : str
        One sentence for people.
    """

    check: str
    verdict: Verdict
    value: float | None = None
    low: float | None = None
    high: float | None = None
    limit: float | None = None
    detail: str = ""


class Decision(msgspec.Struct, frozen=True):
    """What a person decided about exactly one tree; `solo` if there was nobody else to decide."""

    version: str
    tree: str
    approved: bool
    approver: str
    solo: bool
    reason: str
    time: int


class GateState(StrEnum):
    """Whether a version may go through."""

    OPEN = "open"
    WAITING = "waiting"
    CLOSED = "closed"


class Gate(msgspec.Struct, frozen=True):
    """The gate's answer, and why it is not open."""

    state: GateState
    reasons: tuple[str, ...] = ()


def gate(version: Version, evidence: Sequence[Evidence], decisions: Sequence[Decision]) -> Gate:
    """Decide whether a version may answer people.

    Parameters
    ----------
    version : Version
        With its policy and its tree.
    evidence : sequence of Evidence
        Oldest first; the newest of a check counts.
    decisions : sequence of Decision
        Oldest first; only those on this very tree count, and the newest of them decides.

    Returns
    -------
    Gate
        Closed by a failed or missing required check, a rejection or a bar; waiting if only an approval is missing.
    """
    if version.state is VersionState.BARRED:
        return Gate(GateState.CLOSED, ("barred after it was rolled back or stopped",))
    newest = {item.check: item for item in evidence}
    reasons = [_reason(check, newest.get(check)) for check in version.policy.required]
    closed = tuple(reason for reason in reasons if reason)
    mine = [decision for decision in decisions if decision.tree == version.tree]
    if mine and not mine[-1].approved:
        closed += (f"rejected by {mine[-1].approver}: {mine[-1].reason or 'no reason given'}",)
    if closed:
        return Gate(GateState.CLOSED, closed)
    if version.policy.approve_by and not mine:
        return Gate(GateState.WAITING, (f"approval by {version.policy.approve_by}",))
    return Gate(GateState.OPEN)


def _reason(check: str, item: Evidence | None) -> str:
    if item is None:
        return f"{check}: no evidence"
    if item.verdict is Verdict.PASS:
        return ""
    return f"{check}: {item.verdict.value}" + (f" ({item.detail})" if item.detail else "")


class Dossier(msgspec.Struct, frozen=True):
    """A version with everything known about it."""

    version: Version
    gate: Gate
    evidence: tuple[Evidence, ...]
    decisions: tuple[Decision, ...]
    aliases: tuple[str, ...]
