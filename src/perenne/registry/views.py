"""Models as their list shows them, and the checks of a version with who found what."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne.auth import answers, queries
from perenne.auth.access import needs
from perenne.auth.principals import Principal
from perenne.auth.roles import Action
from perenne.core.errors import Invalid, NotFound
from perenne.registry import model_store, models, service, store, summary
from perenne.registry.card import GATE
from perenne.registry.model import STAGES, Dossier, Evidence, Verdict, Version
from perenne.registry.models import ModelEntry
from perenne.storage.database import Transaction

ROWS = 200
MOST_VERSIONS = 200
CHAMPION = "champion"
SHORT = 200
"""So many characters of a tag's value are shown in a list."""


class ModelRow(msgspec.Struct, frozen=True, kw_only=True):
    """A model in the list.

    Attributes
    ----------
    versions : int
        How many it has.
    newest, state, gate : str
        The newest version, where it stands, and its gate; `reasons` why that is not open. Empty if there is no version.
    passed, required : int
        Of the checks that the newest version needs.
    created, created_by : int or None, str
        When and by whom the newest version was registered.
    champion : str
        The version that answers people, empty if none does.
    description : str
        As somebody wrote it; may be empty.
    updated : int
        When anything about the model changed.
    aliases, stages : dict
        Which version number has which alias, and which stage: the newest of each.
    tags : dict
        By key; long values are cut.
    form : str
        What the newest version is made of: package, logged or prompt.
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
    created: int | None
    created_by: str
    champion: str
    description: str = ""
    updated: int = 0
    aliases: dict[str, int] = {}
    stages: dict[str, int] = {}
    tags: dict[str, str] = {}
    form: str = ""


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


def model_window(
    tx: Transaction, actor: Principal, text: str = "", offset: int = 0, limit: int = ROWS, order: str = "name"
) -> ModelWindow:
    """Read a window of the models somebody may see.

    Parameters
    ----------
    text : str
        A piece of the name.
    order : str
        name, updated, created or project; with a dash before it downwards.

    Raises
    ------
    Invalid
        If there is no such order.
    """
    if order not in model_store.ORDERS:
        raise Invalid(
            f"models have no order {order[:40]!r}", code="request.query", hint=f"one of: {', '.join(model_store.ORDERS)}"
        )
    size = max(1, min(limit, ROWS))
    shown, total = model_store.window(
        tx, text=text, order=order, offset=offset, limit=size, projects=sorted(actor.projects), where=(model_store.NO_PROMPT,)
    )
    names = [model.name for model in shown]
    newest, counts = summary.newest(tx, names), model_store.count_versions(tx, names)
    rows = (_row(entry, newest.get(entry.model.name), counts.get(entry.model.name, 0)) for entry in models.entries(tx, shown))
    return ModelWindow(tuple(rows), total)


def _row(entry: ModelEntry, found: Dossier | None, versions: int) -> ModelRow:
    model, version = entry.model, found.version if found else None
    passed = {item.check: item.verdict is Verdict.PASS for item in found.evidence} if found else {}
    required = version.policy.required if version else ()
    return ModelRow(
        model=model.name,
        project=model.project,
        versions=versions,
        newest=version.id if version else "",
        state=version.state.value if version else "",
        gate=found.gate.state.value if found else "",
        reasons=found.gate.reasons if found else (),
        passed=sum(passed.get(name, False) for name in required),
        required=len(required),
        created=version.created if version else None,
        created_by=version.created_by if version else model.created_by,
        champion=entry.aliases.get(CHAMPION, ""),
        description=model.description or "",
        updated=model.updated,
        aliases={name: number_of(identity) for name, identity in entry.aliases.items()},
        stages={item.stage: item.number for item in entry.latest if item.stage != STAGES[0]},
        tags={key: value[:SHORT] for key, value in entry.tags.items()},
        form=version.form.value if version else "",
    )


def number_of(identity: str) -> int:
    """Return the number of a version by its id.

    >>> number_of("fraud@7")
    7
    """
    return int(identity.rpartition("@")[2])


def versions_of(tx: Transaction, model: str) -> list[Dossier]:
    """Read the newest versions of a model with all that is known about them. Raises NotFound if it has none."""
    found = service.versions(tx, model, limit=MOST_VERSIONS)
    if not found:
        raise NotFound(
            f"there is no model {model[:100]!r}", code="model.not_found", hint="`perenne model list` shows those that are"
        )
    return service.dossiers(tx, found)


def checks_of(tx: Transaction, version: Version) -> tuple[Check, ...]:
    """Read the checks of a version: those its gate asks for in their order, then what else was found.

    Of the gates of delivery only those that hold it back: they have a page of their own.
    """
    newest = {item.fact.check: item for item in store.list_deposits(tx, version)}
    required = version.policy.required
    held = {name for name, item in newest.items() if item.fact.required and item.fact.verdict is not Verdict.PASS}
    others = (name for name in newest if name not in required and (name in held or not name.startswith(GATE)))
    return tuple(_check(name, newest.get(name), name in required or name in held) for name in (*required, *others))


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
    """Give a window of models: `?q=` filters them by name, `?order=-updated` says which come first."""
    text, offset = queries.text(request, "q"), queries.whole_number(request, "offset", 0)
    limit, order = queries.whole_number(request, "limit", ROWS), queries.text(request, "order") or "name"
    return await answers.view(request, lambda tx, actor: model_window(tx, actor, text, offset, limit, order))


routes = [Route("/api/view/model", get_models, methods=["GET"])]
