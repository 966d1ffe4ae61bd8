"""The tables of review policies and of reviews."""

from collections.abc import Collection
from enum import StrEnum

import msgspec
import sqlalchemy as sa

from perenne.registry.model import ReviewPolicy, Target
from perenne.storage.names import chosen
from perenne.storage.schema import JsonColumn, metadata, only_where, read_struct
from perenne.storage.transaction import Transaction

review_policy = sa.Table(
    "review_policy",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("body", JsonColumn(ReviewPolicy), nullable=False),
    sa.Column("changed", sa.BigInteger, nullable=False),
    sa.Column("changed_by", sa.Text, nullable=False),
)


class ReviewState(StrEnum):
    """Where a review stands."""

    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


class Review(msgspec.Struct, frozen=True, kw_only=True):
    """The question whether a version may take a place, and what became of it.

    Attributes
    ----------
    tree : str
        The files it is about.
    target : Target
        The alias or stage it is to take.
    reason : str
        Why it is asked for.
    opened, opened_by, closed, closed_by : int, str, int, str
        When and by whom; None and empty while it is open.
    note : str
        What was said when it was closed.
    """

    id: str
    version: str
    model: str
    project: str
    tree: str
    target: Target
    state: ReviewState
    reason: str
    opened: int
    opened_by: str
    closed: int | None = None
    closed_by: str = ""
    note: str = ""


review = sa.Table(
    "review",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("project", sa.Text, nullable=False),
    sa.Column("tree", sa.Text, nullable=False),
    sa.Column("target", JsonColumn(Target), nullable=False),
    sa.Column("state", JsonColumn(ReviewState), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("opened", sa.BigInteger, nullable=False),
    sa.Column("opened_by", sa.Text, nullable=False),
    sa.Column("closed", sa.BigInteger),
    sa.Column("closed_by", sa.Text, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Index(None, "version"),
    sa.Index(None, "model", "id"),
    sa.Index("ix_review_open", "id", **only_where("closed IS NULL")),
)

_columns = [review.c[name] for name in Review.__struct_fields__]


class KeptPolicy(msgspec.Struct, frozen=True):
    """A review policy with when and by whom it was stated so."""

    policy: ReviewPolicy
    digest: str
    changed: int
    changed_by: str


def policies(tx: Transaction) -> list[ReviewPolicy]:
    """Read all review policies, by name."""
    return [row.body for row in tx.execute(sa.select(review_policy.c.body).order_by(review_policy.c.name))]


def kept_policies(tx: Transaction) -> list[KeptPolicy]:
    """Read all review policies with who stated them, by name."""
    rows = tx.execute(sa.select(review_policy).order_by(review_policy.c.name))
    return [KeptPolicy(row.body, row.body.digest, row.changed, row.changed_by) for row in rows]


def find_policy(tx: Transaction, name: str) -> ReviewPolicy | None:
    """Read a review policy."""
    found: ReviewPolicy | None = tx.scalar(sa.select(review_policy.c.body).where(review_policy.c.name == name))
    return found


def keep_policy(tx: Transaction, policy: ReviewPolicy, time: int, by: str) -> None:
    """State a review policy, in place of the one of its name."""
    drop_policy(tx, policy.name)
    tx.execute(review_policy.insert(), {"name": policy.name, "body": policy, "changed": time, "changed_by": by})


def drop_policy(tx: Transaction, name: str) -> None:
    """Remove a review policy."""
    tx.execute(review_policy.delete().where(review_policy.c.name == name))


def insert(tx: Transaction, row: Review) -> None:
    """Add a review."""
    tx.execute(review.insert(), {name: getattr(row, name) for name in Review.__struct_fields__})


def find(tx: Transaction, identity: str) -> Review | None:
    """Read a review."""
    row = tx.execute(sa.select(*_columns).where(review.c.id == identity)).one_or_none()
    return None if row is None else _read(row)


def close(tx: Transaction, identity: str, state: ReviewState, *, time: int, by: str, note: str) -> None:
    """Close a review."""
    values = {"state": state, "closed": time, "closed_by": by, "note": note}
    tx.execute(review.update().where(review.c.id == identity).values(**values))


def open_of(tx: Transaction, versions: Collection[str]) -> list[Review]:
    """Read the open reviews of some versions, oldest first."""
    where = (review.c.version.in_(chosen(versions)), review.c.closed.is_(None))
    return [_read(row) for row in tx.execute(sa.select(*_columns).where(*where).order_by(review.c.id))]


def reviews(
    tx: Transaction, *, model: str = "", state: ReviewState | None = None, before: str = "", limit: int, projects: Collection[str]
) -> list[Review]:
    """Read reviews, newest first: of one model, in one state, after one of the page before, of some projects."""
    query = sa.select(*_columns).order_by(review.c.id.desc()).limit(limit)
    if model:
        query = query.where(review.c.model == model)
    if state is not None:
        query = query.where(review.c.closed.is_(None) if state is ReviewState.OPEN else review.c.state == state)
    if before:
        query = query.where(review.c.id < before)
    if projects:
        query = query.where(review.c.project.in_(chosen(projects)))
    return [_read(row) for row in tx.execute(query)]


def rename(tx: Transaction, before: str, after: str, model: str) -> None:
    """Let the reviews of a version follow it to another id."""
    tx.execute(review.update().where(review.c.version == before).values(version=after, model=model))


def forget(tx: Transaction, versions: Collection[str]) -> None:
    """Remove the reviews of versions that are removed for good."""
    tx.execute(review.delete().where(review.c.version.in_(chosen(versions))))


def _read(row: "sa.Row[tuple[object, ...]]") -> Review:
    return read_struct(lambda *values: Review(**dict(zip(Review.__struct_fields__, values, strict=True))), row)
