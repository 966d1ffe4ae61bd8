"""All tables of monitoring, and the SQL of watches, windows and verdicts; that of alerts and labels lies beside it."""

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from perenne.core.clock import HOUR
from perenne.monitoring.model import (
    CHAMPION,
    AlertState,
    Cause,
    Outcome,
    Severity,
    Stream,
    Watch,
    Window,
    WindowKey,
    WindowState,
    WindowVerdict,
)
from perenne.monitoring.rightness import Labelled
from perenne.monitoring.silencing import Matcher
from perenne.projects import Guardrail, Monitoring, Objective
from perenne.stats.fairness import GroupCounts
from perenne.storage.database import JsonColumn, Transaction, metadata, read_struct
from perenne.storage.names import chosen, table_of
from perenne.storage.schema import only_where

watch = sa.Table(
    "monitor_watch",
    metadata,
    sa.Column("deployment", sa.Text, primary_key=True),
    sa.Column("version", sa.Text, primary_key=True),
    sa.Column("project", sa.Text, nullable=False),
    sa.Column("reference", sa.Text, nullable=False),
    sa.Column("window_length", sa.BigInteger, nullable=False),
    sa.Column("objectives", JsonColumn(tuple[Objective, ...]), nullable=False),
    sa.Column("guardrails", JsonColumn(tuple[Guardrail, ...]), nullable=False),
    sa.Column("confirm", sa.Integer, nullable=False),
    sa.Column("clear", sa.Integer, nullable=False),
    sa.Column("since", sa.BigInteger, nullable=False),
    sa.Column("plan", JsonColumn(Monitoring), nullable=False, server_default="{}"),
    sa.Index(None, "version"),
)


def columns_of_windows() -> list[sa.Column[Any]]:
    """Return the columns of a table of windows: those that are judged, and the parts that are only drawn."""
    return [
        sa.Column("deployment", sa.Text, primary_key=True),
        sa.Column("variant", sa.Text, primary_key=True),
        sa.Column("version", sa.Text, primary_key=True),
        sa.Column("window_start", sa.BigInteger, primary_key=True),
        sa.Column("window_length", sa.BigInteger, primary_key=True),
        sa.Column("reference", sa.Text, nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("dropped", sa.BigInteger, nullable=False),
        sa.Column("errors", sa.BigInteger, nullable=False),
        sa.Column("first", sa.BigInteger, nullable=False),
        sa.Column("last", sa.BigInteger, nullable=False),
        sa.Column("latency", JsonColumn(tuple[int, ...]), nullable=False),
        sa.Column("agreed", sa.BigInteger, nullable=False),
        sa.Column("compared", sa.BigInteger, nullable=False),
        sa.Column("profile", sa.LargeBinary, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("judged", sa.Integer, nullable=False, server_default="0"),
        sa.Column("bare", sa.Integer, nullable=False, server_default="0"),
        sa.Column("segments", sa.LargeBinary),
        sa.Column("columns", JsonColumn(tuple[str, ...]), nullable=False, server_default="[]"),
    ]


window = sa.Table(
    "monitor_window",
    metadata,
    *columns_of_windows(),
    sa.Index("ix_monitor_window_due", "window_start", **only_where("revision > judged")),
)

post = sa.Table(
    "monitor_post",
    metadata,
    sa.Column("observer", sa.Text, primary_key=True),
    sa.Column("boot", sa.Text, primary_key=True),
    sa.Column("sequence", sa.BigInteger, primary_key=True),
    sa.Column("collected", sa.BigInteger, nullable=False, index=True),
)

verdict = sa.Table(
    "monitor_verdict",
    metadata,
    sa.Column("deployment", sa.Text, primary_key=True),
    sa.Column("variant", sa.Text, primary_key=True),
    sa.Column("version", sa.Text, primary_key=True),
    sa.Column("window_start", sa.BigInteger, primary_key=True),
    sa.Column("window_length", sa.BigInteger, primary_key=True),
    sa.Column("span_start", sa.BigInteger, nullable=False),
    sa.Column("state", JsonColumn(WindowState), nullable=False),
    sa.Column("body", JsonColumn(WindowVerdict), nullable=False),
    sa.Index("ix_monitor_verdict_newest", "deployment", "variant", "window_start", "version", "state"),
)

label_batch = sa.Table(
    "monitor_label_batch",
    metadata,
    sa.Column("digest", sa.Text, primary_key=True),
    sa.Column("sequence", sa.Integer, nullable=False, unique=True),
    sa.Column("rows", sa.Integer, nullable=False),
    sa.Column("received", sa.BigInteger, nullable=False),
    sa.Column("received_by", sa.Text, nullable=False),
    sa.Column("waiting", sa.Text),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("due", sa.BigInteger, nullable=False),
    sa.Column("joined", sa.Integer, nullable=False),
    sa.Column("orphans", sa.Integer, nullable=False),
    sa.Index("ix_monitor_label_batch_waiting", "sequence", "due", **only_where("waiting IS NOT NULL")),
)

window_labels = sa.Table(
    "monitor_window_labels",
    metadata,
    sa.Column("deployment", sa.Text, primary_key=True),
    sa.Column("variant", sa.Text, primary_key=True),
    sa.Column("version", sa.Text, primary_key=True),
    sa.Column("window_start", sa.BigInteger, primary_key=True),
    sa.Column("window_length", sa.BigInteger, primary_key=True),
    sa.Column("labels", sa.Text, nullable=False),
    sa.Column("rows", sa.Integer, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("measured", sa.Integer, nullable=False, server_default="0"),
    sa.Column("found", JsonColumn(Labelled)),
    sa.Index("ix_monitor_window_labels_object", "labels"),
    sa.Index("ix_monitor_window_labels_due", "window_start", **only_where("revision > measured")),
)

metric = sa.Table(
    "monitor_metric",
    metadata,
    sa.Column("deployment", sa.Text, primary_key=True),
    sa.Column("variant", sa.Text, primary_key=True),
    sa.Column("version", sa.Text, primary_key=True),
    sa.Column("window_start", sa.BigInteger, primary_key=True),
    sa.Column("window_length", sa.BigInteger, primary_key=True),
    sa.Column("metric", sa.Text, primary_key=True),
    sa.Column("by", sa.Text, primary_key=True),
    sa.Column("group", sa.Text, primary_key=True),
    sa.Column("n_labelled", sa.Integer, nullable=False),
    sa.Column("rows_labelled", sa.Integer, nullable=False),
    sa.Column("watermark", sa.BigInteger, nullable=False),
    sa.Column("value", sa.Float),
    sa.Column("low", sa.Float),
    sa.Column("high", sa.Float),
)

groups = sa.Table(
    "monitor_groups",
    metadata,
    sa.Column("deployment", sa.Text, primary_key=True),
    sa.Column("variant", sa.Text, primary_key=True),
    sa.Column("version", sa.Text, primary_key=True),
    sa.Column("window_start", sa.BigInteger, primary_key=True),
    sa.Column("window_length", sa.BigInteger, primary_key=True),
    sa.Column("by", sa.Text, primary_key=True),
    sa.Column("counts", JsonColumn(tuple[GroupCounts, ...]), nullable=False),
)

log_part = sa.Table(
    "monitor_log_part",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("counted", sa.BigInteger, nullable=False, index=True),
)

alert = sa.Table(
    "alert",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("deployment", sa.Text, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("rule", sa.Text, nullable=False),
    sa.Column("state", JsonColumn(AlertState), nullable=False),
    sa.Column("severity", JsonColumn(Severity), nullable=False),
    sa.Column("since", sa.BigInteger, nullable=False),
    sa.Column("latest", sa.BigInteger, nullable=False),
    sa.Column("summary", sa.Text, nullable=False),
    sa.Column("causes", JsonColumn(tuple[Cause, ...]), nullable=False),
    sa.Column("opened", sa.BigInteger, nullable=False),
    sa.Column("fired", sa.BigInteger),
    sa.Column("ended", sa.BigInteger),
    sa.Column("sent", sa.BigInteger),
    sa.Column("acknowledged_by", sa.Text, nullable=False),
    sa.Column("project", sa.Text, nullable=False, server_default=sa.text("''")),
    sa.Column("source", sa.Text, nullable=False, server_default=sa.text("''")),
    sa.Column("parent", sa.Text, nullable=False, server_default=sa.text("''")),
    sa.Column("channels", JsonColumn(tuple[str, ...]), nullable=False, server_default="[]"),
    sa.Column("told", JsonColumn(tuple[str, ...]), nullable=False, server_default="[]"),
    sa.Index("ix_alert_parent", "parent", **only_where("parent <> ''")),
    sa.Index("ix_alert_source", "source", **only_where("ended IS NULL AND source <> ''")),
    sa.Index("ix_alert_open", "id", **only_where("ended IS NULL")),
    sa.Index("ix_alert_deployment", "deployment", "version", "rule"),
    sa.Index("uq_alert_open", "deployment", "version", "rule", unique=True, **only_where("ended IS NULL")),
)

outcome = sa.Table(
    "alert_outcome",
    metadata,
    sa.Column("deployment", sa.Text, primary_key=True),
    sa.Column("version", sa.Text, primary_key=True),
    sa.Column("rule", sa.Text, primary_key=True),
    sa.Column("window_start", sa.BigInteger, primary_key=True),
    sa.Column("window_length", sa.BigInteger, primary_key=True),
    sa.Column("outcome", JsonColumn(Outcome), nullable=False),
)

silence = sa.Table(
    "alert_silence",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("deployment", sa.Text, nullable=False),
    sa.Column("rule", sa.Text, nullable=False),
    sa.Column("until", sa.BigInteger, nullable=False),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("matchers", JsonColumn(tuple[Matcher, ...]), nullable=False, server_default="[]"),
    sa.Column("ended_by", sa.Text, nullable=False, server_default=sa.text("''")),
)

_KEY = ("deployment", "variant", "version", "window_start", "window_length")
_watch_columns = [watch.c[name] for name in Watch.__struct_fields__]


def values_of(struct: Any) -> dict[str, Any]:
    """Return a Struct's fields as a row."""
    return {name: getattr(struct, name) for name in struct.__struct_fields__}


def read_named(kind: Any, row: "sa.Row[Any]") -> Any:
    """Make a keyword-only Struct of a row whose columns are called like its fields."""
    return kind(**row._mapping)


def save_watch(tx: Transaction, row: Watch) -> None:
    """Insert a watch, or replace it."""
    where = (watch.c.deployment == row.deployment, watch.c.version == row.version)
    if tx.execute(watch.update().where(*where).values(**values_of(row))).rowcount == 0:
        tx.execute(watch.insert(), values_of(row))


def find_watch(tx: Transaction, deployment: str, version: str) -> Watch | None:
    """Read the watch of a deployment's version."""
    query = sa.select(*_watch_columns).where(watch.c.deployment == deployment, watch.c.version == version)
    row = tx.execute(query).one_or_none()
    return None if row is None else read_named(Watch, row)


def list_watches(tx: Transaction, deployment: str | None = None) -> list[Watch]:
    """Read the watches, of one deployment or of all, newest first."""
    query = sa.select(*_watch_columns).order_by(watch.c.deployment, watch.c.since.desc(), watch.c.version)
    if deployment is not None:
        query = query.where(watch.c.deployment == deployment)
    return [read_named(Watch, row) for row in tx.execute(query)]


def watches_of(tx: Transaction, versions: Iterable[str]) -> list[Watch]:
    """Read the watches of some versions."""
    query = sa.select(*_watch_columns).where(watch.c.version.in_(chosen(versions))).order_by(watch.c.deployment, watch.c.version)
    return [read_named(Watch, row) for row in tx.execute(query)]


def watched_deployments(tx: Transaction, after: str, limit: int | None) -> list[str]:
    """Return the names of watched deployments that follow one, in order."""
    query = sa.select(watch.c.deployment).where(watch.c.deployment > after).group_by(watch.c.deployment)
    return [row.deployment for row in tx.execute(query.order_by(watch.c.deployment).limit(limit))]


def watched_among(tx: Transaction, deployments: Iterable[str]) -> list[str]:
    """Return which deployments are watched, by name."""
    query = sa.select(watch.c.deployment).where(watch.c.deployment.in_(chosen(deployments))).distinct()
    return [row.deployment for row in tx.execute(query.order_by(watch.c.deployment))]


def watched_projects(tx: Transaction, deployments: Iterable[str] | None = None) -> dict[str, str]:
    """Return the project of each watched deployment, or of some of them."""
    query = sa.select(watch.c.deployment, watch.c.project).distinct()
    if deployments is not None:
        query = query.where(watch.c.deployment.in_(chosen(deployments)))
    return {row.deployment: row.project for row in tx.execute(query)}


def newest_states(tx: Transaction) -> dict[str, WindowState | None]:
    """Read for every watched deployment the state of its champion's newest window: from an index, no verdict is touched."""
    names = sa.select(watch.c.deployment).group_by(watch.c.deployment).subquery()
    query = sa.select(names.c.deployment, _newest(verdict.c.state, names.c.deployment).label("state"))
    return {row.deployment: row.state for row in tx.execute(query)}


def newest_ends(tx: Transaction) -> dict[str, tuple[int, int]]:
    """Read for every watched deployment when its champion's newest judged window with rows ended, and how long it was."""
    names = sa.select(watch.c.deployment).group_by(watch.c.deployment).subquery()
    filled = verdict.c.state != WindowState.NO_DATA
    start, length = (_newest(verdict.c[name], names.c.deployment, filled) for name in ("window_start", "window_length"))
    rows = tx.execute(sa.select(names.c.deployment, start.label("start"), length.label("length")))
    return {row.deployment: (row.start + row.length, row.length) for row in rows if row.start is not None}


def watches_in(tx: Transaction, deployments: Iterable[str]) -> list[Watch]:
    """Read the watches of some deployments, the newest of each first."""
    query = sa.select(*_watch_columns).where(watch.c.deployment.in_(chosen(deployments)))
    order = (watch.c.deployment, watch.c.since.desc(), watch.c.version)
    return [read_named(Watch, row) for row in tx.execute(query.order_by(*order))]


def newest_verdicts(tx: Transaction, deployments: Iterable[str]) -> dict[str, WindowVerdict]:
    """Read the verdicts on the newest window of some deployments' champions."""
    names = table_of(deployments)
    rows = tx.execute(sa.select(names.c.value, _newest(verdict.c.body, names.c.value).label("body")))
    return {row.value: row.body for row in rows if row.body is not None}


def _newest(
    column: "sa.Column[Any]", deployment: "sa.ColumnElement[str]", *more: "sa.ColumnElement[bool]"
) -> "sa.ScalarSelect[Any]":
    """Return a column of the verdict on the newest window of a deployment's champion, of those that meet more conditions."""
    where = (verdict.c.deployment == deployment, verdict.c.variant == CHAMPION, *more)
    order = (verdict.c.window_start.desc(), verdict.c.version.desc())
    return sa.select(column).where(*where).order_by(*order).limit(1).scalar_subquery()


def new_posts(tx: Transaction, keys: Sequence[tuple[str, str, int]], now: int) -> set[tuple[str, str, int]]:
    """Remember posts by (observer, boot, sequence) and return those that were not known."""
    fresh = set(keys)
    columns = (post.c.observer, post.c.boot, post.c.sequence)
    for boot in {key[1] for key in keys}:
        sequences = [key[2] for key in keys if key[1] == boot]
        fresh -= {
            tuple(row) for row in tx.execute(sa.select(*columns).where(post.c.boot == boot, post.c.sequence.in_(sequences)))
        }
    if fresh:
        rows = [{"observer": key[0], "boot": key[1], "sequence": key[2], "collected": now} for key in sorted(fresh)]
        tx.execute(post.insert(), rows)
    return fresh


def forget_posts(tx: Transaction, before: int) -> None:
    """Forget posts collected before an instant."""
    tx.execute(post.delete().where(post.c.collected < before))


def find_window(tx: Transaction, key: WindowKey, table: sa.Table = window) -> Window | None:
    """Read a window, from a table of such."""
    row = tx.execute(sa.select(*window_columns(table)).where(*is_window(table, key))).one_or_none()
    return None if row is None else read_named(Window, row)


def save_window(tx: Transaction, row: Window, table: sa.Table = window) -> None:
    """Insert a window, or replace what was known of it."""
    if tx.execute(table.update().where(*is_window(table, row.key)).values(**values_of(row))).rowcount == 0:
        tx.execute(table.insert(), values_of(row))


def window_columns(table: sa.Table) -> "list[sa.Column[Any]]":
    """Return the columns of a table of windows that `Window` has."""
    return [table.c[name] for name in Window.__struct_fields__]


def windows_between(tx: Transaction, key: WindowKey, start: int) -> list[Window]:
    """Read the windows of the same stream and length from an instant up to a window, itself included, oldest first."""
    where = (
        *of_stream(window, key.stream),
        as_long(window, key.length),
        window.c.window_start >= start,
        window.c.window_start <= key.start,
    )
    return [
        read_named(Window, row)
        for row in tx.execute(sa.select(*window_columns(window)).where(*where).order_by(window.c.window_start))
    ]


def due_windows(tx: Transaction, now: int, deployments: Iterable[str] | None = None) -> list[WindowKey]:
    """Return the windows that have ended and changed since they were judged, oldest first, of some deployments or of all."""
    where = [window.c.revision > window.c.judged, window.c.window_start + window.c.window_length <= now]
    if deployments is not None:
        where.append(window.c.deployment.in_(chosen(deployments)))
    query = sa.select(*_key_columns(window)).where(*where).order_by(window.c.window_start, *_key_columns(window))
    return [key_of(row) for row in tx.execute(query)]


def mark_judged(tx: Transaction, key: WindowKey, revision: int) -> bool:
    """Note that a window was judged as of a revision; False if it has another one by now."""
    here = (*is_window(window, key), window.c.revision == revision)
    return tx.execute(window.update().where(*here).values(judged=revision)).rowcount == 1


def spans_over(tx: Transaction, key: WindowKey) -> list[WindowKey]:
    """Return the later windows into whose judgement this one was merged."""
    where = (
        *of_stream(verdict, key.stream),
        as_long(verdict, key.length),
        verdict.c.span_start <= key.start,
        verdict.c.window_start > key.start,
    )
    return [key_of(row) for row in tx.execute(sa.select(*_key_columns(verdict)).where(*where))]


def save_verdict(tx: Transaction, row: WindowVerdict) -> None:
    """Insert a verdict, or replace it."""
    values = {name: getattr(row, name) for name in (*_KEY, "span_start", "state")} | {"body": row}
    if tx.execute(verdict.update().where(*is_window(verdict, row.key)).values(**values)).rowcount == 0:
        tx.execute(verdict.insert(), values)


def find_verdict(tx: Transaction, key: WindowKey) -> WindowVerdict | None:
    """Read the verdict on a window."""
    found: WindowVerdict | None = tx.scalar(sa.select(verdict.c.body).where(*is_window(verdict, key)))
    return found


def recent_verdicts(tx: Transaction, stream: Stream, limit: int, *, until: int | None = None) -> list[WindowVerdict]:
    """Read the verdicts on a stream's windows, newest first; only those that start at or before an instant, if given."""
    query = sa.select(verdict.c.body).where(*of_stream(verdict, stream)).order_by(verdict.c.window_start.desc()).limit(limit)
    if until is not None:
        query = query.where(verdict.c.window_start <= until)
    return [row.body for row in tx.execute(query)]


def streams(tx: Transaction, deployment: str) -> list[Stream]:
    """Return the streams of a deployment that have windows."""
    columns = (window.c.deployment, window.c.variant, window.c.version)
    query = sa.select(*columns).where(window.c.deployment == deployment).distinct().order_by(*columns)
    return [read_struct(Stream, row) for row in tx.execute(query)]


def of_stream(table: sa.Table, stream: Stream) -> "tuple[sa.ColumnElement[bool], ...]":
    """Return the conditions under which a row of a table is of a stream."""
    return table.c.deployment == stream.deployment, table.c.variant == stream.variant, table.c.version == stream.version


def is_window(table: sa.Table, key: WindowKey) -> "tuple[sa.ColumnElement[bool], ...]":
    """Return the conditions under which a row of a table is about a window."""
    return *of_stream(table, key.stream), table.c.window_start == key.start, table.c.window_length == key.length


def as_long(table: sa.Table, length: int) -> "sa.ColumnElement[bool]":
    """Return the condition under which a window is as long as another; days and weeks differ where the clocks are changed."""
    slack = 2 * HOUR if length > 20 * HOUR else 0
    column: sa.ColumnElement[int] = table.c.window_length
    return column.between(length - slack, length + slack) if slack else column == length


def _key_columns(table: sa.Table) -> "tuple[sa.Column[Any], ...]":
    return tuple(table.c[name] for name in _KEY)


def key_of(row: "sa.Row[Any]") -> WindowKey:
    """Return which window a row of key columns is about."""
    return WindowKey(Stream(row.deployment, row.variant, row.version), row.window_start, row.window_length)
