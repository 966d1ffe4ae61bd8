"""What the page of the audit trail shows: the records in words, one of them whole, and how far the chain is known to be good."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne.auth import answers, audit
from perenne.auth.access import needs
from perenne.auth.checking import ChainCheck, ChainState
from perenne.auth.queries import read_number, text
from perenne.auth.roles import Action
from perenne.auth.wording import Told, told
from perenne.core.paging import page_of
from perenne.storage.transaction import Transaction


class AuditRow(msgspec.Struct, frozen=True):
    """A record: its number, when, and what it says."""

    seq: int
    time: int
    action: str
    told: Told


class AuditView(msgspec.Struct, frozen=True):
    """Some records, newest first; `total` of them fit what was asked. `entities` are the kinds of thing there are records of."""

    rows: tuple[AuditRow, ...]
    total: int
    entities: tuple[str, ...]
    chain: ChainState


class RecordView(msgspec.Struct, frozen=True):
    """One record whole: `before` and `after` are JSON. `good`: whether it was checked and is what it was."""

    record: audit.AuditRecord
    told: Told
    good: bool


def audit_rows(records: list[audit.AuditRecord]) -> tuple[AuditRow, ...]:
    """Put records into words."""
    return tuple(AuditRow(record.seq, record.time, record.action, told(record)) for record in records)


def audit_view(tx: Transaction, check: ChainCheck, *, actor: str, entity: str, text: str, offset: int, limit: int) -> AuditView:
    """Show a window of the trail."""
    records, total = audit.window(tx, actor=actor, entity=entity, text=text, offset=offset, limit=limit)
    return AuditView(audit_rows(records), total, tuple(audit.entities(tx)), check.advance(tx))


def record_view(tx: Transaction, check: ChainCheck, seq: int) -> RecordView:
    """Show one record. Raises NotFound."""
    record = audit.get_record(tx, seq)
    state = check.advance(tx)
    return RecordView(record, told(record), seq <= state.good)


@needs(Action.READ_AUDIT, returns=AuditView)
async def get_audit(request: Request) -> Response:
    """Give a window of the trail: `actor`, `entity` and `text` filter it, `offset` and `limit` say which part."""
    filters = {name: text(request, name) for name in ("actor", "entity", "text")}
    page, check = page_of(request.query_params), _check(request)
    return await answers.view(request, lambda tx, _: audit_view(tx, check, **filters, offset=page.offset, limit=page.limit))


@needs(Action.READ_AUDIT, returns=RecordView)
async def get_record(request: Request) -> Response:
    """Give one record by its number."""
    seq, check = read_number(request.path_params["seq"], "record"), _check(request)
    return await answers.view(request, lambda tx, _: record_view(tx, check, seq))


def _check(request: Request) -> ChainCheck:
    """Return how far this process has checked the chain."""
    state = request.app.state
    if not hasattr(state, "chain"):
        state.chain = ChainCheck()
    found: ChainCheck = state.chain
    return found


routes = [
    Route("/api/view/audit", get_audit, methods=["GET"]),
    Route("/api/view/audit/{seq}", get_record, methods=["GET"]),
]
