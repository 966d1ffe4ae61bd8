"""What people said about traces as rows to train on: prompts with what is better, in the forms that trainers read.

Only what people said counts, and only what counts still. Rows come without duplicates, and on one side of a split each prompt.
"""

import hashlib
from collections.abc import Collection, Iterator
from typing import Any

import msgspec

from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require
from perenne.core.errors import Invalid
from perenne.formats.otlp import Span
from perenne.llm import assessment_store, names, trace_store
from perenne.llm.conventions import take, written
from perenne.llm.model import Assessment, AssessmentKind
from perenne.llm.scope import projects_of, visible
from perenne.storage.database import Transaction

FORMS = ("assessments", "unpaired", "preference", "completion")
AT_ONCE = 500


class Row(msgspec.Struct, frozen=True, omit_defaults=True):
    """A row; which fields it has is a matter of its form, `split` is ``train`` or ``holdout``."""

    trace_id: str
    prompt: str
    split: str
    name: str = ""
    completion: str | None = None
    label: bool | None = None
    chosen: str | None = None
    rejected: str | None = None
    value: Any = None
    source: str = ""
    source_kind: str = ""
    rationale: str | None = None


def rows(tx: Transaction, actor: Principal, experiments: Collection[int], form: str, *, holdout: int = 10) -> Iterator[Row]:
    """Go through the rows of experiments, oldest first.

    Parameters
    ----------
    form : str
        ``assessments``: everything as it is. ``unpaired``: prompt, completion and whether people liked it. ``completion``: prompt
        and what people said it should have been. ``preference``: prompt, what it should have been, and what it was;
        also pairs of which somebody preferred one.
    holdout : int
        Of a hundred prompts, how many are held out; by the prompt, so that none is on both sides.

    Raises
    ------
    Invalid
        If there is no such form.
    """
    if form not in FORMS:
        raise Invalid(f"{form[:40]!r} is no form of export", code="feedback.form", hint=f"one of {', '.join(FORMS)}")
    seen = visible(tx, actor, list(experiments))
    for project in projects_of(tx, seen).values():
        require(actor, Action.READ, project)
    kinds = {"unpaired": ("feedback",), "completion": ("expectation",)}.get(form, ("feedback", "expectation"))
    known: set[bytes] = set()
    after = 0
    while page := assessment_store.window(tx, seen, kinds, after, AT_ONCE):
        spans = trace_store.spans_of(tx, sorted({number for _, number, _ in page}))
        for _, number, one in page:
            row = _row(form, one, spans[number], holdout)
            if row is not None and (key := _key(row)) not in known:
                known.add(key)
                yield row
        after = page[-1][0]


def _row(form: str, one: Assessment, spans: list[Span], holdout: int) -> Row | None:
    judged = _judged(one, spans)
    if judged is None or (form != "assessments" and one.source_kind != "HUMAN"):
        return None
    prompt, completion = (_text(take(judged.attributes, name)) for name in (names.INPUTS, names.OUTPUTS))
    split = "holdout" if int(hashlib.sha256(prompt.encode()).hexdigest()[:8], 16) % 100 < holdout else "train"
    if form == "assessments":
        told = {"name": one.name, "value": one.value, "source": one.source, "source_kind": one.source_kind}
        return Row(one.trace_id, prompt, split, completion=completion, rationale=one.rationale, **told)
    if form == "unpaired":
        liked = _liked(one)
        return None if liked is None else Row(one.trace_id, prompt, split, completion=completion, label=liked)
    if one.kind is AssessmentKind.FEEDBACK:
        return _preferred(one, prompt, split)
    better = _text(one.value)
    if form == "completion":
        return Row(one.trace_id, prompt, split, completion=better)
    return Row(one.trace_id, prompt, split, chosen=better, rejected=completion) if better != completion else None


def _preferred(one: Assessment, prompt: str, split: str) -> Row | None:
    """Read which of two answers somebody liked better."""
    pair = [one.value.get(side) for side in ("chosen", "rejected")] if isinstance(one.value, dict) else []
    if not (one.name == "preference" and all(isinstance(text, str) for text in pair) and len(set(pair)) == 2):
        return None
    return Row(one.trace_id, prompt, split, chosen=pair[0], rejected=pair[1])


def _judged(one: Assessment, spans: list[Span]) -> Span | None:
    """Return the span that was judged: the one that is named, or the root."""
    return next((span for span in spans if (span.span_id == one.span_id if one.span_id else not span.parent_id)), None)


def _liked(one: Assessment) -> bool | None:
    """Read a thumb, or a rating from 1 to 5; what lies between says neither."""
    value = one.value
    if one.kind is not AssessmentKind.FEEDBACK or isinstance(value, str):
        return {"yes": True, "no": False}.get(str(value).strip().lower())
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float) and 1 <= value <= 5:
        return True if value >= 4 else False if value <= 2 else None
    return None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else written(value)


def _key(row: Row) -> bytes:
    return hashlib.sha256(msgspec.json.encode(msgspec.structs.replace(row, trace_id=""))).digest()
