"""The tables of channels, of what was told, and of comments; and the questions that only telling asks of alerts."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from perenne.monitoring.alerting.model import Channel, Comment, Options, Told, ToldState
from perenne.monitoring.model import Alert, AlertState
from perenne.monitoring.silencing import Silence
from perenne.monitoring.store import alert, read_named, silence, values_of
from perenne.storage.database import JsonColumn, Transaction, metadata, read_struct
from perenne.storage.links import Kind, add_link
from perenne.storage.names import chosen

channel = sa.Table(
    "alert_channel",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("target", sa.Text, nullable=False),
    sa.Column("sealed", sa.Text, nullable=False),
    sa.Column("options", JsonColumn(Options), nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("digested", sa.BigInteger, nullable=False),
)

told = sa.Table(
    "alert_told",
    metadata,
    sa.Column("alert", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("channel", sa.Text, primary_key=True),
    sa.Column("what", sa.Text, nullable=False),
    sa.Column("queued", sa.BigInteger, nullable=False),
    sa.Column("state", JsonColumn(ToldState), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("changed", sa.BigInteger, nullable=False),
    sa.Column("error", sa.Text, nullable=False),
    sa.Index("ix_alert_told_message", "key", "channel"),
)

comment = sa.Table(
    "alert_comment",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("alert", sa.Text, nullable=False, index=True),
    sa.Column("author", sa.Text, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
)

_channel = [channel.c[name] for name in Channel.__struct_fields__]
_told = [told.c[name] for name in Told.__struct_fields__]
_comment = [comment.c[name] for name in Comment.__struct_fields__]
_alert = [alert.c[name] for name in Alert.__struct_fields__]
_silence = [silence.c[name] for name in Silence.__struct_fields__]
_OPEN = (alert.c.ended.is_(None), alert.c.fired.is_not(None))


def channels(tx: Transaction) -> list[Channel]:
    """Read the channels, by name."""
    return [read_named(Channel, row) for row in tx.execute(sa.select(*_channel).order_by(channel.c.name))]


def find_channel(tx: Transaction, name: str) -> Channel | None:
    """Read a channel."""
    row = tx.execute(sa.select(*_channel).where(channel.c.name == name)).one_or_none()
    return None if row is None else read_named(Channel, row)


def sealed_of(tx: Transaction, name: str) -> str | None:
    """Read where a channel leads, sealed."""
    found: str | None = tx.scalar(sa.select(channel.c.sealed).where(channel.c.name == name))
    return found


def insert_channel(tx: Transaction, row: Channel, sealed: str) -> None:
    """Add a channel."""
    tx.execute(channel.insert(), values_of(row) | {"sealed": sealed})


def update_channel(tx: Transaction, name: str, **values: Any) -> None:
    """Change columns of a channel."""
    tx.execute(channel.update().where(channel.c.name == name).values(**values))


def delete_channel(tx: Transaction, name: str) -> None:
    """Remove a channel; what it was told stays."""
    tx.execute(channel.delete().where(channel.c.name == name))


def add_told(tx: Transaction, rows: Iterable[Told]) -> list[Told]:
    """Keep who is to be told, and return those of whom it was not known."""
    added = []
    for row in rows:
        where = (told.c.alert == row.alert, told.c.key == row.key, told.c.channel == row.channel)
        if tx.scalar(sa.select(sa.literal(1)).where(*where)) is None:
            tx.execute(told.insert(), values_of(row))
            added.append(row)
    return added


def mark_told(tx: Transaction, key: str, name: str, **values: Any) -> None:
    """Note what became of a message on a channel."""
    tx.execute(told.update().where(told.c.key == key, told.c.channel == name).values(**values))


def told_of(tx: Transaction, alerts: Iterable[str]) -> dict[str, list[Told]]:
    """Read what was told of some alerts, oldest first."""
    life = sa.case({"firing": 0, "continues": 1, "escalated": 2}, value=told.c.what, else_=3)
    query = sa.select(*_told).where(told.c.alert.in_(chosen(alerts))).order_by(told.c.queued, life, told.c.channel)
    found: dict[str, list[Told]] = {}
    for row in tx.execute(query):
        found.setdefault(row.alert, []).append(read_named(Told, row))
    return found


def unanswered(tx: Transaction, name: str, before: int) -> list[str]:
    """Name the firing alerts that a channel was told of before an instant and that nobody has acknowledged."""
    query = sa.select(told.c.alert).join(alert, alert.c.id == told.c.alert).distinct()
    where = (told.c.channel == name, told.c.state == ToldState.DELIVERED, told.c.changed <= before)
    sayings = told.c.what.in_(("firing", "continues", "escalated"))
    return [row.alert for row in tx.execute(query.where(*where, sayings, *_OPEN, alert.c.acknowledged_by == ""))]


def add_comment(tx: Transaction, row: Comment) -> None:
    """Add a comment."""
    tx.execute(comment.insert(), values_of(row))


def comments_of(tx: Transaction, alerts: Iterable[str]) -> dict[str, list[Comment]]:
    """Read what was written to some alerts, oldest first."""
    query = sa.select(*_comment).where(comment.c.alert.in_(chosen(alerts))).order_by(comment.c.at, comment.c.id)
    found: dict[str, list[Comment]] = {}
    for row in tx.execute(query):
        found.setdefault(row.alert, []).append(read_struct(Comment, row))
    return found


def alarming_on(tx: Transaction, source: str, limit: int) -> list[Alert]:
    """Read the alerts that fire about the rows of one place and speak for themselves, oldest first."""
    where = (alert.c.source == source, alert.c.source != "", alert.c.parent == "", *_OPEN)
    query = sa.select(*_alert).where(*where).order_by(alert.c.id).limit(limit)
    return [read_named(Alert, row) for row in tx.execute(query)]


def adopt(tx: Transaction, members: Iterable[str], parent: str) -> None:
    """Let an alert speak for others."""
    ids = list(members)
    tx.execute(alert.update().where(alert.c.id.in_(chosen(ids))).values(parent=parent))
    for identity in ids:
        add_link(tx, (Kind.ALERT, identity), "part_of", (Kind.ALERT, parent))


def members_of(tx: Transaction, parents: Iterable[str], *, only_open: bool = False) -> dict[str, list[Alert]]:
    """Read the alerts for which others speak, by who speaks, oldest first."""
    query = sa.select(*_alert).where(alert.c.parent.in_(chosen(parents)), alert.c.parent != "").order_by(alert.c.id)
    found: dict[str, list[Alert]] = {}
    for row in tx.execute(query.where(alert.c.ended.is_(None)) if only_open else query):
        found.setdefault(row.parent, []).append(read_named(Alert, row))
    return found


def lonely_groups(tx: Transaction, prefix: str) -> list[Alert]:
    """Read the open alerts of a kind of rule that speak for none that is open any more."""
    members = alert.alias()
    some = sa.select(sa.literal(1)).where(members.c.parent == alert.c.id, members.c.parent != "", members.c.ended.is_(None))
    where = (alert.c.deployment == "", alert.c.rule.startswith(prefix, autoescape=True), alert.c.ended.is_(None), ~some.exists())
    return [read_named(Alert, row) for row in tx.execute(sa.select(*_alert).where(*where))]


def count_members(tx: Transaction, parent: str) -> int:
    """Count the open alerts that an alert speaks for."""
    query = sa.select(sa.func.count()).select_from(alert).where(alert.c.parent == parent, alert.c.parent != "")
    return int(tx.scalar(query.where(alert.c.ended.is_(None))) or 0)


def open_of_rule(tx: Transaction, rule: str) -> list[Alert]:
    """Read the open alerts of a rule, of all deployments."""
    query = sa.select(*_alert).where(alert.c.rule == rule, alert.c.ended.is_(None)).order_by(alert.c.id)
    return [read_named(Alert, row) for row in tx.execute(query)]


def speaking(tx: Transaction, *, since: int | None = None, limit: int = 1_000) -> list[Alert]:
    """Read the alerts that speak for themselves: those that fire, or those that were resolved since an instant; newest first."""
    query = sa.select(*_alert).where(alert.c.parent == "").order_by(alert.c.id.desc()).limit(limit)
    if since is None:
        return [read_named(Alert, row) for row in tx.execute(query.where(*_OPEN))]
    return [
        read_named(Alert, row) for row in tx.execute(query.where(alert.c.ended >= since, alert.c.state == AlertState.RESOLVED))
    ]


def find_silence(tx: Transaction, identity: str) -> Silence | None:
    """Read a silence."""
    row = tx.execute(sa.select(*_silence).where(silence.c.id == identity)).one_or_none()
    return None if row is None else read_struct(Silence, row)


def list_silences(tx: Transaction, after: int | None, limit: int) -> list[Silence]:
    """Read the silences, those that end last first; only those that last beyond an instant, if one is given."""
    query = sa.select(*_silence).order_by(silence.c.until.desc(), silence.c.id.desc()).limit(limit)
    if after is not None:
        query = query.where(silence.c.until > after)
    return [read_struct(Silence, row) for row in tx.execute(query)]


def end_silence(tx: Transaction, identity: str, now: int, by: str) -> None:
    """Let a silence end now."""
    tx.execute(silence.update().where(silence.c.id == identity).values(until=now, ended_by=by))
