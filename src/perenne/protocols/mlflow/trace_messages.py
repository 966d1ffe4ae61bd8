"""The messages of traces and assessments, and the two ways in which MLflow says times and states."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from perenne import llm
from perenne.protocols.mlflow.decoding import Message, ProtoEnum
from perenne.protocols.mlflow.experiments import experiment_number
from perenne.protocols.mlflow.messages import Pair, some
from perenne.protocols.mlflow.wire import missing, unfit, wrong

_DURATION = re.compile(r"(-?)([0-9]{1,12})(?:\.([0-9]{1,9}))?s")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class State(ProtoEnum):
    """Where a trace stands."""

    STATE_UNSPECIFIED = ("STATE_UNSPECIFIED", 0)
    OK = ("OK", 1)
    ERROR = ("ERROR", 2)
    IN_PROGRESS = ("IN_PROGRESS", 3)


class OldStatus(ProtoEnum):
    """Where a trace stands, for clients before MLflow 3."""

    TRACE_STATUS_UNSPECIFIED = ("TRACE_STATUS_UNSPECIFIED", 0)
    OK = ("OK", 1)
    ERROR = ("ERROR", 2)
    IN_PROGRESS = ("IN_PROGRESS", 3)


class SourceType(ProtoEnum):
    """Who judges."""

    SOURCE_TYPE_UNSPECIFIED = ("SOURCE_TYPE_UNSPECIFIED", 0)
    HUMAN = ("HUMAN", 1)
    LLM_JUDGE = ("LLM_JUDGE", 2)
    CODE = ("CODE", 3)
    AI_JUDGE = ("AI_JUDGE", 4)


class ExperimentPlace(Message):
    """An experiment as the place of traces."""

    experiment_id: str = ""


class Place(Message):
    """Where traces are."""

    type: str | int = ""
    mlflow_experiment: ExperimentPlace | UnsetType = UNSET


class Source(Message):
    """Who judged."""

    source_type: SourceType | UnsetType = UNSET
    source_id: str = ""


class Serialized(Message):
    """A value as a text of JSON."""

    serialization_format: str = ""
    value: str = ""


class Feedback(Message):
    """How good something was."""

    value: Any = None
    error: dict[str, Any] | UnsetType = UNSET


class Expectation(Message):
    """What something should have been."""

    value: Any = None
    serialized_value: Serialized | UnsetType = UNSET


class IssueReference(Message):
    """Which issue something shows."""

    issue_name: str = ""


class Assessment(Message):
    """A judgement."""

    assessment_id: str = ""
    assessment_name: str = ""
    trace_id: str = ""
    span_id: str = ""
    source: Source | UnsetType = UNSET
    create_time: str = ""
    last_update_time: str = ""
    feedback: Feedback | UnsetType = UNSET
    expectation: Expectation | UnsetType = UNSET
    issue: IssueReference | UnsetType = UNSET
    rationale: str | UnsetType = UNSET
    error: dict[str, Any] | UnsetType = UNSET
    metadata: dict[str, str] = {}
    overrides: str = ""
    valid: bool = True


class TraceInfo(Message):
    """What is known of a trace beside its spans."""

    trace_id: str = ""
    client_request_id: str | UnsetType = UNSET
    trace_location: Place | UnsetType = UNSET
    request_preview: str | UnsetType = UNSET
    response_preview: str | UnsetType = UNSET
    request_time: str = ""
    execution_duration: str = ""
    state: State = State.STATE_UNSPECIFIED
    trace_metadata: dict[str, str] = {}
    tags: dict[str, str] = {}
    assessments: list[Assessment] = []


class OldTraceInfo(msgspec.Struct):
    """What is known of a trace, for clients before MLflow 3."""

    request_id: str
    experiment_id: str
    timestamp_ms: int
    execution_time_ms: int | UnsetType
    status: str
    request_metadata: list[Pair] | UnsetType
    tags: list[Pair] | UnsetType


def milliseconds(text: str, name: str) -> int:
    """Read an instant.

    >>> milliseconds("2026-01-01T00:00:00.123Z", "request_time")
    1767225600123
    """
    try:
        found = datetime.fromisoformat(text)
        return (found - _EPOCH) // _MILLISECOND
    except (ValueError, TypeError, OverflowError):
        raise unfit(name, text, "It must be an instant such as 2026-01-01T00:00:00.123Z") from None


def instant(time: int) -> str:
    """Write an instant.

    >>> instant(1767225600123), instant(1767225600000)
    ('2026-01-01T00:00:00.123Z', '2026-01-01T00:00:00Z')
    """
    try:
        found = _EPOCH + time * _MILLISECOND
    except OverflowError:
        found = datetime.max.replace(tzinfo=UTC) if time > 0 else _EPOCH
    text = found.strftime("%Y-%m-%dT%H:%M:%S") if found.year >= 1000 else _EPOCH.strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{time % 1_000:03d}Z" if time % 1_000 else f"{text}Z"


def duration_in(text: str) -> int | None:
    """Read a span of time in milliseconds; None for an empty text.

    >>> duration_in("1.500s"), duration_in("0s"), duration_in("")
    (1500, 0, None)
    """
    if not text:
        return None
    match = _DURATION.fullmatch(text)
    if match is None:
        raise unfit("execution_duration", text, "It must be seconds such as 1.500s")
    length = int(match[2]) * 1_000 + int((match[3] or "").ljust(3, "0")[:3])
    return -length if match[1] else length


def duration_of(time: int) -> str:
    """Write a span of time.

    >>> duration_of(1500), duration_of(0), duration_of(-20)
    ('1.500s', '0s', '-0.020s')
    """
    seconds, rest = divmod(abs(time), 1_000)
    return f"{'-' if time < 0 else ''}{seconds}{f'.{rest:03d}' if rest else ''}s"


def info_of(trace: "llm.Trace") -> TraceInfo:
    """Return a trace as it is answered."""
    return TraceInfo(
        trace_id=trace.id,
        client_request_id=_or_unset(trace.client_request_id),
        trace_location=Place(type="MLFLOW_EXPERIMENT", mlflow_experiment=ExperimentPlace(str(trace.experiment))),
        request_time=instant(trace.started),
        execution_duration=UNSET if trace.duration is None else duration_of(trace.duration),  # type: ignore[arg-type]
        state=State[trace.state.value],
        trace_metadata=some_map(trace.metadata),
        tags=some_map(trace.tags),
        request_preview=_or_unset(trace.request_preview),
        response_preview=_or_unset(trace.response_preview),
        assessments=some([assessment_of(one) for one in trace.assessments]),
    )


def old_info_of(trace: "llm.Trace") -> OldTraceInfo:
    """Return a trace as clients before MLflow 3 know it."""
    status = OldStatus.TRACE_STATUS_UNSPECIFIED if trace.state == "STATE_UNSPECIFIED" else OldStatus[trace.state.value]
    return OldTraceInfo(
        trace.id,
        str(trace.experiment),
        trace.started,
        UNSET if trace.duration is None else trace.duration,
        str(status),
        some([Pair(key, value) for key, value in trace.metadata.items()]),
        some([Pair(key, value) for key, value in trace.tags.items()]),
    )


def draft_of(given: TraceInfo) -> "llm.TraceDraft":
    """Read what a client says of a trace."""
    if not given.trace_id:
        raise missing("trace.trace_info.trace_id")
    place = given.trace_location
    if place is UNSET or place.mlflow_experiment is UNSET:
        raise wrong("traces are kept in experiments: trace_location must have an mlflow_experiment")
    started = milliseconds(given.request_time, "request_time") if given.request_time else 0
    return llm.TraceDraft(
        id=given.trace_id,
        experiment=experiment_number(place.mlflow_experiment.experiment_id),
        state=llm.TraceState(given.state.value),
        started=started,
        duration=duration_in(given.execution_duration),
        client_request_id=_or_none(given.client_request_id),
        request_preview=_or_none(given.request_preview),
        response_preview=_or_none(given.response_preview),
        tags=given.tags,
        metadata=given.trace_metadata,
        assessments=tuple(judgement_in(one, given.trace_id, started) for one in given.assessments),
    )


def judgement_in(given: Assessment, trace_id: str, now: int = 0) -> "llm.Assessment":
    """Read a judgement."""
    kind, value, error = value_in(given)
    source = given.source
    if source is UNSET or source.source_type is UNSET:
        raise missing("assessment.source")
    name = source.source_type.value
    return llm.Assessment(
        id=given.assessment_id,
        trace_id=trace_id,
        name=given.issue.issue_name or given.assessment_name if given.issue is not UNSET else given.assessment_name,
        kind=kind,
        source_kind="LLM_JUDGE" if name == "AI_JUDGE" else name,
        source=source.source_id or "default",
        value=value,
        error=error,
        span_id=given.span_id,
        rationale=_or_none(given.rationale),
        metadata=given.metadata,
        overrides=given.overrides,
        valid=given.valid,
        created=milliseconds(given.create_time, "create_time") if given.create_time else now,
        updated=milliseconds(given.last_update_time, "last_update_time") if given.last_update_time else now,
    )


def value_in(given: Assessment) -> "tuple[llm.AssessmentKind, Any, dict[str, Any] | None]":
    """Read the kind of a judgement, its value, and why there is none."""
    told = [one for one in (given.feedback, given.expectation, given.issue) if one is not UNSET]
    if len(told) != 1:
        raise wrong("An assessment must have exactly one of feedback, expectation and issue.")
    match told[0]:
        case Feedback(value, error):
            error = given.error if error is UNSET else error
            return llm.AssessmentKind.FEEDBACK, value, None if error is UNSET else error
        case Expectation(value, serialized):
            return llm.AssessmentKind.EXPECTATION, value if serialized is UNSET else _deserialized(serialized.value), None
        case _:
            return llm.AssessmentKind.ISSUE, True, None


def _deserialized(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        raise unfit("expectation.serialized_value", text[:200], "It must be JSON") from None


def assessment_of(one: "llm.Assessment") -> Assessment:
    """Return a judgement as it is answered."""
    told: dict[str, Any] = {}
    if one.kind is llm.AssessmentKind.FEEDBACK:
        told["feedback"] = {"value": one.value} | ({"error": one.error} if one.error else {})
    elif one.kind is llm.AssessmentKind.ISSUE:
        told["issue"] = IssueReference(one.name)
    elif isinstance(one.value, list | dict):
        text = msgspec.json.format(msgspec.json.encode(one.value), indent=0).decode()
        told["expectation"] = {"serialized_value": Serialized("JSON_FORMAT", text)}
    else:
        told["expectation"] = {"value": one.value}
    return Assessment(
        assessment_id=one.id,
        assessment_name=one.name,
        trace_id=one.trace_id,
        span_id=one.span_id or UNSET,  # type: ignore[arg-type]
        source=Source(SourceType[one.source_kind], one.source),
        create_time=instant(one.created),
        last_update_time=instant(one.updated),
        rationale=_or_unset(one.rationale),
        metadata=some_map(one.metadata),
        overrides=one.overrides or UNSET,  # type: ignore[arg-type]
        valid=one.valid,
        **told,
    )


def some_map(values: dict[str, str]) -> Any:
    """Return a map, or nothing in place of an empty one."""
    return values or UNSET


def _or_unset(text: str | None) -> str | UnsetType:
    return UNSET if text is None else text


def _or_none(text: str | UnsetType) -> str | None:
    return None if text is UNSET else text
