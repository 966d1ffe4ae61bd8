"""REST of tracking for the page and for scripts: tags of runs, deleting and restoring, experiments, and kept views.

Clients that log speak MLflow's protocol (`perenne.protocols.mlflow`).
"""

from collections.abc import Callable, Mapping

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne.auth import answers, queries
from perenne.auth.access import needs
from perenne.auth.principals import Principal
from perenne.auth.roles import Action
from perenne.core import json
from perenne.core.errors import NotFound
from perenne.storage.database import Transaction
from perenne.tracking import experiments, logs, saved_views, service
from perenne.tracking.model import Experiment, Tag
from perenne.tracking.saved_views import SavedView


class TagBody(msgspec.Struct, forbid_unknown_fields=True):
    """A tag and its value."""

    key: str
    value: str


class NoBody(msgspec.Struct, forbid_unknown_fields=True):
    """Nothing is to be said: no body, or `{}`."""


class NameBody(msgspec.Struct, forbid_unknown_fields=True):
    """What something is called."""

    name: str


class ViewBody(msgspec.Struct, forbid_unknown_fields=True):
    """A view of the list of runs: what stands in the page's address, under a name."""

    name: str
    query: str
    shared: bool = False


class Done(msgspec.Struct, frozen=True):
    """What was changed."""

    id: str


BODY = ("", "application/json")
TAG = {"key": "team", "value": "vision"}
VIEW = {"name": "best of the sweep", "query": "filter=metrics.auc+%3E+0.9&order=metrics.auc+DESC"}


def project_of_run(tx: Transaction, path: Mapping[str, str]) -> str:
    """Find the project of a run."""
    return service.get_run(tx, path["run"]).project


def project_of_experiment(tx: Transaction, path: Mapping[str, str]) -> str:
    """Find the project of an experiment."""
    found = experiments.some(tx, [experiment_id(path["experiment"])])
    if not found:
        raise NotFound("there is no such experiment", code="experiment.not_found", hint="`/experiments` shows those that are")
    return found[0].project


def experiment_id(text: str) -> int:
    """Read the id of an experiment. Raises Invalid if it is none."""
    return queries.read_number(text, "experiment")


async def _run(request: Request, use_case: Callable[[Transaction, Principal, str], object]) -> Response:
    run = request.path_params["run"]

    def work(tx: Transaction, actor: Principal) -> Done:
        use_case(tx, actor, run)
        return Done(run)

    return await answers.write(request, work)


@needs(Action.LOG, project=project_of_run, body=TagBody, example=TAG, returns=Done)
async def post_run_tag(request: Request) -> Response:
    """Set a tag of a run; the last word stands."""
    body = json.decode(await request.body(), TagBody, what="tag")
    return await _run(request, lambda tx, actor, run: logs.set_tag(tx, actor, run, Tag(body.key, body.value)))


@needs(Action.LOG, project=project_of_run, returns=Done)
async def delete_run_tag(request: Request) -> Response:
    """Remove a tag of a run: `?key=`."""
    key = request.query_params.get("key", "")
    return await _run(request, lambda tx, actor, run: logs.delete_tag(tx, actor, run, key))


@needs(Action.LOG, project=project_of_run, accepts=BODY, body=NoBody, example={}, returns=Done)
async def post_run_delete(request: Request) -> Response:
    """Delete a run; it can be restored."""
    await _read_nothing(request)
    return await _run(request, service.delete_run)


@needs(Action.LOG, project=project_of_run, accepts=BODY, body=NoBody, example={}, returns=Done)
async def post_run_restore(request: Request) -> Response:
    """Bring a deleted run back."""
    await _read_nothing(request)
    return await _run(request, service.restore_run)


@needs(Action.LOG, filters=True, body=NameBody, example={"name": "gbdt sweep 14"}, returns=Experiment, status=201)
async def post_experiment(request: Request) -> Response:
    """Make an experiment: 201 when kept."""
    body = json.decode(await request.body(), NameBody, what="experiment")
    return await answers.write(request, lambda tx, actor: experiments.create(tx, actor, body.name), 201)


@needs(Action.LOG, project=project_of_experiment, body=NameBody, example={"name": "gbdt sweep 15"}, returns=Experiment)
async def post_rename(request: Request) -> Response:
    """Give an experiment another name."""
    body = json.decode(await request.body(), NameBody, what="name")
    number = experiment_id(request.path_params["experiment"])
    return await answers.write(request, lambda tx, actor: experiments.rename(tx, actor, number, body.name))


@needs(Action.LOG, project=project_of_experiment, body=TagBody, example=TAG, returns=Experiment)
async def post_experiment_tag(request: Request) -> Response:
    """Set a tag of an experiment; `mlflow.note.content` is its description."""
    body = json.decode(await request.body(), TagBody, what="tag")
    return await _experiment(request, lambda tx, actor, number: experiments.set_tag(tx, actor, number, Tag(body.key, body.value)))


@needs(Action.EDIT_PROJECT, project=project_of_experiment, accepts=BODY, body=NoBody, example={}, returns=Experiment)
async def post_experiment_delete(request: Request) -> Response:
    """Delete an experiment with all its runs; both can be restored."""
    await _read_nothing(request)
    return await _experiment(request, experiments.delete)


@needs(Action.EDIT_PROJECT, project=project_of_experiment, accepts=BODY, body=NoBody, example={}, returns=Experiment)
async def post_experiment_restore(request: Request) -> Response:
    """Bring a deleted experiment back, with all its runs."""
    await _read_nothing(request)
    return await _experiment(request, experiments.restore)


async def _read_nothing(request: Request) -> None:
    json.decode(await request.body() or b"{}", NoBody, what="request")


async def _experiment(request: Request, use_case: Callable[[Transaction, Principal, int], None]) -> Response:
    number = experiment_id(request.path_params["experiment"])

    def work(tx: Transaction, actor: Principal) -> Experiment:
        use_case(tx, actor, number)
        return experiments.get(tx, actor, number)

    return await answers.write(request, work)


@needs(Action.READ, filters=True, returns=list[SavedView])
async def get_views(request: Request) -> Response:
    """List the views of whoever asks, and those that others share with them."""
    return await answers.read(request, saved_views.views)


@needs(Action.READ, filters=True, body=ViewBody, example=VIEW, returns=SavedView, status=201)
async def post_view(request: Request) -> Response:
    """Keep a view: 201 when kept."""
    body = json.decode(await request.body(), ViewBody, what="view")
    values = msgspec.structs.asdict(body)
    return await answers.write(request, lambda tx, actor: saved_views.keep(tx, actor, **values), 201)


@needs(Action.READ, filters=True, body=ViewBody, example=VIEW, returns=SavedView)
async def put_view(request: Request) -> Response:
    """Change a view of one's own."""
    body = json.decode(await request.body(), ViewBody, what="view")
    values, view = msgspec.structs.asdict(body), request.path_params["view"]
    return await answers.write(request, lambda tx, actor: saved_views.change(tx, actor, view, **values))


@needs(Action.READ, filters=True, returns=Done)
async def delete_view(request: Request) -> Response:
    """Remove a view of one's own."""
    view = request.path_params["view"]

    def work(tx: Transaction, actor: Principal) -> Done:
        saved_views.remove(tx, actor, view)
        return Done(view)

    return await answers.write(request, work)


routes = [
    Route("/api/runs/views", get_views, methods=["GET"]),
    Route("/api/runs/views", post_view, methods=["POST"]),
    Route("/api/runs/views/{view}", put_view, methods=["PUT"]),
    Route("/api/runs/views/{view}", delete_view, methods=["DELETE"]),
    Route("/api/runs/{run}/tags", post_run_tag, methods=["POST"]),
    Route("/api/runs/{run}/tags", delete_run_tag, methods=["DELETE"]),
    Route("/api/runs/{run}/delete", post_run_delete, methods=["POST"]),
    Route("/api/runs/{run}/restore", post_run_restore, methods=["POST"]),
    Route("/api/experiments", post_experiment, methods=["POST"]),
    Route("/api/experiments/{experiment}/rename", post_rename, methods=["POST"]),
    Route("/api/experiments/{experiment}/tags", post_experiment_tag, methods=["POST"]),
    Route("/api/experiments/{experiment}/delete", post_experiment_delete, methods=["POST"]),
    Route("/api/experiments/{experiment}/restore", post_experiment_restore, methods=["POST"]),
]
