"""MLflow's assessments: feedback, expectations and issues, each of a trace or a span."""

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from perenne import llm
from perenne.auth.roles import Action
from perenne.protocols.mlflow.decoding import Message
from perenne.protocols.mlflow.endpoint import Call, Endpoint, Kind
from perenne.protocols.mlflow.trace_messages import Assessment, assessment_of, judgement_in, value_in
from perenne.protocols.mlflow.wire import MlflowError, Words, missing, wrong
from perenne.protocols.mlflow.words import ABSENT

_VALUES = ("feedback", "expectation")
_MASK = {"assessmentName": "assessment_name", "lastUpdateTime": "last_update_time"}


class CreateAssessment(Message):
    """A new assessment."""

    required = ("assessment",)
    assessment: Assessment | UnsetType = UNSET


class UpdateAssessment(Message):
    """What is changed of an assessment: the fields that the mask names, with commas between."""

    required = ("assessment", "update_mask")
    assessment: Assessment | UnsetType = UNSET
    update_mask: str = ""


class NamedAssessment(Message):
    """An assessment by its id, which stands in the path as well."""

    trace_id: str = ""
    assessment_id: str = ""


class OneAssessment(msgspec.Struct):
    """An assessment."""

    assessment: Assessment


def create_assessment(call: Call, asked: CreateAssessment) -> OneAssessment:
    """Add an assessment."""
    assert asked.assessment is not UNSET
    if not asked.assessment.assessment_name and asked.assessment.issue is UNSET:
        raise missing("assessment.assessment_name")
    given = judgement_in(asked.assessment, call.parts[0])
    return OneAssessment(assessment_of(llm.assessments.create(call.tx, call.actor, given)))


def get_assessment(call: Call, _: NamedAssessment) -> OneAssessment:
    """Read an assessment."""
    return OneAssessment(assessment_of(llm.assessments.get(call.tx, call.actor, *call.parts)))


def update_assessment(call: Call, asked: UpdateAssessment) -> OneAssessment:
    """Change an assessment."""
    assert asked.assessment is not UNSET
    names = [_MASK.get(name.strip(), name.strip()) for name in asked.update_mask.split(",")]
    change, (trace_id, identity) = _change(asked.assessment, set(names)), call.parts
    return OneAssessment(assessment_of(llm.assessments.update(call.tx, call.actor, trace_id, identity, change)))


def _change(given: Assessment, names: set[str]) -> "llm.assessments.Change":
    told: dict[str, Any] = {}
    if names >= set(_VALUES):
        raise wrong("Cannot specify both `expectation` and `feedback` parameters.")
    for name in names & set(_VALUES):
        if getattr(given, name) is UNSET:
            raise missing(f"assessment.{name}")
        told["kind"], told["value"], told["error"] = value_in(given)
    if "assessment_name" in names:
        told["name"] = given.assessment_name
    if "rationale" in names:
        told["rationale"] = "" if given.rationale is UNSET else given.rationale
    for name in names & {"metadata", "valid"}:
        told[name] = getattr(given, name)
    return llm.assessments.Change(**told)


def delete_assessment(call: Call, _: NamedAssessment) -> None:
    """Remove an assessment."""
    llm.assessments.delete(call.tx, call.actor, *call.parts)


_MAY = Action.COMMENT
ENDPOINTS = [
    endpoint
    for place in ("3.0/mlflow/traces/{}/assessments", "2.0/mlflow/traces/{}/assessments")
    for endpoint in (
        Endpoint("POST", place, Kind.LOG, create_assessment, CreateAssessment, _MAY),
        Endpoint("GET", f"{place}/{{}}", Kind.READ, get_assessment, NamedAssessment),
        Endpoint("PATCH", f"{place}/{{}}", Kind.LOG, update_assessment, UpdateAssessment, _MAY),
        Endpoint("DELETE", f"{place}/{{}}", Kind.LOG, delete_assessment, NamedAssessment, _MAY),
    )
]
WORDS: Words = {
    "assessment.not_found": lambda error: MlflowError(
        ABSENT, f"Assessment with ID '{error.identity}' not found for trace '{error.trace_id}'"
    ),
}
