"""Models as their list shows them, and the checks of a version with who found what."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne.auth import answers, queries
from perenne.auth.access import needs
from perenne.auth.principals import Principal
from perenne.auth.roles import Action
from perenne.core.errors import NotFound
from perenne.registry import service, store, summary
from perenne.registry.model import Dossier, Evidence, Verdict, Version
from perenne.storage.database import Transaction

ROWS = 200
MOST_VERSIONS = 200
CHAMPION = "champion"


class ModelRow(msgspec.Struct, frozen=True, kw_only=True):
    """A model in the list.

    Attributes
    ----------
    versions : int
        How many it has.
    newest, state, gate : str
        The newest version, where it stands, and its gate; `reasons` why that is not open.
    passed, required : int
        Of the checks that the newest version needs.
    champion : str
        The version that answers people, empty if none does.
    """

    model: str
    project: str
    versions: int
    newest: str
    state: str
    gate: str
    reasons: tuple[str, ...]
    passed: int
    required: int
    created: int
    created_by: str
    champion: str


class ModelWindow(msgspec.Struct, frozen=True):
    """Some models by name, and how many fit."""

    rows: tuple[ModelRow, ...]
    total: int


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """Something a version is held against, and the newest evidence for it.

    Attributes
    ----------
    kind, name : str
        Such as objective, and roc_auc ≥ 0.65.
    required : bool
        Whether the gate asks for it.
    verdict : str
        pass, fail or unknown.
    at_least : bool or None
        Which side of the limit is good, None if it is no bound.
    by, time : str, int or None
        Who found it and when, None if nobody did.
    """

    kind: str
    name: str
    required: bool
    verdict: str
    value: float | None
    low: float | None
    high: float | None
    limit: float | None
    at_least: bool | None
    detail: str
    by: str
    time: int | None


def model_window(tx: Transaction, actor: Principal, text: str = "", offset: int = 0, limit: int = ROWS) -> ModelWindow:
    """Read a window of the models somebody may see."""
    counted = store.count_models(tx, sorted(actor.projects), text)
    shown = {item.model: item.versions for item in counted[offset : offset + max(1, min(limit, ROWS))]}
    newest, champions = summary.newest(tx, shown), store.aliases_of(tx, shown, CHAMPION)
    rows = tuple(_row(newest[model], versions, champions.get(model, "")) for model, versions in shown.items())
    return ModelWindow(rows, len(counted))


def _row(found: Dossier, versions: int, champion: str) -> ModelRow:
    version = found.version
    passed = {item.check: item.verdict is Verdict.PASS for item in found.evidence}
    return ModelRow(
        model=version.model,
        project=version.project,
        versions=versions,
        newest=version.id,
        state=version.state.value,
        gate=found.gate.state.value,
        reasons=found.gate.reasons,
        passed=sum(passed.get(name, False) for name in version.policy.required),
        required=len(version.policy.required),
        created=version.created,
        created_by=version.created_by,
        champion=champion,
    )


def versions_of(tx: Transaction, model: str) -> list[Dossier]:
    """Read the newest versions of a model with all that is known about them. Raises NotFound if it has none."""
    found = service.versions(tx, model, limit=MOST_VERSIONS)
    if not found:
        raise NotFound(
            f"there is no model {model[:100]!r}", code="model.not_found", hint="`perenne model list` shows those that are"
        )
    return service.dossiers(tx, found)


def checks_of(tx: Transaction, version: Version) -> tuple[Check, ...]:
    """Read the checks of a version: those its gate asks for in their order, then what else was found."""
    newest = {item.fact.check: item for item in store.list_deposits(tx, version)}
    required = version.policy.required
    names = (*required, *(name for name in newest if name not in required))
    return tuple(_check(name, newest.get(name), name in required) for name in names)


def _check(name: str, found: store.Deposit | None, required: bool) -> Check:
    kind, _, rest = name.partition(": ")
    fact = found.fact if found else Evidence(check=name, verdict=Verdict.UNKNOWN, detail="no evidence")
    at_least = {"≥": True, "≤": False}.get(next((sign for sign in "≥≤" if sign in rest), ""))
    return Check(
        kind=kind if rest else "",
        name=rest or name,
        required=required,
        verdict=fact.verdict.value,
        value=fact.value,
        low=fact.low,
        high=fact.high,
        limit=fact.limit,
        at_least=at_least,
        detail=fact.detail,
        by=found.produced_by if found else "",
        time=found.time if found else None,
    )


@needs(Action.READ, filters=True, returns=ModelWindow)
async def get_models(request: Request) -> Response:
    """Give a window of models: `?q=` filters them by name."""
    text, offset = queries.text(request, "q"), queries.whole_number(request, "offset", 0)
    limit = queries.whole_number(request, "limit", ROWS)
    return await answers.view(request, lambda tx, actor: model_window(tx, actor, text, offset, limit))


routes = [Route("/api/view/model", get_models, methods=["GET"])]
