"""Reading, tagging, linking and deleting traces."""

import re
from collections.abc import Collection, Iterable, Sequence

import msgspec
import sqlalchemy as sa

from perenne import tracking
from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require, sees
from perenne.core.errors import Invalid, NotFound
from perenne.formats.otlp import Span
from perenne.llm import assessment_store, names, review_queues, trace_store
from perenne.llm.conventions import take
from perenne.llm.ingest import LONGEST_KEY, LONGEST_VALUE
from perenne.llm.model import Cost, Trace, Usage
from perenne.llm.scope import UnknownTrace, open_experiment, projects_of, trace_of
from perenne.llm.tables import trace
from perenne.storage.database import Transaction
from perenne.storage.names import chosen

__all__ = ["UnknownTrace", "batch", "complete_spans", "delete", "delete_tag", "describe", "get", "link_prompts", "link_to_run"]

MOST_LINKED = 100
MOST_DELETED = 100_000
"""The most that are removed in one change; whoever asks for more asks again."""
_CONTROL = re.compile(r"[\x00-\x1f]")


class UnknownTag(NotFound):
    """A trace has no such tag."""

    def __init__(self, identity: str, key: str) -> None:
        super().__init__(f"trace {identity} has no tag {key[:100]!r}", code="trace.tag_not_found")
        self.identity, self.key = identity, key


def get(tx: Transaction, actor: Principal, identity: str) -> Trace:
    """Read a trace with all that is said about it. Raises UnknownTrace."""
    [found] = describe(tx, [trace_of(tx, actor, identity)])
    return found


def batch(tx: Transaction, actor: Principal, ids: Collection[str], experiments: Collection[int] | None = None) -> list[Trace]:
    """Read traces in the order in which they are named; what does not exist or may not be seen is left out.

    Parameters
    ----------
    experiments : collection of int, optional
        Only traces of these; nothing if it is empty.
    """
    rows = trace_store.by_ids(tx, list(dict.fromkeys(ids)))
    projects = projects_of(tx, {one.experiment for one in rows.values()}) if rows else {}
    seen = [rows[one] for one in dict.fromkeys(ids) if one in rows and sees(actor, projects.get(rows[one].experiment, ""))]
    if experiments is not None:
        seen = [one for one in seen if one.experiment in experiments]
    return describe(tx, seen)


def describe(tx: Transaction, rows: Sequence[Trace]) -> list[Trace]:
    """Add tags, metadata and assessments to traces, in a handful of statements however many they are."""
    if not rows:
        return []
    words = trace_store.with_words(tx, rows)
    judged = assessment_store.of_traces(tx, [one.number for one in rows])
    places = {one.id: one.artifact_location for one in tracking.experiments.some(tx, {one.experiment for one in rows})}
    return [
        msgspec.structs.replace(
            one,
            tags=_tags(one, places.get(one.experiment, "")) | word["tags"],
            metadata=word["metadata"] | _metadata(one),
            assessments=tuple(judged[one.number]),
        )
        for one, word in zip(rows, words, strict=True)
    ]


def _tags(one: Trace, place: str) -> dict[str, str]:
    tags = {names.ARTIFACT_LOCATION: f"{place}/traces/{one.id}/artifacts"}
    if one.name is not None:
        tags[names.TRACE_NAME] = one.name
    if one.spans:
        tags[names.SPANS_LOCATION] = names.IN_STORE
    return tags


def _metadata(one: Trace) -> dict[str, str]:
    told = {} if one.session is None else {names.SESSION: one.session}
    for name, what in ((names.TOKEN_USAGE, one.usage), (names.COST, one.cost)):
        if what not in (Usage(), Cost()):
            told[name] = msgspec.json.encode(what).decode()
    return told | ({names.FINALIZED: "true"} if one.finalized else {})


def complete_spans(tx: Transaction, found: Sequence[Trace], *, partial: bool = False) -> dict[str, list[Span]]:
    """Read the spans of traces, roots first, then by when they began.

    Parameters
    ----------
    partial : bool
        Whether to give what is there of those whose sender said that there are more; otherwise they are left out.
    """
    whole = [one for one in found if partial or one.spans >= _expected(one)]
    spans = trace_store.spans_of(tx, [one.number for one in whole])
    return {one.id: sorted(spans[one.number], key=lambda span: (span.parent_id != "", span.start)) for one in whole}


def _expected(one: Trace) -> int:
    """Return how many spans the sender says there are."""
    told = take(one.metadata, names.SIZE)
    count = told.get("num_spans") if isinstance(told, dict) else None
    return count if isinstance(count, int) else 0


def set_tag(tx: Transaction, actor: Principal, identity: str, key: str, value: str) -> None:
    """Set a tag; a longer value is cut.

    Raises
    ------
    Invalid
        If the key is too long, or the tag says where spans lie.
    """
    _check_key(key, "set")
    found = trace_of(tx, actor, identity, Action.LOG)
    if key == names.TRACE_NAME:
        trace_store.change(tx, found.number, name=value[:LONGEST_VALUE])
    else:
        trace_store.set_tags(tx, found.number, {key: value[:LONGEST_VALUE]})


def delete_tag(tx: Transaction, actor: Principal, identity: str, key: str) -> None:
    """Remove a tag. Raises UnknownTag."""
    _check_key(key, "deleted")
    found = trace_of(tx, actor, identity, Action.LOG)
    if key == names.TRACE_NAME and found.name is not None:
        trace_store.change(tx, found.number, name=None)
    elif not trace_store.delete_tag(tx, found.number, key):
        raise UnknownTag(identity, key)


def _check_key(key: str, done: str) -> None:
    if key in names.FIXED_TAGS:
        message = f"Tag '{key}' is immutable and cannot be {done} on a trace."
        raise Invalid(message, code="trace.tag_fixed", hint="it says where the trace's spans are")
    if len(key) > LONGEST_KEY or _CONTROL.search(key):
        raise Invalid(f"the key {key[:60]!r}… is too long", code="trace.key", hint=f"at most {LONGEST_KEY} characters")


def link_to_run(tx: Transaction, actor: Principal, ids: Sequence[str], run: str) -> None:
    """Say that traces belong to a run; of those that do not exist nothing is said.

    Raises
    ------
    Invalid
        If there are more than a hundred.
    NotFound
        If there is no such run.
    """
    if len(ids) > MOST_LINKED:
        raise Invalid(
            f"{len(ids)} traces at once", code="trace.too_many", hint=f"at most {MOST_LINKED}: send the rest after them"
        )
    target = tracking.service.get_run(tx, run)
    if not sees(actor, target.project):
        raise tracking.errors.UnknownRun(run)
    require(actor, Action.LOG, target.project)
    found = batch(tx, actor, ids)
    trace_store.link(tx, [(one.number, "run", run) for one in found])


def link_prompts(tx: Transaction, actor: Principal, identity: str, prompts: Iterable[tuple[str, str]]) -> None:
    """Say which versions of prompts a trace used: name and version of each. Raises UnknownTrace."""
    found = trace_of(tx, actor, identity, Action.LOG)
    trace_store.link(tx, [(found.number, "prompt", f"{name}/{version}") for name, version in prompts])


def delete(
    tx: Transaction,
    actor: Principal,
    experiment: int,
    *,
    ids: Collection[str] = (),
    before: int | None = None,
    limit: int | None = None,
) -> int:
    """Delete traces of an experiment for good, oldest first, with all that is said about them; return how many.

    Parameters
    ----------
    ids : collection of str
        Which; all if none is named.
    before : int, optional
        Only those that began at this millisecond or earlier.
    limit : int, optional
        At most so many.

    Raises
    ------
    Invalid
        If neither ids nor a time are given.
    """
    if before is None and not ids:
        raise Invalid("neither traces nor a time are given", code="trace.delete", hint="name traces, or the time up to which")
    open_experiment(tx, actor, experiment, Action.EDIT_PROJECT)
    where = [trace.c.experiment == experiment]
    if before is not None:
        where.append(trace.c.started <= before)
    if ids:
        where.append(trace.c.id.in_(chosen(ids)))
    most = MOST_DELETED if limit is None else min(limit, MOST_DELETED)
    query = sa.select(trace.c.number, trace.c.id).where(*where).order_by(trace.c.started, trace.c.id).limit(most)
    gone = {row.number: row.id for row in tx.execute(query)}
    numbers = list(gone)
    if numbers:
        review_queues.forget(tx, list(gone.values()))
        assessment_store.delete_of_traces(tx, numbers)
        trace_store.delete(tx, numbers)
        audit.record(tx, actor, "trace.delete", "experiment", str(experiment), after={"traces": len(numbers)})
    return len(numbers)
