"""What people who use an application say of its answers, in one call: a thumb, a rating, a correction, a preference, a flag.

It becomes assessments as MLflow has them. The last word of somebody counts; what they said before stays, and counts no more.
"""

import hashlib
from typing import Any

import msgspec

from perenne.auth.principals import Principal
from perenne.auth.roles import Action
from perenne.core.errors import Invalid
from perenne.llm import assessment_store, assessments
from perenne.llm.model import Assessment, AssessmentKind, Trace
from perenne.llm.scope import UnknownTrace, trace_of
from perenne.storage.database import Transaction

__all__ = ["FLAGS", "KINDS", "Reaction", "UnknownTrace", "take"]

KINDS = ("thumb", "rating", "correction", "preference", "flag")
FLAGS = ("unsafe", "wrong", "private")
LONGEST, LONGEST_NAME = 32 << 10, 250


class Reaction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody says of an answer.

    Attributes
    ----------
    kind : str
        ``thumb`` with a `value` true or false, ``rating`` with one from 1 to 5, ``correction`` with a text, ``preference`` with
        the texts `chosen` and `rejected`, ``flag`` with a `value` of `FLAGS`.
    user : str
        Who says so; of nobody it is whoever calls.
    idempotency_key : str
        Said again under the same key, it is said once.
    """

    trace_id: str
    kind: str
    value: Any = None
    correction: str = ""
    chosen: str = ""
    rejected: str = ""
    rationale: str = ""
    user: str = ""
    idempotency_key: str = ""


def take(tx: Transaction, actor: Principal, given: Reaction) -> str:
    """Keep what somebody says; return its id.

    Raises
    ------
    Invalid
        If it does not say what its kind needs: `feedback.kind`, `feedback.value`, `feedback.text`.
    UnknownTrace, Denied
        If there is no such trace, or the actor may not comment.
    """
    told = _told(given)
    found = trace_of(tx, actor, given.trace_id, Action.COMMENT)
    user = given.user or actor.name
    identity = _identity(found, user, given) if given.idempotency_key else ""
    if identity and assessment_store.find(tx, found.number, identity) is not None:
        return identity
    said = assessment_store.of_traces(tx, [found.number])[found.number]
    made = [
        assessments.create(tx, actor, _assessment(given, user, one, said), identity if number == 0 else "")
        for number, one in enumerate(told)
    ]
    return made[0].id


def _told(given: Reaction) -> list[tuple[AssessmentKind, str, Any]]:
    """Return what is said: as feedback or as what was expected, under which name, and the value."""
    _check_texts(given)
    feedback, kind, value = AssessmentKind.FEEDBACK, given.kind, given.value
    if kind == "thumb":
        _require(isinstance(value, bool), "value", "true or false")
    elif kind == "rating":
        number = isinstance(value, int | float) and not isinstance(value, bool)
        _require(number and 1 <= value <= 5, "value", "a number from 1 to 5")
    elif kind == "flag":
        _require(value in FLAGS, "value", f"one of {', '.join(FLAGS)}")
    elif kind == "preference":
        _require(bool(given.chosen and given.rejected), "chosen", "the texts `chosen` and `rejected`")
        value = {"chosen": given.chosen, "rejected": given.rejected}
    elif kind == "correction":
        _require(bool(given.correction), "correction", "what it should have been")
        return [(feedback, "correct", False), (AssessmentKind.EXPECTATION, "correction", given.correction)]
    else:
        raise Invalid(f"{kind[:40]!r} is no kind of feedback", code="feedback.kind", hint=f"one of {', '.join(KINDS)}")
    return [(feedback, kind, value)]


def _check_texts(given: Reaction) -> None:
    for name in ("correction", "chosen", "rejected", "rationale", "user", "idempotency_key"):
        length, most = len(getattr(given, name)), LONGEST_NAME if name in ("user", "idempotency_key") else LONGEST
        if length > most:
            raise Invalid(f"`{name}` has {length} characters", code="feedback.text", hint=f"at most {most}")


def _require(fits: bool, field: str, needs: str) -> None:
    if not fits:
        raise Invalid(f"`{field}` does not fit this kind of feedback", code="feedback.value", hint=needs)


def _assessment(given: Reaction, user: str, told: tuple[AssessmentKind, str, Any], said: list[Assessment]) -> Assessment:
    """Return what is kept of what somebody says, in place of what they said before."""
    kind, name, value = told
    mine = (name, kind, "HUMAN", user, "")
    before = [one.id for one in said if one.valid and (one.name, one.kind, one.source_kind, one.source, one.span_id) == mine]
    return Assessment(
        id="", trace_id=given.trace_id, name=name, kind=kind, source_kind="HUMAN", source=user, value=value,
        rationale=given.rationale or None, metadata={"scale": "1..5"} if given.kind == "rating" else {},
        overrides=before[-1] if before else "",
    )  # fmt: skip


def _identity(found: Trace, user: str, given: Reaction) -> str:
    words = "\0".join((found.id, user, given.idempotency_key))
    return f"a-{hashlib.sha256(words.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"
