"""Issues: what is wrong in more than one trace. A trace that shows one has an assessment that names it."""

from uuid import uuid4

import msgspec
import sqlalchemy as sa

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require, sees
from perenne.core.clock import SystemClock
from perenne.core.errors import Invalid, NotFound
from perenne.core.filters import parse_filter
from perenne.llm.pages import start_of, token_after
from perenne.llm.scope import open_experiment, projects_of, within_sight
from perenne.llm.tables import assessment, issue
from perenne.storage.attributes import Text
from perenne.storage.database import Transaction
from perenne.storage.filtering import KeyTable

__all__ = ["Issue", "UnknownIssue", "create", "get", "search", "update"]

STATUSES = ("pending", "rejected", "resolved")
SEVERITIES = ("not_an_issue", "low", "medium", "high")
MOST = 1_000
LONGEST = 10_000

KEYS = KeyTable(
    issue.c.id,
    attributes={"status": Text(issue.c.status), "source_run_id": Text(issue.c.source_run)},
    ties=((issue.c.created, False), (issue.c.id, False)),
)


class Issue(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is wrong again and again. Times in milliseconds; `traces` is how many show it, if that was asked."""

    id: str
    experiment: int
    name: str
    description: str
    status: str = "pending"
    severity: str | None = None
    root_causes: list[str] = []
    categories: list[str] = []
    source_run: str | None = None
    created_by: str | None = None
    created: int = 0
    updated: int = 0
    traces: int | None = None


_columns = [issue.c[name] for name in Issue.__struct_fields__ if name != "traces"]


class UnknownIssue(NotFound):
    """There is no such issue, or it may not be seen."""

    def __init__(self, identity: str) -> None:
        super().__init__(f"issue {identity[:100]!r} does not exist", code="issue.not_found")
        self.identity = identity


class Found(msgspec.Struct, frozen=True):
    """A page of issues, and the token of the next."""

    issues: list[Issue]
    token: str = ""


def create(tx: Transaction, actor: Principal, given: Issue) -> Issue:
    """Open an issue. Raises Invalid and what `open_experiment` raises."""
    _check(given)
    open_experiment(tx, actor, given.experiment, Action.COMMENT)
    now = SystemClock().now() // 1_000
    made = msgspec.structs.replace(given, id=f"iss-{uuid4().hex}", created=now, updated=now)
    tx.execute(issue.insert(), {name: getattr(made, name) for name in Issue.__struct_fields__ if name != "traces"})
    audit.record(tx, actor, "issue.create", "issue", made.id, after={"name": made.name})
    return made


def get(tx: Transaction, actor: Principal, identity: str) -> Issue:
    """Read an issue. Raises UnknownIssue."""
    row = tx.execute(sa.select(*_columns).where(issue.c.id == identity)).one_or_none()
    found = None if row is None else Issue(**row._mapping)
    if found is None or not sees(actor, _project(tx, found)):
        raise UnknownIssue(identity)
    return found


def update(
    tx: Transaction,
    actor: Principal,
    identity: str,
    *,
    status: str | None = None,
    severity: str | None = None,
    name: str | None = None,
    description: str | None = None,
) -> Issue:
    """Change an issue; what is None stays. Raises UnknownIssue, Invalid and Denied."""
    before = get(tx, actor, identity)
    require(actor, Action.COMMENT, _project(tx, before))
    told = {"status": status, "severity": severity, "name": name, "description": description}
    values = {key: value for key, value in told.items() if value is not None}
    after = msgspec.structs.replace(before, **values, updated=SystemClock().now() // 1_000)
    _check(after)
    tx.execute(issue.update().where(issue.c.id == identity).values(**values, updated=after.updated))
    audit.record(tx, actor, "issue.update", "issue", identity, before={key: getattr(before, key) for key in values}, after=values)
    return after


def search(
    tx: Transaction,
    actor: Principal,
    *,
    experiment: int | None = None,
    text: str = "",
    limit: int = 100,
    token: str = "",
    counting: bool = False,
) -> Found:
    """Find issues: the severest first, then those that most traces show if that is counted, then the newest.

    Parameters
    ----------
    text : str
        A filter over `status` and `source_run_id`.
    """
    if not 1 <= limit <= MOST:
        raise Invalid(f"max_results is {limit}", code="issue.limit", hint=f"1 to {MOST}")
    where = KEYS.conjuncts(parse_filter(text), {})
    if experiment is not None:
        open_experiment(tx, actor, experiment, Action.READ)
        where.append(issue.c.experiment == experiment)
    where += within_sight(tx, actor, issue.c.experiment)
    start, shown = start_of(token, f"issues:{text}"), _shown()
    order = [_rank().desc(), *([shown.desc()] if counting else []), issue.c.created.desc(), issue.c.id.desc()]
    query = sa.select(*_columns, *([shown.label("traces")] if counting else [])).where(*where).order_by(*order)
    found = [Issue(**row._mapping) for row in tx.execute(query.offset(start).limit(limit + 1))]
    return Found(found[:limit], token_after(len(found) > limit, start + limit, f"issues:{text}"))


def _shown() -> "sa.ScalarSelect[int]":
    """Count the traces that show an issue."""
    traces = sa.func.count(sa.distinct(assessment.c.trace))
    return sa.select(traces).where(assessment.c.kind == "issue", assessment.c.name == issue.c.id).scalar_subquery()


def _rank() -> "sa.ColumnElement[int]":
    return sa.case({name: number for number, name in enumerate(SEVERITIES)}, value=issue.c.severity, else_=-1)


def _project(tx: Transaction, found: Issue) -> str:
    return projects_of(tx, [found.experiment]).get(found.experiment, "")


def _check(given: Issue) -> None:
    for name, value, known in (("status", given.status, STATUSES), ("severity", given.severity, SEVERITIES)):
        if value is not None and value not in known:
            raise Invalid(f"{name} is {value[:60]!r}", code=f"issue.{name}", hint=f"one of {', '.join(known)}")
    for name in ("name", "description"):
        value = getattr(given, name)
        if not 0 < len(value) <= LONGEST:
            raise Invalid(f"the issue's {name} has {len(value)} characters", code=f"issue.{name}", hint=f"1 to {LONGEST}")
