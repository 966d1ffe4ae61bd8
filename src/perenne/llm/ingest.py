"""Taking traces in: spans as OTLP brings them, and traces as MLflow's clients describe them, in whichever order they come.

Spans and descriptions of one trace come side by side, and either may be first: both are put together. What a description says of
time, state, tokens and cost stands; what it leaves out the spans say. Whatever is sent twice changes nothing.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import uuid4

import msgspec

from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require
from perenne.core.errors import Invalid
from perenne.formats.otlp import ERROR, Batch, Span
from perenne.llm import assessment_store, names, trace_store
from perenne.llm.conventions import Facts, clean, first_of, preview, settle, take, text_of, written
from perenne.llm.model import Cost, Node, Trace, TraceDraft, TraceState, Usage, cost_of, sum_cost, sum_usage, usage_of
from perenne.llm.scope import open_experiment, projects_of, trace_of
from perenne.storage.database import Transaction

LONGEST_KEY, LONGEST_VALUE, LONGEST_ID = 250, 8_000, 250
LONGEST_PREVIEW = 10_000
_MILLISECOND = 1_000_000
_KEY = re.compile(r"(?!/)(?!\.\.)[/\w.\- :]{1,250}\Z")
_NOT_FOR_TAGS = ("telemetry.sdk.", names.OWN)


class Arrived(msgspec.Struct, frozen=True):
    """The spans of one trace that came together.

    Attributes
    ----------
    id : str
        The trace.
    spans : dict
        Each span by its id, with what it is about.
    resource : dict
        What sent them.
    """

    id: str
    spans: dict[str, tuple[Span, Facts]]
    resource: dict[str, Any]

    @property
    def root(self) -> Span | None:
        """The span without a parent, if it is among them."""
        return next((span for span, _ in self.spans.values() if not span.parent_id), None)

    @property
    def started(self) -> int:
        """When the first of them began, in milliseconds."""
        return min(span.start for span, _ in self.spans.values()) // _MILLISECOND

    @property
    def ended(self) -> int | None:
        """When the last of those that have ended did."""
        last = max(span.end for span, _ in self.spans.values())
        return last // _MILLISECOND if last else None

    @property
    def nodes(self) -> dict[str, Node]:
        """Their places in the tree."""
        return {key: Node(key, span.parent_id, fact.usage, fact.cost) for key, (span, fact) in self.spans.items()}

    def ordered(self) -> list[Span]:
        """Return the spans, as they came."""
        return [span for span, _ in self.spans.values()]


def arrange(batches: Iterable[Batch]) -> list[Arrived]:
    """Sort spans by their traces, and settle what each is about; nothing is written.

    Raises
    ------
    Invalid
        If there is no span at all.
    """
    found: dict[str, Arrived] = {}
    for batch in batches:
        for span in batch.spans:
            one = found.setdefault(f"tr-{span.trace_id}", Arrived(f"tr-{span.trace_id}", {}, batch.resource))
            one.spans[span.span_id] = (span, settle(span))
    if not found:
        raise Invalid("there are no spans in it", code="trace.no_spans", hint="send at least one")
    return list(found.values())


def take_spans(tx: Transaction, actor: Principal, experiment: int, arrived: Sequence[Arrived], *, run: str = "") -> None:
    """Keep spans; a trace that is not known is made. All of them are kept, or none.

    Parameters
    ----------
    experiment : int
        Where new traces belong; those that are known stay where they are.
    run : str
        The run that traces whose root has come are linked to, if any.

    Raises
    ------
    NotFound, Conflict, Denied
        As `perenne.llm.scope.open_experiment`.
    """
    open_experiment(tx, actor, experiment, Action.LOG)
    known = trace_store.by_ids(tx, [one.id for one in arrived], hold=True)
    elsewhere = {one.experiment for one in known.values()} - {experiment}
    for project in projects_of(tx, elsewhere).values() if elsewhere else ():
        require(actor, Action.LOG, project)
    numbers = []
    for one in arrived:
        before = known.get(one.id)
        made = _make(tx, experiment, one) if before is None else None
        number = _extend(tx, before or _met(tx, one.id), one) if made is None else made
        _word(tx, number, one, fresh=made is not None)
        if one.root is not None:
            numbers.append(number)
    if run:
        trace_store.link(tx, [(number, "run", run) for number in numbers])


def _met(tx: Transaction, identity: str) -> Trace:
    """Return a trace that somebody else has added meanwhile."""
    found = trace_store.find(tx, identity, hold=True)
    assert found is not None
    return found


def _make(tx: Transaction, experiment: int, one: Arrived) -> int | None:
    root, nodes = one.root, one.nodes
    ended = one.ended
    made = Trace(
        number=0,
        id=one.id,
        experiment=experiment,
        name=_name(one),
        state=_state(root),
        started=one.started,
        duration=None if ended is None else ended - one.started,
        client_request_id=None,
        request_preview=_preview(root, names.INPUTS, "user"),
        response_preview=_preview(root, names.OUTPUTS, "assistant"),
        session=_session(one),
        usage=sum_usage(nodes),
        cost=sum_cost(nodes),
        finalized=False,
        spans=len(one.spans),
    )
    number = trace_store.insert(tx, trace_store.row_of(made))
    if number is not None:
        trace_store.put_spans(tx, number, one.spans)
        trace_store.put_block(tx, number, one.ordered(), whole=True, fresh=True)
    return number


def _extend(tx: Transaction, before: Trace, one: Arrived) -> int:
    number, root = before.number, one.root
    trace_store.put_spans(tx, number, one.spans)
    trace_store.put_block(tx, number, one.ordered(), whole=root is not None, fresh=before.spans == 0)
    usage, cost, spans = _sums(tx, before, one)
    changes: dict[str, Any] = {"usage": usage, "cost": cost, "spans": spans, "session": before.session or _session(one)}
    if not before.finalized:
        changes |= _times(before, one)
    if before.state in (TraceState.IN_PROGRESS, TraceState.UNSPECIFIED):
        changes["state"] = _state(root, before.state)
    if root is not None:
        changes["name"] = _tags_of(root).get(names.TRACE_NAME) or before.name or _name(one)
        changes["request_preview"] = before.request_preview or _preview(root, names.INPUTS, "user")
        changes["response_preview"] = before.response_preview or _preview(root, names.OUTPUTS, "assistant")
    trace_store.update(tx, number, trace_store.row_of(msgspec.structs.replace(before, **changes)))
    return number


def _times(before: Trace, one: Arrived) -> dict[str, int | None]:
    started = min(before.started, one.started)
    ends = [end for end in (None if before.duration is None else before.started + before.duration, one.ended) if end is not None]
    return {"started": started, "duration": max(ends) - started if ends else None}


def _sums(tx: Transaction, before: Trace, one: Arrived) -> tuple[Usage, Cost, int]:
    """Sum up over all spans of the trace, unless its sender did, or none of them tells anything."""
    told = any(fact.usage or fact.cost for _, fact in one.spans.values())
    if not told and not _says(before.usage) and not _says(before.cost):
        return before.usage, before.cost, trace_store.count_spans(tx, before.number)
    nodes = trace_store.nodes_of(tx, before.number)
    usage = before.usage if before.finalized and _says(before.usage) else sum_usage(nodes)
    cost = before.cost if before.finalized and _says(before.cost) else sum_cost(nodes)
    return usage, cost, len(nodes)


def _word(tx: Transaction, number: int, one: Arrived, *, fresh: bool) -> None:
    """Keep as tags what the root asks for and what sent it all, and whose request it was."""
    root = one.root
    if fresh or root is not None:
        tags = {key: value for key, value in one.resource.items() if not key.startswith(_NOT_FOR_TAGS)}
        told = {clean(key): _text(value)[:LONGEST_VALUE] for key, value in tags.items() if _KEY.match(key)}
        told |= {key: value for key, value in _tags_of(root).items() if key != names.TRACE_NAME}
        trace_store.set_tags(tx, number, told)
    user = first_of(one.ordered(), names.USERS)
    if user is not None and (fresh or trace_store.metadata_of(tx, number, names.USER) is None):
        trace_store.set_metadata(tx, number, {names.USER: user[:LONGEST_VALUE]})


def _tags_of(root: Span | None) -> dict[str, str]:
    found = {}
    for name in root.attributes if root is not None else ():
        key = name.removeprefix(names.TAG_PREFIX)
        if key != name and _KEY.match(key) and key not in names.FIXED_TAGS:
            assert root is not None
            found[key] = _text(take(root.attributes, name))[:LONGEST_VALUE]
    return found


def _text(value: Any) -> str:
    return clean(value if isinstance(value, str) else written(value))


def _name(one: Arrived) -> str | None:
    root = one.root
    return None if root is None else _tags_of(root).get(names.TRACE_NAME) or text_of(root.name) or None


def _state(root: Span | None, before: TraceState = TraceState.IN_PROGRESS) -> TraceState:
    if root is None or not root.end:
        return before
    return TraceState.ERROR if root.status == ERROR else TraceState.OK


def _preview(root: Span | None, name: str, role: str) -> str | None:
    return None if root is None else preview(root.attributes.get(name), role)


def _session(one: Arrived) -> str | None:
    found = first_of(one.ordered(), names.SESSIONS)
    return None if found is None else found[:LONGEST_KEY]


def _says(what: Usage | Cost) -> bool:
    return any(getattr(what, name) is not None for name in what.__struct_fields__)


def start_trace(tx: Transaction, actor: Principal, draft: TraceDraft) -> int:
    """Keep a trace as its sender describes it, which spans do not overrule; return its number.

    Raises
    ------
    Invalid
        If its id, a tag or an item of metadata is beyond its limits.
    NotFound, Conflict, Denied
        As `perenne.llm.scope.open_experiment`.
    """
    _check(draft)
    open_experiment(tx, actor, draft.experiment, Action.LOG)
    before = trace_store.find(tx, draft.id, hold=True)
    number = trace_store.insert(tx, trace_store.row_of(_described(draft, None, finalized=True))) if before is None else None
    if number is None:
        before = before or _met(tx, draft.id)
        if before.experiment != draft.experiment:
            trace_of(tx, actor, draft.id, Action.LOG)
        number = before.number
        trace_store.update(tx, number, trace_store.row_of(_described(draft, before, finalized=True)))
    _keep_words(tx, number, draft.tags, draft.metadata)
    assessment_store.add(tx, number, draft.id, draft.assessments)
    return number


def begin_trace(tx: Transaction, actor: Principal, draft: TraceDraft) -> str:
    """Make a trace that is under way and return its id; its spans will be an artifact, as clients before MLflow 3 have it."""
    draft = msgspec.structs.replace(draft, id=uuid4().hex)
    _check(draft)
    open_experiment(tx, actor, draft.experiment, Action.LOG)
    number = trace_store.insert(tx, trace_store.row_of(_described(draft, None, finalized=False)))
    assert number is not None
    _keep_words(tx, number, draft.tags, draft.metadata)
    return draft.id


def finish_trace(
    tx: Transaction,
    actor: Principal,
    identity: str,
    *,
    ended: int,
    state: TraceState,
    tags: Mapping[str, str],
    metadata: Mapping[str, str],
) -> None:
    """End a trace that `begin_trace` made. Raises UnknownTrace, Invalid and Denied."""
    before = trace_of(tx, actor, identity, Action.LOG)
    draft = TraceDraft(
        id=identity,
        experiment=before.experiment,
        state=state,
        started=before.started,
        duration=ended - before.started,
        tags=dict(tags),
        metadata=dict(metadata),
    )
    _check(draft)
    trace_store.update(tx, before.number, trace_store.row_of(_described(draft, before, finalized=before.finalized)))
    _keep_words(tx, before.number, tags, metadata)


def _described(draft: TraceDraft, before: Trace | None, *, finalized: bool) -> Trace:
    """Put a description over what spans said before."""
    usage = _given(usage_of(take(draft.metadata, names.TOKEN_USAGE)), before.usage if before else Usage())
    cost = _given(cost_of(take(draft.metadata, names.COST)), before.cost if before else Cost())
    session = draft.metadata.get(names.SESSION)
    return Trace(
        number=before.number if before else 0,
        id=draft.id,
        experiment=draft.experiment,
        name=draft.tags.get(names.TRACE_NAME) or (before.name if before else None),
        state=draft.state,
        started=draft.started,
        duration=draft.duration,
        client_request_id=draft.client_request_id or (before.client_request_id if before else None),
        request_preview=_cut(draft.request_preview) or (before.request_preview if before else None),
        response_preview=_cut(draft.response_preview) or (before.response_preview if before else None),
        session=session or (before.session if before else None),
        usage=usage,
        cost=cost,
        finalized=finalized,
        spans=before.spans if before else 0,
    )


def _given(told: Any, before: Any) -> Any:
    return told if told is not None and _says(told) else before


def _cut(text: str | None) -> str | None:
    return None if text is None else text[:LONGEST_PREVIEW]


def _keep_words(tx: Transaction, number: int, tags: Mapping[str, str], metadata: Mapping[str, str]) -> None:
    """Keep tags and metadata that are no columns."""
    kept = {key: value[:LONGEST_VALUE] for key, value in tags.items() if key not in (names.TRACE_NAME, names.SPANS_LOCATION)}
    trace_store.set_tags(tx, number, kept)
    columns = (names.SESSION, names.TOKEN_USAGE, names.COST, names.FINALIZED)
    trace_store.set_metadata(tx, number, {key: value[:LONGEST_VALUE] for key, value in metadata.items() if key not in columns})


def _check(draft: TraceDraft) -> None:
    if not 0 < len(draft.id) <= LONGEST_ID:
        raise Invalid(f"a trace's id has {len(draft.id)} characters", code="trace.id", hint=f"1 to {LONGEST_ID}")
    for key in (*draft.tags, *draft.metadata):
        if len(key) > LONGEST_KEY:
            raise Invalid(f"the key {key[:60]!r}… is too long", code="trace.key", hint=f"at most {LONGEST_KEY} characters")
    session = draft.metadata.get(names.SESSION, "")
    if len(session) > LONGEST_KEY:
        raise Invalid("the session's id is too long", code="trace.session", hint=f"at most {LONGEST_KEY} characters")
