"""The tables of automation: episodes, their transitions, and every trigger that came, also those that opened nothing."""

from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

import sqlalchemy as sa

from perenne.automation.model import Episode, EpisodeState, Hold, Step, TriggerLine
from perenne.core.paging import Page
from perenne.projects import Trigger
from perenne.storage.database import JsonColumn, Transaction, metadata, read_struct
from perenne.storage.finding import find_names
from perenne.storage.names import chosen, newest_id
from perenne.storage.schema import only_where

episode = sa.Table(
    "episode",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("project", sa.Text, nullable=False),
    sa.Column("state", JsonColumn(EpisodeState), nullable=False),
    sa.Column("open", sa.Boolean, nullable=False),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("trigger", JsonColumn(Trigger), nullable=False),
    sa.Column("cause", sa.Text, nullable=False),
    sa.Column("champion", sa.Text, nullable=False),
    sa.Column("challenger", sa.Text, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("opened", sa.BigInteger, nullable=False),
    sa.Column("entered", sa.BigInteger, nullable=False),
    sa.Column("due", sa.BigInteger),
    sa.Column("rest_until", sa.BigInteger, nullable=False),
    sa.Column("rejections", sa.Integer, nullable=False),
    sa.Column("since", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("alpha", sa.Float, nullable=False, server_default="0"),
    sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
    sa.Column("source", sa.Text, nullable=False, server_default=sa.text("''")),
)
# One open episode per project: the database refuses a second one, whoever races.
sa.Index("uq_episode_open", episode.c.project, unique=True, **only_where("open"))
sa.Index("ix_episode_due", episode.c.open, episode.c.due)
sa.Index("ix_episode_project", episode.c.project, episode.c.id)

transition = sa.Table(
    "episode_step",
    metadata,
    sa.Column("episode", sa.Text, sa.ForeignKey("episode.id"), primary_key=True),
    sa.Column("generation", sa.Integer, primary_key=True),
    sa.Column("before", sa.Text, nullable=False),
    sa.Column("after", sa.Text, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("time", sa.BigInteger, nullable=False),
    sa.Column("evidence", JsonColumn(dict[str, Any]), nullable=False, server_default="{}"),
)

hold = sa.Table(
    "policy_hold",
    metadata,
    sa.Column("project", sa.Text, primary_key=True),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("time", sa.BigInteger, nullable=False),
)

trigger = sa.Table(
    "episode_trigger",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("project", sa.Text, nullable=False),
    sa.Column("episode", sa.Text),
    sa.Column("trigger", JsonColumn(Trigger), nullable=False),
    sa.Column("cause", sa.Text, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("time", sa.BigInteger, nullable=False),
    sa.Index(None, "project", "time"),
)

ARRIVED = "arrived"

_COSTLY = tuple(
    state.value for state in (EpisodeState.BUDGET_OK, EpisodeState.EVALUATED, EpisodeState.FAILED, EpisodeState.CANCELLED)
)


class Used(NamedTuple):
    """A transition that tells what retraining takes: CPU seconds of a round, the chance of a mistake of a test."""

    time: int
    after: EpisodeState
    alpha: float
    cpu_seconds: float


_columns = [episode.c[name] for name in Episode.__struct_fields__]
_hold_columns = [hold.c[name] for name in Hold.__struct_fields__]
_step_columns = [transition.c[name] for name in Step.__struct_fields__]


def insert(tx: Transaction, row: Episode) -> None:
    """Add an episode."""
    tx.execute(episode.insert(), {"open": row.open, **{name: getattr(row, name) for name in Episode.__struct_fields__}})


def replace(tx: Transaction, before: Episode, after: Episode) -> bool:
    """Move an episode, unless somebody else moved it since it was read; tell whether it worked."""
    unmoved = (episode.c.id == before.id, episode.c.generation == before.generation)
    values: dict[str, Any] = {"open": after.open, **{name: getattr(after, name) for name in Episode.__struct_fields__}}
    return tx.execute(episode.update().where(*unmoved).values(**values)).rowcount == 1


def insert_step(tx: Transaction, identity: str, step: Step) -> None:
    """Add a transition to an episode's history."""
    tx.execute(transition.insert(), {"episode": identity, **{name: getattr(step, name) for name in Step.__struct_fields__}})


def find(tx: Transaction, identity: str) -> Episode | None:
    """Read an episode."""
    row = tx.execute(sa.select(*_columns).where(episode.c.id == identity)).one_or_none()
    return None if row is None else read_struct(Episode, row)


def find_open(tx: Transaction, project: str) -> Episode | None:
    """Read a project's open episode."""
    row = tx.execute(sa.select(*_columns).where(episode.c.project == project, episode.c.open)).one_or_none()
    return None if row is None else read_struct(Episode, row)


def newest(tx: Transaction, project: str | None, limit: int) -> list[Episode]:
    """Read episodes, newest first."""
    query = sa.select(*_columns).order_by(episode.c.id.desc()).limit(limit)
    if project is not None:
        query = query.where(episode.c.project == project)
    return [read_struct(Episode, row) for row in tx.execute(query)]


def page(tx: Transaction, window: Page, state: str, projects: Iterable[str] | None) -> tuple[list[Episode], int]:
    """Read a window of the episodes in a state, newest first, and count all of them."""
    where: list[sa.ColumnElement[bool]] = []
    if state in ("open", "closed"):
        where.append(episode.c.open.is_(state == "open"))
    elif state:
        where.append(episode.c.state == EpisodeState(state))
    if projects is not None:
        where.append(episode.c.project.in_(chosen(projects)))
    query = sa.select(*_columns).where(*where).order_by(episode.c.id.desc()).offset(window.offset).limit(window.limit)
    total = tx.scalar(sa.select(sa.func.count()).select_from(episode).where(*where))
    return [read_struct(Episode, row) for row in tx.execute(query)], int(total or 0)


def newest_of(tx: Transaction, projects: Iterable[str]) -> dict[str, Episode]:
    """Read the newest episode of each project."""
    query = sa.select(*_columns).where(episode.c.id.in_(newest_id(episode, "project", "id", projects)))
    return {row.project: read_struct(Episode, row) for row in tx.execute(query)}


def count_newest(tx: Transaction, projects: Iterable[str]) -> dict[EpisodeState, int]:
    """Count the newest episodes of some projects by their state."""
    query = sa.select(episode.c.state, sa.func.count().label("number"))
    query = query.where(episode.c.id.in_(newest_id(episode, "project", "id", projects))).group_by(episode.c.state)
    return {row.state: row.number for row in tx.execute(query)}


def some(tx: Transaction, ids: Iterable[str]) -> list[Episode]:
    """Read episodes by their ids."""
    return [read_struct(Episode, row) for row in tx.execute(sa.select(*_columns).where(episode.c.id.in_(chosen(ids))))]


def find_ids(tx: Transaction, text: str, limit: int, projects: Collection[str]) -> list[str]:
    """Return the ids of episodes that begin with a text or hold it, of some projects if named."""
    return find_names(tx, episode.c.id, text, limit, [episode.c.project.in_(chosen(projects))] if projects else [])


def due(tx: Transaction, now: int) -> list[Episode]:
    """Read the open episodes that are to be looked at."""
    query = sa.select(*_columns).where(episode.c.open, episode.c.due <= now).order_by(episode.c.due)
    return [read_struct(Episode, row) for row in tx.execute(query)]


def count_open(tx: Transaction) -> dict[str, int]:
    """Count the open episodes by state."""
    number = sa.func.count().label("number")
    query = sa.select(episode.c.state, number).where(episode.c.open).group_by(episode.c.state)
    return {row.state.value: row.number for row in tx.execute(query)}


def steps(tx: Transaction, identity: str) -> list[Step]:
    """Read an episode's transitions, oldest first."""
    query = sa.select(*_step_columns).where(transition.c.episode == identity).order_by(transition.c.generation)
    return [read_struct(Step, row) for row in tx.execute(query)]


def steps_of(tx: Transaction, identities: Iterable[str]) -> dict[str, list[Step]]:
    """Read the transitions of some episodes, oldest first."""
    query = sa.select(transition.c.episode, *_step_columns).where(transition.c.episode.in_(chosen(identities)))
    found: dict[str, list[Step]] = {}
    for row in tx.execute(query.order_by(transition.c.episode, transition.c.generation)):
        values: dict[str, Any] = {name: row._mapping[name] for name in Step.__struct_fields__}
        found.setdefault(row.episode, []).append(Step(**values))
    return found


def insert_trigger(
    tx: Transaction, project: str, identity: str | None, kind: Trigger, cause: str, outcome: str, time: int
) -> None:
    """Keep a trigger and what came of it."""
    row = {"project": project, "episode": identity, "trigger": kind, "cause": cause, "outcome": outcome, "time": time}
    tx.execute(trigger.insert(), row)


def triggers_of(tx: Transaction, identity: str) -> list[TriggerLine]:
    """Read the triggers that an episode took up, oldest first."""
    query = sa.select(*(trigger.c[name] for name in TriggerLine.__struct_fields__)).where(trigger.c.episode == identity)
    return [read_struct(TriggerLine, row) for row in tx.execute(query.order_by(trigger.c.id))]


def last_trigger(tx: Transaction, project: str, kind: Trigger) -> int | None:
    """Return when this very trigger last came."""
    time: int | None = tx.scalar(
        sa.select(sa.func.max(trigger.c.time)).where(trigger.c.project == project, trigger.c.trigger == kind)
    )
    return time


def triggers_heard(tx: Transaction, identity: str) -> list[Trigger]:
    """Read what opened an episode and what joined it, oldest first."""
    query = sa.select(trigger.c.trigger).where(trigger.c.episode == identity).order_by(trigger.c.id)
    return [row.trigger for row in tx.execute(query)]


def noted_since(tx: Transaction, project: str, since: int) -> dict[Trigger, int]:
    """Read when each part of a trigger that waits for others was noted last, later than an instant."""
    mine = (trigger.c.project == project, trigger.c.outcome == "noted", trigger.c.time > since)
    query = sa.select(trigger.c.trigger, sa.func.max(trigger.c.time).label("time")).where(*mine).group_by(trigger.c.trigger)
    return {row.trigger: row.time for row in tx.execute(query)}


def arrivals_since(tx: Transaction, project: str, since: int) -> dict[str, int]:
    """Count the versions of data that arrived later than an instant, by data set."""
    mine = (trigger.c.project == project, trigger.c.outcome == ARRIVED, trigger.c.time > since)
    query = sa.select(trigger.c.trigger, sa.func.count().label("number")).where(*mine).group_by(trigger.c.trigger)
    return {row.trigger.dataset: row.number for row in tx.execute(query)}


def gathering(tx: Transaction, projects: Iterable[str]) -> set[str]:
    """Name those of some projects for which data has arrived."""
    mine = (trigger.c.project.in_(chosen(projects)), trigger.c.outcome == ARRIVED)
    return {row.project for row in tx.execute(sa.select(trigger.c.project).distinct().where(*mine))}


def find_hold(tx: Transaction, project: str) -> Hold | None:
    """Read who paused a policy, if somebody did."""
    row = tx.execute(sa.select(*_hold_columns).where(hold.c.project == project)).one_or_none()
    return None if row is None else read_struct(Hold, row)


def holds(tx: Transaction) -> dict[str, Hold]:
    """Read the policies that are paused, by project."""
    return {row.project: read_struct(Hold, row) for row in tx.execute(sa.select(*_hold_columns))}


def insert_hold(tx: Transaction, row: Hold) -> None:
    """Pause a policy."""
    tx.execute(hold.insert(), {name: getattr(row, name) for name in Hold.__struct_fields__})


def delete_hold(tx: Transaction, project: str) -> bool:
    """Resume a policy; tell whether it was paused."""
    return tx.execute(hold.delete().where(hold.c.project == project)).rowcount == 1


def tests_since(tx: Transaction, project: str, since: int) -> list[tuple[int, float]]:
    """Read when challengers were held against champions, and the chance of a mistake that each test took."""
    query = sa.select(transition.c.time, episode.c.alpha).join(episode, episode.c.id == transition.c.episode)
    mine = (episode.c.project == project, episode.c.alpha > 0, transition.c.after == EpisodeState.EVALUATED.value)
    return [(row.time, row.alpha) for row in tx.execute(query.where(*mine, transition.c.time >= since))]


def cpu_since(tx: Transaction, project: str, since: int) -> float:
    """Add up the CPU seconds that rounds took, by what their last step says."""
    ends = (EpisodeState.EVALUATED.value, EpisodeState.FAILED.value, EpisodeState.CANCELLED.value)
    query = sa.select(transition.c.evidence).join(episode, episode.c.id == transition.c.episode)
    mine = (episode.c.project == project, transition.c.after.in_(ends), transition.c.time >= since)
    return sum(float(row.evidence.get("cpu_seconds", 0.0)) for row in tx.execute(query.where(*mine)))


def trained_since(tx: Transaction, project: str, since: int) -> int:
    """Count the episodes that were let into training since an instant."""
    reached = sa.select(transition.c.episode).where(
        transition.c.after == EpisodeState.BUDGET_OK.value, transition.c.time >= since
    )
    query = sa.select(sa.func.count()).select_from(episode).where(episode.c.project == project, episode.c.id.in_(reached))
    return int(tx.scalar(query) or 0)


def used_since(tx: Transaction, projects: Iterable[str], since: int) -> dict[str, list[Used]]:
    """Read what the rounds of some projects took since an instant: of all projects in one question, oldest first."""
    query = sa.select(episode.c.project, episode.c.alpha, transition.c.after, transition.c.time, transition.c.evidence)
    mine = (episode.c.project.in_(chosen(projects)), transition.c.after.in_(_COSTLY), transition.c.time >= since)
    rows = tx.execute(query.join(episode, episode.c.id == transition.c.episode).where(*mine).order_by(transition.c.time))
    found: dict[str, list[Used]] = {}
    for row in rows:
        cpu = float(row.evidence.get("cpu_seconds", 0.0))
        found.setdefault(row.project, []).append(Used(row.time, EpisodeState(row.after), row.alpha, cpu))
    return found
