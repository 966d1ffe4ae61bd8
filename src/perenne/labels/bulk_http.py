"""REST of what works on many labels at once: rows, rules, likely errors, versions, tasks of other tools."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne.auth import answers, queries
from perenne.auth.access import needs
from perenne.auth.principals import Principal
from perenne.auth.roles import Action
from perenne.core import json
from perenne.formats.label_studio import read_tasks
from perenne.labels import choosing, exchanging, rules, sets, suspects, versions
from perenne.labels.choosing import Chosen
from perenne.labels.exchanging import Brought
from perenne.labels.rule_store import LabelVersion, Rule
from perenne.labels.rules import Method, Outcome
from perenne.labels.suspects import Suspicion
from perenne.labels.values import ALL_SOURCES
from perenne.labels.versions import TrainingSet
from perenne.storage.transaction import Transaction


class Rows(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The snapshot whose rows are labelled."""

    snapshot: str


class RuleBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A condition in SQL over the columns of the rows, and the class of those that it is true of."""

    when: str
    value: str


class RunBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How what the rules say is combined."""

    method: Method = Method.DAWID_SKENE


class ErrorsBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """In how many parts the rows are judged, and which seed parts them."""

    folds: int = 5
    seed: int = 0


class VersionBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What counts: known by an instant (microseconds; now if not given), of which kinds of sayer."""

    known: int | None = None
    sources: tuple[str, ...] = ALL_SOURCES


class TrainingBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A data version, a label version and a seed; the newest version and what it labels if not given."""

    version: str = ""
    snapshot: str = ""
    seed: int = 0
    column: str = "label"


def project_of_set(tx: Transaction, path: Mapping[str, str]) -> str:
    """Find the project of a label set."""
    return sets.get(tx, Principal("anybody"), path["label_set"]).project


async def _away(request: Request, work: Callable[..., Any], *arguments: Any, **named: Any) -> Response:
    """Answer with what a use case returns that opens its own transactions, on a thread of its own."""
    workspace, actor, name = request.app.state.workspace, request.state.actor, request.path_params["label_set"]
    found = await asyncio.to_thread(work, workspace.database, workspace.objects, actor, name, *arguments, **named)
    return answers.answer(found)


@needs(Action.LOG, project=project_of_set, body=Rows, example={"snapshot": "3f1c"}, returns=Chosen)
async def post_rows(request: Request) -> Response:
    """Label the rows of a snapshot from now on; rows with the same content keep what was said of them."""
    return await _away(request, choosing.choose, json.decode(await request.body(), Rows, what="rows").snapshot)


@needs(Action.READ, project=project_of_set, returns=list[Rule])
async def get_rules(request: Request) -> Response:
    """List the rules with what they said when they were run last."""
    name = request.path_params["label_set"]
    return await answers.read(request, lambda tx, actor: rules.listed(tx, actor, name))


@needs(Action.LOG, project=project_of_set, body=RuleBody, example={"when": "delay > 15", "value": "late"}, returns=Rule)
async def put_rule(request: Request) -> Response:
    """State a rule, in place of the one of its name."""
    body, path = json.decode(await request.body(), RuleBody, what="rule"), dict(request.path_params)
    return await answers.write(
        request, lambda tx, actor: rules.add(tx, actor, path["label_set"], path["rule"], body.when, body.value)
    )


@needs(Action.LOG, project=project_of_set, returns=None)
async def delete_rule(request: Request) -> Response:
    """Remove a rule."""
    path = dict(request.path_params)
    return await answers.write(request, lambda tx, actor: rules.remove(tx, actor, path["label_set"], path["rule"]))


@needs(Action.LOG, project=project_of_set, body=RunBody, example={"method": "dawid-skene"}, returns=Outcome)
async def post_run(request: Request) -> Response:
    """Run the rules in SQL over all items and keep what they say together as labels whose source is `rule`."""
    body = json.decode(await request.body() or b"{}", RunBody, what="run")
    return await _away(request, rules.run, method=body.method)


@needs(Action.LOG, project=project_of_set, body=ErrorsBody, example={"folds": 5}, returns=Suspicion)
async def post_errors(request: Request) -> Response:
    """Look for labels that are likely wrong; they come into the queue `suspect`, and nothing is relabelled."""
    body = json.decode(await request.body() or b"{}", ErrorsBody, what="errors")
    return await _away(request, suspects.find, folds=body.folds, seed=body.seed)


@needs(Action.READ, project=project_of_set, returns=list[LabelVersion])
async def get_versions(request: Request) -> Response:
    """List the versions, newest first."""
    name, limit = request.path_params["label_set"], queries.whole_number(request, "limit", versions.ROWS)
    return await answers.read(request, lambda tx, actor: versions.listed(tx, actor, name, limit=limit))


@needs(Action.LOG, project=project_of_set, body=VersionBody, example={"sources": ["person", "import"]}, returns=LabelVersion)
async def post_version(request: Request) -> Response:
    """Keep what counts as a version, which its content names."""
    body = json.decode(await request.body() or b"{}", VersionBody, what="version")
    return await _away(request, versions.freeze, known=body.known, sources=body.sources)


def _made(*arguments: Any, **named: Any) -> TrainingSet:
    return versions.training_set(*arguments, **named)[0]


@needs(Action.LOG, project=project_of_set, body=TrainingBody, example={"seed": 7}, returns=TrainingSet)
async def post_training_set(request: Request) -> Response:
    """Put the labels of a version beside the rows of a snapshot; the rows are kept under the digest that is answered."""
    body = json.decode(await request.body() or b"{}", TrainingBody, what="training set")
    return await _away(
        request, _made, version=body.version, snapshot=body.snapshot, seed=body.seed, column=body.column
    )  # fmt: skip


@needs(Action.ADJUDICATE, project=project_of_set, returns=list[dict[str, Any]])
async def get_tasks(request: Request) -> Response:
    """Give items as tasks of Label Studio, by id: `?after=` is the item after which to go on, `?control=` names the answer."""
    after, control = queries.text(request, "after"), queries.text(request, "control") or "label"
    limit = max(1, min(queries.whole_number(request, "limit", 1_000), 10_000))
    return await _away(request, exchanging.tasks_of, control=control, after=after, limit=limit)


@needs(
    Action.LOG, project=project_of_set, body=list[dict[str, Any]], returns=Brought,
    example=[{"data": {"text": "Late again"}, "annotations": [{"result": [{
        "from_name": "tone", "to_name": "text", "type": "choices", "value": {"choices": ["bad"]}}]}]}],
)  # fmt: skip
async def post_tasks(request: Request) -> Response:
    """Keep what the tasks of Label Studio say: `?control=` names the control that is meant."""
    tasks, control = read_tasks(await request.body()), queries.text(request, "control")
    return await _away(request, exchanging.bring_tasks, tasks, control=control)


routes = [
    Route("/api/label/{label_set}/rows", post_rows, methods=["POST"]),
    Route("/api/label/{label_set}/rules", get_rules, methods=["GET"]),
    Route("/api/label/{label_set}/rules/run", post_run, methods=["POST"]),
    Route("/api/label/{label_set}/rules/{rule}", put_rule, methods=["PUT"]),
    Route("/api/label/{label_set}/rules/{rule}", delete_rule, methods=["DELETE"]),
    Route("/api/label/{label_set}/errors", post_errors, methods=["POST"]),
    Route("/api/label/{label_set}/versions", get_versions, methods=["GET"]),
    Route("/api/label/{label_set}/versions", post_version, methods=["POST"]),
    Route("/api/label/{label_set}/training-set", post_training_set, methods=["POST"]),
    Route("/api/label/{label_set}/tasks", get_tasks, methods=["GET"]),
    Route("/api/label/{label_set}/tasks", post_tasks, methods=["POST"]),
]
