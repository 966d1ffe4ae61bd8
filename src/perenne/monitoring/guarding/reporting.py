"""What is reported of answers later: outcomes and decisions of people by prediction, and aggregates; each counts once."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from perenne import serving
from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require
from perenne.core import json
from perenne.core.clock import format_time, parse_time
from perenne.core.errors import Invalid
from perenne.core.hashing import digest_bytes
from perenne.monitoring.guards import store as guard_store
from perenne.monitoring.guards.model import OVERRIDES, Reported, declared, kind_of
from perenne.monitoring.guards.store import OutcomeBatch
from perenne.monitoring.labels import Receipt, label_text, write_labels
from perenne.monitoring.watched import watches_of
from perenne.projects import DECISION, Monitoring, OutcomeKind
from perenne.storage.database import Transaction
from perenne.storage.workspace import Workspace

if TYPE_CHECKING:
    import pyarrow as pa

Value: TypeAlias = float | int | bool | str
MAX_ID = 200
COLUMNS = ("prediction_id", "outcome", "value")


class OutcomeRow(msgspec.Struct, frozen=True):
    """What became of one answer; `outcome` is a declared name, or `decision`, whose value is what a person answered instead.

    `time` is when it became known, as microseconds or ISO 8601; of several for one prediction the latest counts.
    """

    prediction_id: str
    outcome: str
    value: Value
    time: int | str | None = None


class MetricRow(msgspec.Struct, frozen=True):
    """The mean of an outcome over the `n` answers of a stretch of time, that others have computed.

    `deviation` is the standard deviation of the values, without which an amount has no interval; `by` and `group` name a slice.
    """

    name: str
    value: float
    n: int
    start: int | str = msgspec.field(name="from")
    end: int | str = msgspec.field(name="to")
    by: str = ""
    group: str = ""
    deviation: float | None = None


def submit_outcomes(workspace: Workspace, actor: Principal, deployment: str, rows: "Sequence[OutcomeRow] | pa.Table") -> Receipt:
    """Keep outcomes of a deployment's answers: check them, store them as one object, and queue it to be joined.

    Raises
    ------
    PerenneError
        If nothing of that name is watched, or a row is malformed; the message names it and nothing is kept.
    """
    now = workspace.clock.now()
    with workspace.database.read() as tx:
        plan, project = plan_of(tx, deployment)
    require(actor, Action.COMMENT, project)
    table = outcome_table(rows, plan, now)
    data = write_labels(table.replace_schema_metadata({"deployment": deployment}))
    digest = workspace.objects.put(data)
    return workspace.database.write(lambda tx: _accept(tx, actor, deployment, digest, table.num_rows, now))


def _accept(tx: Transaction, actor: Principal, deployment: str, digest: str, rows: int, now: int) -> Receipt:
    if guard_store.find_batch(tx, digest) is not None:
        return Receipt(digest, rows, repeated=True)
    row = OutcomeBatch(
        digest=digest,
        deployment=deployment,
        sequence=guard_store.next_sequence(tx),
        rows=rows,
        received=now,
        received_by=actor.name,
        waiting=digest,
    )
    guard_store.save_batch(tx, row)
    audit.record(tx, actor, "outcomes.accept", "deployment", deployment, after={"batch": digest, "rows": rows})
    return Receipt(digest, rows, repeated=False)


def submit_metrics(workspace: Workspace, actor: Principal, deployment: str, rows: Sequence[MetricRow]) -> Receipt:
    """Keep aggregates; those that are known already change nothing.

    Raises
    ------
    PerenneError
        If nothing of that name is watched, or a row is malformed; the message names it and nothing is kept.
    """
    now = workspace.clock.now()
    with workspace.database.read() as tx:
        plan, project = plan_of(tx, deployment)
    require(actor, Action.COMMENT, project)
    if not rows:
        raise _bad(0, "there are none", "metrics.empty", "metrics")
    checked = [_reported(row, number, plan, deployment, actor, now) for number, row in enumerate(rows, 1)]
    batch = digest_bytes("".join(sorted(row.digest for row in checked)).encode())

    def keep(tx: Transaction) -> int:
        fresh = guard_store.new_reported(tx, checked)
        if fresh:
            audit.record(tx, actor, "metrics.accept", "deployment", deployment, after={"batch": batch, "rows": len(fresh)})
        return len(fresh)

    return Receipt(batch, len(rows), repeated=not workspace.database.write(keep))


def take_decisions(workspace: Workspace) -> int:
    """Take in what people decided in the place of a stopped model, as decisions beside its answers; return how many."""
    with workspace.database.read() as tx:
        decided = serving.service.queue.untold(tx, 1_000)
    for ticket in decided:
        rows = [
            OutcomeRow(f"{ticket.id}-{place}", DECISION, answer, ticket.decided)
            for place, answer in enumerate(ticket.answer or ())
        ]
        if rows and ticket.suggested is not None:
            by = Principal(ticket.decided_by, roles=frozenset())
            table = outcome_table(rows, Monitoring(), ticket.decided or 0)
            digest = workspace.objects.put(write_labels(table.replace_schema_metadata({"deployment": ticket.deployment})))
        else:
            by, digest = Principal(ticket.decided_by), ""

        def keep(tx: Transaction, ticket: Any = ticket, by: Principal = by, digest: str = digest, rows: Any = rows) -> None:
            if digest:
                _accept(tx, by, ticket.deployment, digest, len(rows), ticket.decided)
            serving.service.queue.mark_told(tx, ticket.id)

        workspace.database.write(keep)
    return len(decided)


def plan_of(tx: Transaction, deployment: str) -> tuple[Monitoring, str]:
    """Return what the project of a watched deployment says of outcomes, and its name. Raises NotFound."""
    watch = watches_of(tx, deployment)[0]
    return watch.plan, watch.project


def outcome_table(rows: "Sequence[OutcomeRow] | pa.Table", plan: Monitoring, now: int) -> "pa.Table":
    """Check outcomes and return them as `prediction_id`, `outcome`, `value` (number), `decision` (text) and `time`.

    Raises
    ------
    Invalid
        If there are none, a column is missing, or a row has no id, an outcome that is not declared, a value that cannot be one of
        it, or a time after `now`; rows count from 1.
    """
    import pyarrow as pa

    given = list(rows) if isinstance(rows, Sequence) else _from_table(rows)
    if not given:
        raise _bad(0, "there are none", "outcomes.empty")
    checked = [_checked(row, number, plan, now) for number, row in enumerate(given, 1)]
    ids, names, values, decisions, times = zip(*checked, strict=True)
    return pa.table(
        {
            "prediction_id": pa.array(ids, pa.string()),
            "outcome": pa.array(names, pa.string()),
            "value": pa.array(values, pa.float64()),
            "decision": pa.array(decisions, pa.string()),
            "time": pa.array(times, pa.int64()),
        }
    )


def _from_table(table: "pa.Table") -> list[OutcomeRow]:
    for name in COLUMNS:
        if name not in table.column_names:
            raise Invalid(
                f"outcomes have no column {name!r}",
                code="outcomes.column",
                hint="columns are prediction_id, outcome, value and, if known, time",
            )
    times: list[Any] = table["time"].to_pylist() if "time" in table.column_names else [None] * table.num_rows
    columns = [table[name].to_pylist() for name in COLUMNS]
    shown = [time.isoformat() + "Z" if hasattr(time, "isoformat") else time for time in times]
    return [OutcomeRow(str(row[0] or ""), str(row[1] or ""), *row[2:]) for row in zip(*columns, shown, strict=True)]


def _checked(row: OutcomeRow, number: int, plan: Monitoring, now: int) -> tuple[str, str, float | None, str | None, int | None]:
    if not 0 < len(row.prediction_id) <= MAX_ID:
        raise _bad(number, "prediction_id is missing or too long", "outcomes.prediction_id")
    time = None if row.time is None else _instant(row.time, number, now)
    if row.outcome == DECISION:
        text = None if row.value is None else label_text(row.value)
        if text is None:
            raise _bad(number, "the decision is missing or not finite", "outcomes.value")
        return row.prediction_id, DECISION, None, text, time
    outcome = declared(plan, row.outcome)
    value = _number(row.value)
    if value is None or not outcome.takes(value):
        raise _bad(number, f"{str(row.value)[:40]!r} is no value of {outcome.name}, a {outcome.kind.value}", "outcomes.value")
    return row.prediction_id, outcome.name, value, None, time


def _reported(row: MetricRow, number: int, plan: Monitoring, deployment: str, actor: Principal, now: int) -> Reported:
    kind = kind_of(plan, row.name)
    start, end = (_instant(value, number, now, "metrics") for value in (row.start, row.end))
    wrong = (
        "value is not finite" if not math.isfinite(row.value)
        else "n is below 1" if row.n < 1
        else "it ends before it begins" if end <= start
        else "a rate lies from 0 to 1" if kind is OutcomeKind.RATE and not 0 <= row.value <= 1
        else "deviation is below 0" if row.deviation is not None and not row.deviation >= 0
        else "group without by" if row.group and not row.by
        else ""
    )  # fmt: skip
    if wrong:
        raise _bad(number, wrong, "metrics.value", "metrics")
    name = OVERRIDES if row.name == DECISION else row.name
    content = (deployment, name, row.by, row.group, start, end, row.n, row.value, row.deviation)
    return Reported(
        digest=digest_bytes(json.encode(content)),
        deployment=deployment,
        name=name,
        by=row.by,
        group=row.group,
        start=start,
        end=end,
        n=row.n,
        value=row.value,
        deviation=row.deviation,
        received=now,
        received_by=actor.name,
    )


def _number(value: Any) -> float | None:
    try:
        number = float({"true": "1", "false": "0"}.get(value.lower(), value) if isinstance(value, str) else value)
    except (ValueError, TypeError):
        return None
    return number if math.isfinite(number) else None


def _instant(value: int | str, number: int, now: int, what: str = "outcomes") -> int:
    try:
        time = parse_time(value) if isinstance(value, str) else int(value)
    except (Invalid, ValueError, TypeError, OverflowError):
        time = -1
    if time < 0:
        raise _bad(number, f"time {str(value)[:50]!r} is not an instant since 1970", f"{what}.time", what)
    if time > now:
        raise _bad(number, f"time {str(value)[:50]!r} is in the future; it is {format_time(now)}", f"{what}.future", what)
    return time


def _bad(number: int, problem: str, code: str, what: str = "outcomes") -> Invalid:
    where = f"{what}, row {number}" if number else what
    return Invalid(f"{where}: {problem}", code=code, hint="nothing of this batch was kept; mend it and send it again")
