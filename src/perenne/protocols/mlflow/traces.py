"""MLflow's traces: those of MLflow 3, and of clients before it."""

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from perenne import llm
from perenne.auth.roles import Action
from perenne.core.tokens import check_limit
from perenne.formats.otlp import Span
from perenne.protocols.mlflow.decoding import Message
from perenne.protocols.mlflow.endpoint import Call, Endpoint, Kind
from perenne.protocols.mlflow.experiments import experiment_number
from perenne.protocols.mlflow.messages import Int32, Int64, Pair, some
from perenne.protocols.mlflow.span_messages import span_of
from perenne.protocols.mlflow.trace_files import spans_in_file
from perenne.protocols.mlflow.trace_messages import (
    OldStatus,
    OldTraceInfo,
    Place,
    TraceInfo,
    draft_of,
    info_of,
    old_info_of,
)
from perenne.protocols.mlflow.wire import MlflowError, Words, missing, mistyped, wrong
from perenne.protocols.mlflow.words import ABSENT

MOST_RESULTS, MOST_ASKED, MOST_EXPERIMENTS = 500, 10_000, 1_000


class GivenTrace(Message):
    """A trace, of which a client describes what is beside its spans."""

    trace_info: TraceInfo | UnsetType = UNSET


class StartTrace(Message):
    """A trace that is new, or has come to its end."""

    required = ("trace",)
    trace: GivenTrace | UnsetType = UNSET


class NamedTrace(Message):
    """A trace by its id in the path."""

    trace_id: str = ""
    request_id: str = ""


class GetTrace(Message):
    """A trace with its spans."""

    required = ("trace_id",)
    trace_id: str = ""
    allow_partial: bool = False


class SomeTraces(Message):
    """Traces by their ids; without experiments they may be of any, with none of none."""

    required = ("trace_ids",)
    trace_ids: list[str] | UnsetType = UNSET
    experiment_ids: list[str] | UnsetType = UNSET


class SearchTraces(Message):
    """A search."""

    required = ("locations",)
    locations: list[Place] | UnsetType = UNSET
    filter: str = ""
    max_results: Int32 = 100
    order_by: list[str] = []
    page_token: str = ""


class OldSearchTraces(Message):
    """A search of a client before MLflow 3."""

    required = ("experiment_ids",)
    experiment_ids: list[str] | UnsetType = UNSET
    filter: str = ""
    max_results: Int32 = 100
    order_by: list[str] = []
    page_token: str = ""


class DeleteTraces(Message):
    """Which traces to delete."""

    required = ("experiment_id",)
    experiment_id: str = ""
    max_timestamp_millis: Int64 | UnsetType = UNSET
    max_traces: Int32 | UnsetType = UNSET
    request_ids: list[str] = []


class TraceTag(Message):
    """A tag."""

    required = ("key",)
    key: str = ""
    value: str = ""


class LinkToRun(Message):
    """Traces that belong to a run."""

    required = ("trace_ids", "run_id")
    trace_ids: list[str] | UnsetType = UNSET
    run_id: str = ""


class PromptVersion(Message):
    """A version of a prompt."""

    name: str = ""
    version: str | int = ""


class LinkPrompts(Message):
    """Versions of prompts that a trace used."""

    required = ("trace_id", "prompt_versions")
    trace_id: str = ""
    prompt_versions: list[PromptVersion] | UnsetType = UNSET


class OldStartTrace(Message):
    """A trace that begins."""

    experiment_id: str = ""
    timestamp_ms: Int64 = 0
    request_metadata: list[Pair] = []
    tags: list[Pair] = []


class OldEndTrace(Message):
    """A trace that ends."""

    timestamp_ms: Int64 = 0
    status: OldStatus = OldStatus.TRACE_STATUS_UNSPECIFIED
    request_metadata: list[Pair] = []
    tags: list[Pair] = []


class Correlate(Message):
    """Two filters."""

    required = ("experiment_ids", "filter_string1", "filter_string2")
    experiment_ids: list[str] | UnsetType = UNSET
    filter_string1: str = ""
    filter_string2: str = ""
    base_filter: str = ""


class AnsweredTrace(msgspec.Struct):
    """A trace; its spans stand there only if they were asked for."""

    trace_info: TraceInfo
    spans: Any = UNSET


class OneTrace(msgspec.Struct):
    """A trace."""

    trace: AnsweredTrace


class FoundTraces(msgspec.Struct):
    """A page of traces, without spans."""

    traces: list[TraceInfo] | UnsetType
    next_page_token: str | UnsetType


class OldFoundTraces(msgspec.Struct):
    """A page of traces, for clients before MLflow 3."""

    traces: list[OldTraceInfo] | UnsetType
    next_page_token: str | UnsetType


class Traces(msgspec.Struct):
    """Traces with their spans."""

    traces: list[AnsweredTrace] | UnsetType


class TraceInfos(msgspec.Struct):
    """Traces without spans."""

    trace_infos: list[TraceInfo] | UnsetType


class OldTrace(msgspec.Struct):
    """A trace, for clients before MLflow 3."""

    trace_info: OldTraceInfo


class Deleted(msgspec.Struct):
    """How many were deleted."""

    traces_deleted: int


class Correlation(msgspec.Struct):
    """How often two filters fit the same traces."""

    npmi: float | UnsetType
    npmi_smoothed: float | UnsetType
    filter1_count: int
    filter2_count: int
    joint_count: int
    total_count: int


def start_trace(call: Call, asked: StartTrace) -> OneTrace:
    """Keep what a client says of a trace."""
    if asked.trace is UNSET or asked.trace.trace_info is UNSET:
        raise missing("trace.trace_info")
    llm.ingest.start_trace(call.tx, call.actor, draft_of(asked.trace.trace_info))
    return _one(call, asked.trace.trace_info.trace_id)


def get_info(call: Call, _: NamedTrace) -> OneTrace:
    """Read a trace without its spans."""
    return _one(call, call.parts[0])


def get_trace(call: Call, asked: GetTrace) -> OneTrace:
    """Read a trace with its spans: at once, whether all are here or not; a client that wants all asks again."""
    found = llm.traces.get(call.tx, call.actor, asked.trace_id)
    spans = _spans(call, [found], partial=asked.allow_partial).get(found.id)
    if spans is None or not (spans or asked.allow_partial):
        raise MlflowError(ABSENT, f"Trace with ID {found.id} is not fully exported yet, please try again later.")
    return OneTrace(AnsweredTrace(info_of(found), some([span_of(span) for span in spans])))


def batch_get(call: Call, asked: SomeTraces) -> Traces:
    """Read traces with their spans; one that is not here in full is left out."""
    found = _batch(call, asked)
    spans = _spans(call, found)
    whole = [one for one in found if spans.get(one.id)]
    return Traces(some([AnsweredTrace(info_of(one), [span_of(span) for span in spans[one.id]]) for one in whole]))


def batch_get_infos(call: Call, asked: SomeTraces) -> TraceInfos:
    """Read traces without their spans."""
    return TraceInfos(some([info_of(one) for one in _batch(call, asked)]))


def search_traces(call: Call, asked: SearchTraces) -> FoundTraces:
    """Find traces."""
    assert asked.locations is not UNSET
    places = [one.mlflow_experiment.experiment_id for one in asked.locations if one.mlflow_experiment is not UNSET]
    found = _search(call, places, asked)
    return FoundTraces(some([info_of(one) for one in found.traces]), found.token or UNSET)


def old_search_traces(call: Call, asked: OldSearchTraces) -> OldFoundTraces:
    """Find traces, for clients before MLflow 3."""
    assert asked.experiment_ids is not UNSET
    found = _search(call, asked.experiment_ids, asked)
    return OldFoundTraces(some([old_info_of(one) for one in found.traces]), found.token or UNSET)


def delete_traces(call: Call, asked: DeleteTraces) -> Deleted:
    """Delete traces."""
    if asked.max_traces is not UNSET and asked.max_traces <= 0:
        raise wrong(f"`max_traces` must be a positive integer, received {asked.max_traces}.")
    if asked.max_traces is not UNSET and asked.request_ids:
        raise wrong("`max_traces` can't be specified if `trace_ids` is specified.")
    if asked.max_timestamp_millis is not UNSET and asked.request_ids:
        raise wrong("Only one of `max_timestamp_millis` and `trace_ids` can be specified.")
    gone = llm.traces.delete(
        call.tx,
        call.actor,
        experiment_number(asked.experiment_id),
        ids=asked.request_ids,
        before=None if asked.max_timestamp_millis is UNSET else asked.max_timestamp_millis,
        limit=None if asked.max_traces is UNSET else asked.max_traces,
    )
    return Deleted(gone)


def set_tag(call: Call, asked: TraceTag) -> None:
    """Set a tag."""
    llm.traces.set_tag(call.tx, call.actor, call.parts[0], asked.key, asked.value)


def delete_tag(call: Call, asked: TraceTag) -> None:
    """Remove a tag."""
    llm.traces.delete_tag(call.tx, call.actor, call.parts[0], asked.key)


def link_to_run(call: Call, asked: LinkToRun) -> None:
    """Say that traces belong to a run."""
    assert asked.trace_ids is not UNSET
    llm.traces.link_to_run(call.tx, call.actor, asked.trace_ids, asked.run_id)


def link_prompts(call: Call, asked: LinkPrompts) -> None:
    """Say which prompts a trace used."""
    assert asked.prompt_versions is not UNSET
    for place, one in enumerate(asked.prompt_versions):
        for name in ("name", "version"):
            if not getattr(one, name):
                raise missing(f"prompt_versions[{place}].{name}")
    prompts = [(one.name, str(one.version)) for one in asked.prompt_versions]
    llm.traces.link_prompts(call.tx, call.actor, asked.trace_id, prompts)


def correlate(call: Call, asked: Correlate) -> Correlation:
    """Count how often two filters fit the same traces."""
    assert asked.experiment_ids is not UNSET
    found = llm.trace_search.correlate(
        call.tx,
        call.actor,
        experiments=_experiments(asked.experiment_ids),
        first=asked.filter_string1,
        second=asked.filter_string2,
        base=asked.base_filter,
    )
    figures = [value if value == value else UNSET for value in (found.npmi, found.npmi_smoothed)]
    return Correlation(figures[0], figures[1], found.first, found.second, found.both, found.total)


def old_start_trace(call: Call, asked: OldStartTrace) -> OldTrace:
    """Keep that a trace begins, for clients before MLflow 3."""
    draft = llm.TraceDraft(
        id="",
        experiment=experiment_number(asked.experiment_id),
        state=llm.TraceState.IN_PROGRESS,
        started=asked.timestamp_ms,
        tags={one.key: one.value for one in asked.tags},
        metadata={one.key: one.value for one in asked.request_metadata},
    )
    return OldTrace(old_info_of(llm.traces.get(call.tx, call.actor, llm.ingest.begin_trace(call.tx, call.actor, draft))))


def old_end_trace(call: Call, asked: OldEndTrace) -> OldTrace:
    """Keep that a trace ended, for clients before MLflow 3."""
    unspecified = asked.status is OldStatus.TRACE_STATUS_UNSPECIFIED
    llm.ingest.finish_trace(
        call.tx,
        call.actor,
        call.parts[0],
        ended=asked.timestamp_ms,
        state=llm.TraceState.UNSPECIFIED if unspecified else llm.TraceState(asked.status.value),
        tags={one.key: one.value for one in asked.tags},
        metadata={one.key: one.value for one in asked.request_metadata},
    )
    return old_get_info(call, NamedTrace())


def old_get_info(call: Call, _: NamedTrace) -> OldTrace:
    """Read a trace, for clients before MLflow 3."""
    return OldTrace(old_info_of(llm.traces.get(call.tx, call.actor, call.parts[0])))


def _spans(call: Call, found: "list[llm.Trace]", *, partial: bool = False) -> dict[str, list[Span]]:
    """Read the spans of traces, also of those of which they are a file."""
    spans = llm.traces.complete_spans(call.tx, found, partial=partial)
    return spans | {one.id: spans_in_file(call, one) for one in found if not one.spans and not spans.get(one.id)}


def _one(call: Call, identity: str) -> OneTrace:
    return OneTrace(AnsweredTrace(info_of(llm.traces.get(call.tx, call.actor, identity))))


def _batch(call: Call, asked: SomeTraces) -> "list[llm.Trace]":
    assert asked.trace_ids is not UNSET
    if len(asked.trace_ids) > MOST_ASKED:
        raise wrong(f"At most {MOST_ASKED} trace_ids can be asked for at once. Got {len(asked.trace_ids)}.")
    experiments = None if asked.experiment_ids is UNSET else _experiments(asked.experiment_ids)
    return llm.traces.batch(call.tx, call.actor, asked.trace_ids, experiments)


def _search(call: Call, places: list[str], asked: SearchTraces | OldSearchTraces) -> "llm.trace_search.Found":
    if asked.max_results > MOST_RESULTS:
        raise mistyped("max_results", asked.max_results)
    return llm.trace_search.search(
        call.tx,
        call.actor,
        experiments=_experiments(places),
        text=asked.filter,
        order=asked.order_by,
        limit=check_limit(asked.max_results, MOST_RESULTS),
        token=asked.page_token,
    )


def _experiments(ids: list[str]) -> list[int]:
    if len(ids) > MOST_EXPERIMENTS:
        raise wrong(f"A search can name at most {MOST_EXPERIMENTS} experiments. Got {len(ids)}.")
    return [experiment_number(identity) for identity in dict.fromkeys(ids)]


_LOG, _READ, _CHANGE, _MAY = Kind.LOG, Kind.READ, Kind.CHANGE, Action.LOG
_NEW, _OLD = "3.0/mlflow/traces", "2.0/mlflow/traces"
ENDPOINTS = [
    Endpoint("POST", _NEW, _LOG, start_trace, StartTrace, _MAY),
    Endpoint("GET", f"{_NEW}/get", _READ, get_trace, GetTrace),
    Endpoint("GET", f"{_NEW}/batchGet", _READ, batch_get, SomeTraces),
    Endpoint("POST", f"{_NEW}/batchGetInfos", _READ, batch_get_infos, SomeTraces),
    Endpoint("POST", f"{_NEW}/search", _READ, search_traces, SearchTraces),
    Endpoint("POST", f"{_NEW}/calculate-filter-correlation", _READ, correlate, Correlate),
    Endpoint("GET", f"{_NEW}/{{}}", _READ, get_info, NamedTrace),
    Endpoint("POST", f"{_OLD}/link-to-run", _LOG, link_to_run, LinkToRun, _MAY),
    Endpoint("POST", f"{_OLD}/link-prompts", _LOG, link_prompts, LinkPrompts, _MAY),
    Endpoint("POST", _OLD, _LOG, old_start_trace, OldStartTrace, _MAY),
    Endpoint("GET", _OLD, _READ, old_search_traces, OldSearchTraces),
    Endpoint("PATCH", f"{_OLD}/{{}}", _LOG, old_end_trace, OldEndTrace, _MAY),
    Endpoint("GET", f"{_OLD}/{{}}/info", _READ, old_get_info, NamedTrace),
    Endpoint("GET", f"{_OLD}/{{}}", _READ, get_info, NamedTrace),
    *(
        endpoint
        for place in (_NEW, _OLD)
        for endpoint in (
            Endpoint("POST", f"{place}/delete-traces", _CHANGE, delete_traces, DeleteTraces, _MAY),
            Endpoint("PATCH", f"{place}/{{}}/tags", _LOG, set_tag, TraceTag, _MAY),
            Endpoint("DELETE", f"{place}/{{}}/tags", _LOG, delete_tag, TraceTag, _MAY),
        )
    ),
]
WORDS: Words = {
    "trace.not_found": lambda error: MlflowError(ABSENT, f"Trace with ID '{error.identity}' not found."),
    "trace.tag_not_found": lambda error: MlflowError(
        ABSENT, f"No trace tag with key '{error.key}' for trace with ID '{error.identity}'"
    ),
    "trace.delete": lambda _: wrong("Either `max_timestamp_millis` or `trace_ids` must be specified."),
    "trace.no_spans": lambda _: wrong("Invalid OpenTelemetry format - no spans found"),
}
