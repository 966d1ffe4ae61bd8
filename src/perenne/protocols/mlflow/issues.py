"""MLflow's issues."""

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from perenne import llm
from perenne.auth.roles import Action
from perenne.protocols.mlflow.decoding import Message
from perenne.protocols.mlflow.endpoint import Call, Endpoint, Kind
from perenne.protocols.mlflow.experiments import experiment_number
from perenne.protocols.mlflow.messages import Int32, some
from perenne.protocols.mlflow.wire import MlflowError, Words
from perenne.protocols.mlflow.words import ABSENT


class CreateIssue(Message):
    """A new issue."""

    required = ("name", "description", "experiment_id")
    experiment_id: str = ""
    name: str = ""
    description: str = ""
    status: str = "pending"
    severity: str | UnsetType = UNSET
    root_causes: list[str] = []
    source_run_id: str = ""
    created_by: str = ""
    categories: list[str] = []


class UpdateIssue(Message):
    """What is changed of an issue."""

    issue_id: str = ""
    name: str = ""
    description: str = ""
    status: str | UnsetType = UNSET
    severity: str | UnsetType = UNSET


class NamedIssue(Message):
    """An issue by its id, which stands in the path."""

    issue_id: str = ""


class SearchIssues(Message):
    """A search."""

    experiment_id: str = ""
    filter_string: str = ""
    max_results: Int32 = 100
    page_token: str = ""
    include_trace_count: bool = False


class Issue(msgspec.Struct):
    """An issue."""

    issue_id: str
    experiment_id: str
    name: str
    description: str
    status: str
    severity: Any
    root_causes: Any
    source_run_id: Any
    created_timestamp: int
    last_updated_timestamp: int
    created_by: Any
    categories: Any
    trace_count: Any = UNSET


class OneIssue(msgspec.Struct):
    """An issue."""

    issue: Issue


class FoundIssues(msgspec.Struct):
    """A page of issues."""

    issues: list[Issue] | UnsetType
    next_page_token: str | UnsetType


def create_issue(call: Call, asked: CreateIssue) -> OneIssue:
    """Open an issue."""
    given = llm.issues.Issue(
        id="",
        experiment=experiment_number(asked.experiment_id),
        name=asked.name,
        description=asked.description,
        status=asked.status,
        severity=None if asked.severity is UNSET else asked.severity,
        root_causes=asked.root_causes,
        categories=asked.categories,
        source_run=asked.source_run_id or None,
        created_by=asked.created_by or None,
    )
    return OneIssue(_issue(llm.issues.create(call.tx, call.actor, given)))


def get_issue(call: Call, _: NamedIssue) -> OneIssue:
    """Read an issue."""
    return OneIssue(_issue(llm.issues.get(call.tx, call.actor, call.parts[0])))


def update_issue(call: Call, asked: UpdateIssue) -> OneIssue:
    """Change an issue."""
    after = llm.issues.update(
        call.tx,
        call.actor,
        call.parts[0],
        status=None if asked.status is UNSET else asked.status,
        severity=None if asked.severity is UNSET else asked.severity,
        name=asked.name or None,
        description=asked.description or None,
    )
    return OneIssue(_issue(after))


def search_issues(call: Call, asked: SearchIssues) -> FoundIssues:
    """Find issues."""
    found = llm.issues.search(
        call.tx,
        call.actor,
        experiment=experiment_number(asked.experiment_id) if asked.experiment_id else None,
        text=asked.filter_string,
        limit=asked.max_results,
        token=asked.page_token,
        counting=asked.include_trace_count,
    )
    return FoundIssues(some([_issue(one) for one in found.issues]), found.token or UNSET)


def _issue(one: "llm.issues.Issue") -> Issue:
    return Issue(
        one.id,
        str(one.experiment),
        one.name,
        one.description,
        one.status,
        one.severity or UNSET,
        some(one.root_causes),
        one.source_run or UNSET,
        one.created,
        one.updated,
        one.created_by or UNSET,
        some(one.categories),
        UNSET if one.traces is None else one.traces,
    )


_MAY = Action.COMMENT
ENDPOINTS = [
    Endpoint("POST", "3.0/mlflow/issues", Kind.CHANGE, create_issue, CreateIssue, _MAY),
    Endpoint("POST", "3.0/mlflow/issues/search", Kind.READ, search_issues, SearchIssues),
    Endpoint("GET", "3.0/mlflow/issues/{}", Kind.READ, get_issue, NamedIssue),
    Endpoint("PATCH", "3.0/mlflow/issues/{}", Kind.CHANGE, update_issue, UpdateIssue, _MAY),
]
WORDS: Words = {
    "issue.not_found": lambda error: MlflowError(ABSENT, f"Issue with ID '{error.identity}' not found"),
}
