"""What the palette finds beside pages: things of every kind by a piece of their name or id, those that begin with it first."""

from collections.abc import Callable, Iterator

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne import automation, data, labels, monitoring, registry, serving, tracking
from perenne.auth import answers
from perenne.auth.access import needs
from perenne.auth.principals import Principal
from perenne.auth.queries import text
from perenne.auth.roles import Action
from perenne.core.addresses import address_of
from perenne.projects import views as projects
from perenne.storage.database import Transaction

LIMIT = 20
OF_EACH = 6
SHORT = 12


class Hit(msgspec.Struct, frozen=True):
    """Something that was found: what it is called, what it is, where it is shown, and a few words about it."""

    title: str
    kind: str
    path: str
    note: str


class SearchView(msgspec.Struct, frozen=True):
    """What was found, best first."""

    hits: tuple[Hit, ...]


def search_view(tx: Transaction, actor: Principal, wanted: str) -> SearchView:
    """Find what is called so: names that are it, then those that begin with it, then those that hold it."""
    wanted = wanted.strip()
    if not wanted:
        return SearchView(())
    found = [hit for look in _KINDS for hit in look(tx, wanted, actor.projects)]
    low = wanted.lower()

    def rank(hit: Hit) -> int:
        name = hit.title.lower()
        return 0 if name == low else 1 if name.startswith(low) else 2

    return SearchView(tuple(sorted(found, key=rank)[:LIMIT]))


Limits = frozenset[str]


def _projects(tx: Transaction, wanted: str, limits: Limits) -> Iterator[Hit]:
    for found in projects.matching(tx, wanted, OF_EACH, limits):
        yield Hit(found.name, "project", address_of("project", found.name), f"project of {found.owner or 'nobody'}")


def _deployments(tx: Transaction, wanted: str, limits: Limits) -> Iterator[Hit]:
    for found in serving.service.matching(tx, wanted, OF_EACH, limits):
        beside = ", stopped" if found.stop is not None else ""
        yield Hit(found.name, "deployment", address_of("deployment", found.name), f"serves {found.champion.version}{beside}")


def _models(tx: Transaction, wanted: str, limits: Limits) -> Iterator[Hit]:
    for name in registry.summary.models(tx, wanted, OF_EACH, limits):
        yield Hit(name, "model", address_of("model", name), "model")


def _versions(tx: Transaction, wanted: str, limits: Limits) -> Iterator[Hit]:
    for found in registry.summary.matching(tx, wanted, OF_EACH, limits):
        yield Hit(found.id, "version", address_of("version", found.id), f"version, {found.state.value}")


def _runs(tx: Transaction, wanted: str, limits: Limits) -> Iterator[Hit]:
    for run in tracking.summary.matching(tx, wanted, OF_EACH, limits):
        note = f"{run.kind or 'run'} of {run.project}, {run.state.value}"
        yield Hit(run.name or run.id, "run", address_of("run", run.id), note)


def _experiments(tx: Transaction, wanted: str, limits: Limits) -> Iterator[Hit]:
    for found in tracking.summary.experiments_called(tx, wanted, OF_EACH, limits):
        yield Hit(found.name, "experiment", address_of("experiment", str(found.id)), "experiment")


def _datasets(tx: Transaction, wanted: str, limits: Limits) -> Iterator[Hit]:
    for name in data.summary.datasets(tx, wanted, OF_EACH, limits):
        yield Hit(name, "dataset", address_of("dataset", name), "dataset")


def _label_sets(tx: Transaction, wanted: str, limits: Limits) -> Iterator[Hit]:
    for found in labels.sets.matching(tx, wanted, OF_EACH, limits):
        note = f"{found.definition.kind.value} labels of {found.dataset or found.project or 'nothing yet'}"
        yield Hit(found.name, "label set", address_of("label set", found.name), note)


def _snapshots(tx: Transaction, wanted: str, limits: Limits) -> Iterator[Hit]:
    for found in data.summary.matching(tx, wanted, OF_EACH, limits):
        note = f"snapshot of {found.dataset}, {found.rows:,} rows"
        yield Hit(found.id[:SHORT], "snapshot", address_of("snapshot", found.id), note)


def _episodes(tx: Transaction, wanted: str, limits: Limits) -> Iterator[Hit]:
    for found in automation.episodes.matching(tx, wanted, OF_EACH, limits):
        note = f"retraining of {found.project}, {found.state.value.replace('_', ' ')}"
        yield Hit(found.id, "episode", address_of("episode", found.id), note)


def _alerts(tx: Transaction, wanted: str, limits: Limits) -> Iterator[Hit]:
    for line in monitoring.summary.matching(tx, wanted, OF_EACH, limits):
        yield Hit(f"{line.deployment}: {line.rule}", "alert", address_of("alert", line.id), f"{line.severity.value} alert")


_KINDS: tuple[Callable[[Transaction, str, Limits], Iterator[Hit]], ...] = (
    _projects,
    _models,
    _deployments,
    _versions,
    _datasets,
    _label_sets,
    _experiments,
    _runs,
    _episodes,
    _alerts,
    _snapshots,
)


@needs(Action.READ, filters=True, returns=SearchView)
async def get_hits(request: Request) -> Response:
    """Find what is called like `q`, in whole or in part: at most twenty."""
    wanted = text(request, "q")
    return await answers.view(request, lambda tx, actor: search_view(tx, actor, wanted))


routes = [Route("/api/view/search", get_hits, methods=["GET"])]
