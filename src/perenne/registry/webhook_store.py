"""The tables of webhooks: who is told of what, and what was told."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from perenne.registry.webhook_model import Delivery, DeliveryState, Event, Webhook, WebhookStatus
from perenne.storage.schema import JsonColumn, metadata, read_struct
from perenne.storage.transaction import Transaction

table = sa.Table(
    "webhook",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("events", JsonColumn(tuple[Event, ...]), nullable=False),
    sa.Column("description", sa.Text),
    sa.Column("status", JsonColumn(WebhookStatus), nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("updated", sa.BigInteger, nullable=False),
    sa.Column("secret", sa.Text),
    sa.Index(None, "created", "id"),
)
"""`secret` is sealed with the key of the installation (`perenne.auth.sealing`)."""

delivery = sa.Table(
    "webhook_delivery",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("webhook", sa.Text, sa.ForeignKey("webhook.id"), nullable=False),
    sa.Column("entity", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("state", JsonColumn(DeliveryState), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("status", sa.Integer),
    sa.Column("error", sa.Text),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("ended", sa.BigInteger),
    sa.Index(None, "webhook", "created"),
)
_columns = [table.c[name] for name in Webhook.__struct_fields__]
_told = [delivery.c[name] for name in Delivery.__struct_fields__]


def insert(tx: Transaction, webhook: Webhook, secret: str | None) -> None:
    """Add a webhook."""
    tx.execute(table.insert(), {name: getattr(webhook, name) for name in Webhook.__struct_fields__} | {"secret": secret})


def update(tx: Transaction, identity: str, **values: Any) -> None:
    """Change columns of a webhook."""
    tx.execute(table.update().where(table.c.id == identity).values(**values))


def delete(tx: Transaction, identity: str) -> None:
    """Remove a webhook and what was told to it."""
    tx.execute(delivery.delete().where(delivery.c.webhook == identity))
    tx.execute(table.delete().where(table.c.id == identity))


def find(tx: Transaction, identity: str) -> Webhook | None:
    """Read a webhook."""
    row = tx.execute(sa.select(*_columns).where(table.c.id == identity)).one_or_none()
    return None if row is None else read_struct(Webhook, row)


def secret_of(tx: Transaction, identity: str) -> str | None:
    """Read the sealed secret of a webhook."""
    found: str | None = tx.scalar(sa.select(table.c.secret).where(table.c.id == identity))
    return found


def window(tx: Transaction, limit: int, after: tuple[int, str] | None = None) -> list[Webhook]:
    """Read webhooks, newest first, after a place in that order."""
    query = sa.select(*_columns).order_by(table.c.created.desc(), table.c.id.desc()).limit(limit)
    if after is not None:
        query = query.where(sa.tuple_(table.c.created, table.c.id) < after)
    return [read_struct(Webhook, row) for row in tx.execute(query)]


def active(tx: Transaction) -> list[Webhook]:
    """Read the webhooks that are told of things."""
    query = sa.select(*_columns).where(table.c.status == WebhookStatus.ACTIVE).order_by(table.c.created, table.c.id)
    return [read_struct(Webhook, row) for row in tx.execute(query)]


def add_deliveries(tx: Transaction, told: Sequence[Delivery]) -> None:
    """Add what is to be told."""
    tx.execute(delivery.insert(), [{name: getattr(each, name) for name in Delivery.__struct_fields__} for each in told])


def find_delivery(tx: Transaction, identity: str) -> Delivery | None:
    """Read what is, or was, to be told."""
    row = tx.execute(sa.select(*_told).where(delivery.c.id == identity)).one_or_none()
    return None if row is None else read_struct(Delivery, row)


def update_delivery(tx: Transaction, identity: str, **values: Any) -> None:
    """Note what became of a delivery."""
    tx.execute(delivery.update().where(delivery.c.id == identity).values(**values))


def deliveries(tx: Transaction, webhook: str, limit: int) -> list[Delivery]:
    """Read what was told to a webhook, newest first."""
    query = sa.select(*_told).where(delivery.c.webhook == webhook)
    return [read_struct(Delivery, row) for row in tx.execute(query.order_by(delivery.c.created.desc()).limit(limit))]


def forget(tx: Transaction, webhook: str, before: int) -> None:
    """Remove what was told to a webhook before an instant."""
    tx.execute(delivery.delete().where(delivery.c.webhook == webhook, delivery.c.created < before, delivery.c.ended.is_not(None)))
