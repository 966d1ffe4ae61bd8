"""Judgements of traces: made, corrected, overridden and removed. A correction leaves what it overrides, and says that it does."""

from typing import Any

import msgspec

from perenne.auth.principals import Principal
from perenne.auth.roles import Action
from perenne.core.clock import SystemClock
from perenne.core.errors import Invalid, NotFound
from perenne.llm import assessment_store
from perenne.llm.model import Assessment, AssessmentKind
from perenne.llm.scope import UnknownTrace, trace_of
from perenne.storage.database import Transaction

__all__ = ["AssessmentKind", "Change", "UnknownAssessment", "UnknownTrace", "create", "delete", "delete_of_run", "get", "update"]

LONGEST_NAME, LONGEST_VALUE = 250, 1 << 20
SOURCES = ("HUMAN", "LLM_JUDGE", "CODE")
_KINDS = {AssessmentKind.FEEDBACK: "Feedback", AssessmentKind.EXPECTATION: "Expectation", AssessmentKind.ISSUE: "Issue"}


class UnknownAssessment(NotFound):
    """A trace has no such assessment."""

    def __init__(self, trace_id: str, identity: str) -> None:
        super().__init__(f"trace {trace_id[:100]} has no assessment {identity[:100]!r}", code="assessment.not_found")
        self.trace_id = trace_id
        self.identity = identity


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What is changed of an assessment; None for what is not.

    Attributes
    ----------
    kind : AssessmentKind, optional
        With a value: what it must be, for feedback does not become an expectation.
    """

    name: str | None = None
    kind: AssessmentKind | None = None
    value: Any = None
    error: dict[str, Any] | None = None
    rationale: str | None = None
    metadata: dict[str, str] | None = None
    valid: bool | None = None


def create(tx: Transaction, actor: Principal, given: Assessment, identity: str = "") -> Assessment:
    """Add an assessment to a trace, under an id if one is given; the one that it overrides does not count any more.

    Raises
    ------
    Invalid
        If its name, source or value does not fit.
    UnknownTrace, UnknownAssessment, Denied
        If there is no such trace or none to override, or the actor may not comment.
    """
    _check(given)
    found = trace_of(tx, actor, given.trace_id, Action.COMMENT)
    if given.overrides and not assessment_store.set_valid(tx, found.number, given.overrides, False):
        raise UnknownAssessment(given.trace_id, given.overrides)
    now = SystemClock().now() // 1_000
    made = msgspec.structs.replace(given, id=identity, created=given.created or now, updated=given.updated or now)
    return assessment_store.add(tx, found.number, found.id, [made])[0]


def get(tx: Transaction, actor: Principal, trace_id: str, identity: str) -> Assessment:
    """Read an assessment. Raises UnknownTrace and UnknownAssessment."""
    return _get(tx, trace_of(tx, actor, trace_id).number, trace_id, identity)


def update(tx: Transaction, actor: Principal, trace_id: str, identity: str, change: Change) -> Assessment:
    """Change an assessment; metadata is added to what is there.

    Raises
    ------
    Invalid
        If the value is of another kind: `assessment.kind`.
    """
    found = trace_of(tx, actor, trace_id, Action.COMMENT)
    before = _get(tx, found.number, trace_id, identity)
    values: dict[str, Any] = {"updated": SystemClock().now() // 1_000}
    if change.kind is not None:
        if change.kind is not before.kind:
            raise Invalid(
                f"Cannot update {change.kind} value on {_article(before.kind)} assessment.",
                code="assessment.kind",
                hint="make another, and delete this one",
            )
        values |= {"value": change.value, "error": change.error}
    told = {"name": change.name, "rationale": change.rationale, "valid": change.valid}
    values |= {name: value for name, value in told.items() if value is not None}
    if change.metadata is not None:
        values["metadata"] = before.metadata | change.metadata
    after = msgspec.structs.replace(before, **values)
    _check(after)
    assessment_store.replace(tx, after)
    return after


def delete(tx: Transaction, actor: Principal, trace_id: str, identity: str) -> None:
    """Remove an assessment, if it is there; what it overrode counts again."""
    found = trace_of(tx, actor, trace_id, Action.COMMENT)
    gone = assessment_store.find(tx, found.number, identity)
    if gone is None:
        return
    if gone.overrides:
        assessment_store.set_valid(tx, found.number, gone.overrides, True)
    assessment_store.delete(tx, identity)


def delete_of_run(tx: Transaction, run: str) -> int:
    """Remove what a run judged, when it is deleted; return how many there were. Who may delete the run is its own matter."""
    return assessment_store.delete_of_run(tx, run)


def _get(tx: Transaction, number: int, trace_id: str, identity: str) -> Assessment:
    found = assessment_store.find(tx, number, identity)
    if found is None:
        raise UnknownAssessment(trace_id, identity)
    return found


def _article(kind: AssessmentKind) -> str:
    word = _KINDS[kind]
    return f"an {word}" if word[0] in "EI" else f"a {word}"


def _check(given: Assessment) -> None:
    if not 0 < len(given.name) <= LONGEST_NAME:
        raise Invalid(
            f"the assessment's name has {len(given.name)} characters", code="assessment.name", hint=f"1 to {LONGEST_NAME}"
        )
    if given.source_kind not in SOURCES:
        raise Invalid(
            f"{given.source_kind[:60]!r} is no kind of source", code="assessment.source", hint=f"one of {', '.join(SOURCES)}"
        )
    if len(msgspec.json.encode([given.value, given.rationale, given.metadata])) > LONGEST_VALUE:
        raise Invalid("the assessment is larger than 1 MiB", code="assessment.large", hint="say it in fewer words")
