"""Payloads of the screens of labels: the list, a label set, where people label, and where somebody decides."""

import asyncio
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne.auth import answers
from perenne.auth.access import needs
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, allowed
from perenne.labels import agreeing, label_store, queues, rule_store, sets
from perenne.labels.agreeing import Agreement
from perenne.labels.bulk_http import project_of_set
from perenne.labels.model import Definition, ItemState, LabelSet
from perenne.labels.queues import Dispute, Progress
from perenne.labels.rule_store import LabelVersion, Rule
from perenne.storage.transaction import Transaction

_VERSIONS = 20
_DISPUTES = 20


class SetLine(msgspec.Struct, frozen=True):
    """A label set in the list; `same` is how often people say the same, None where nobody labelled the same item."""

    name: str
    project: str
    kind: str
    dataset: str
    items: int
    labelled: int
    disputed: int
    suspect: int
    same: float | None
    changed: int


class SetList(msgspec.Struct, frozen=True):
    """The label sets that may be seen, by name."""

    rows: tuple[SetLine, ...]
    may_label: bool


class SetPage(msgspec.Struct, frozen=True, kw_only=True):
    """A label set with everything that is known of it, and what whoever looks may do."""

    label_set: LabelSet
    progress: Progress
    agreement: Agreement
    rules: tuple[Rule, ...]
    versions: tuple[LabelVersion, ...]
    may_label: bool
    may_decide: bool
    may_change: bool


class WorkPage(msgspec.Struct, frozen=True):
    """What the page needs on which people label, before it asks for items."""

    name: str
    project: str
    definition: Definition
    progress: Progress
    may_decide: bool


class DecidePage(msgspec.Struct, frozen=True):
    """Items that people differ on, and how many there are."""

    name: str
    definition: Definition
    disputes: tuple[Dispute, ...]
    total: int


def list_view(tx: Transaction, actor: Principal) -> SetList:
    """Show the label sets."""
    found = sets.listed(tx, actor)
    names = [each.name for each in found]
    counts, same = label_store.counts(tx, names), label_store.agreeing(tx, names)
    return SetList(tuple(_line(each, counts[each.name], same.get(each.name)) for each in found), allowed(actor, Action.COMMENT))


def _line(found: LabelSet, counts: dict[str, int], same: float | None) -> SetLine:
    return SetLine(
        name=found.name,
        project=found.project,
        kind=found.definition.kind.value,
        dataset=found.dataset,
        items=sum(counts[state.value] for state in ItemState),
        labelled=counts[ItemState.DONE.value] + counts[ItemState.DECIDED.value],
        disputed=counts[ItemState.DISPUTED.value],
        suspect=counts["suspect"],
        same=same,
        changed=found.changed,
    )


def set_view(tx: Transaction, actor: Principal, name: str) -> SetPage:
    """Show a label set."""
    return SetPage(
        label_set=sets.get(tx, actor, name),
        progress=queues.progress(tx, actor, name),
        agreement=agreeing.agreement(tx, actor, name),
        rules=tuple(rule_store.rules(tx, name)),
        versions=tuple(rule_store.versions(tx, name, limit=_VERSIONS)),
        may_label=allowed(actor, Action.COMMENT),
        may_decide=queues.may_decide(actor),
        may_change=allowed(actor, Action.LOG),
    )


@needs(Action.READ, filters=True, returns=SetList)
async def get_list(request: Request) -> Response:
    """Give the label sets with how far they are."""
    return await answers.view(request, list_view)


@needs(Action.READ, project=project_of_set, returns=SetPage)
async def get_set(request: Request) -> Response:
    """Give a label set with agreement, labellers, rules and versions."""
    name = request.path_params["label_set"]
    return await answers.view(request, lambda tx, actor: set_view(tx, actor, name))


@needs(Action.READ, project=project_of_set, returns=WorkPage)
async def get_work(request: Request) -> Response:
    """Give what is needed to label: the items themselves are asked for one batch after the other."""
    name = request.path_params["label_set"]

    def show(tx: Transaction, actor: Principal) -> WorkPage:
        found = sets.get(tx, actor, name)
        progress = queues.progress(tx, actor, name)
        return WorkPage(found.name, found.project, found.definition, progress, queues.may_decide(actor))

    return await answers.view(request, show)


@needs(Action.ADJUDICATE, project=project_of_set, returns=DecidePage)
async def get_decide(request: Request) -> Response:
    """Give the items that people differ on, with what each of them said."""
    workspace, actor, name = request.app.state.workspace, request.state.actor, request.path_params["label_set"]

    def show() -> DecidePage:
        with workspace.database.read() as tx:
            disputed = queues.disputed(tx, actor, name, limit=_DISPUTES)
            total = queues.progress(tx, actor, name).disputed
        seen: Any = queues.disputes(workspace.objects, disputed)
        return DecidePage(name, disputed.found.definition, tuple(seen), total)

    return answers.answer(await asyncio.to_thread(show))


routes = [
    Route("/api/view/label", get_list, methods=["GET"]),
    Route("/api/view/label/{label_set}", get_set, methods=["GET"]),
    Route("/api/view/label/{label_set}/work", get_work, methods=["GET"]),
    Route("/api/view/label/{label_set}/decide", get_decide, methods=["GET"]),
]
