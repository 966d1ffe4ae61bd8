"""Opening episodes and moving them: each transition is one transaction with its audit record, link and event."""

from collections.abc import Collection, Iterable
from typing import Any

import msgspec

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.automation import store
from perenne.automation.deciding import after_end, arrival
from perenne.automation.events import EpisodeMoved
from perenne.automation.model import CLOSED, Episode, EpisodeState, Step, may_follow
from perenne.core.errors import Conflict, Invalid, NotFound
from perenne.core.ids import new_id
from perenne.core.paging import Page
from perenne.projects import RetrainPolicy, Trigger
from perenne.storage.database import Transaction
from perenne.storage.links import Kind, add_link
from perenne.storage.outbox import emit


def open_episode(
    tx: Transaction,
    actor: Principal,
    project: str,
    policy: RetrainPolicy,
    trigger: Trigger,
    cause: str,
    *,
    champion: str,
    now: int,
    alert: str = "",
    since: int = 0,
    source: str = "",
) -> Episode | None:
    """Open an episode; or keep the trigger with the open one; or, while the policy rests or is paused, for the record only.

    Parameters
    ----------
    alert : str
        The alert that fired, if that is the cause: the episode is linked to it.
    since : int
        When it began, as far as is known.
    source : str
        Digest of the project's file that states the policy.

    Returns
    -------
    Episode or None
        The episode that was opened, None if none was.
    """
    current = store.find_open(tx, project)
    last = next(iter(store.newest(tx, project, 1)), None)
    outcome = arrival(current, last, now, held=store.find_hold(tx, project) is not None)
    if outcome != "opened":
        store.insert_trigger(tx, project, current.id if current else None, trigger, cause, outcome, now)
        if current is not None:
            _blame(tx, current.id, alert)
        return None
    opened = Episode(
        new_id(), project, EpisodeState.TRIGGERED, 0, trigger, cause, champion, "", cause, now, now, now + policy.debounce, 0,
        last.rejections if last else 0, since=since, source=source,
    )  # fmt: skip
    store.insert(tx, opened)
    store.insert_trigger(tx, project, opened.id, trigger, cause, "opened", now)
    store.insert_step(tx, opened.id, Step(0, "", opened.state.value, cause, now))
    add_link(tx, (Kind.EPISODE, opened.id), "of", (Kind.PROJECT, project))
    _blame(tx, opened.id, alert)
    audit.record(tx, actor, "episode.triggered", "episode", opened.id, after=opened, reason=cause)
    _tell(tx, opened, "")
    return opened


def move(
    tx: Transaction,
    actor: Principal,
    episode: Episode,
    to: EpisodeState,
    *,
    now: int,
    note: str,
    due: int | None = None,
    policy: RetrainPolicy | None = None,
    evidence: dict[str, Any] | None = None,
    **changes: Any,
) -> Episode:
    """Make one transition.

    Parameters
    ----------
    note : str
        Why, in words, with the figures that decided.
    due : int, optional
        When the new state is to be looked at; None if it waits for something to happen.
    policy : RetrainPolicy, optional
        Needed when the episode ends: how long to rest.
    evidence : dict, optional
        The figures that decided, by name; kept with the step.
    changes
        Other fields that change with it, such as the challenger.

    Raises
    ------
    Conflict
        If the state may not follow, or somebody else moved the episode since it was read.
    """
    if not may_follow(episode.state, to):
        raise Conflict(
            f"episode {episode.id} cannot go from {episode.state} to {to}",
            code="episode.transition",
            hint="`perenne policy show` tells what has happened to it",
        )
    ended = to in CLOSED
    if ended:
        changes["rejections"], changes["rest_until"] = after_end(episode, to, policy or RetrainPolicy(cooldown=0), now)
    changes["tries"] = 0
    after = msgspec.structs.replace(
        episode, state=to, generation=episode.generation + 1, note=note, entered=now, due=None if ended else due, **changes
    )
    if not store.replace(tx, episode, after):
        raise Conflict(f"episode {episode.id} was moved by somebody else", code="episode.raced", hint="read it again")
    store.insert_step(tx, episode.id, Step(after.generation, episode.state.value, to.value, note, now, evidence or {}))
    if after.challenger and after.challenger != episode.challenger:
        add_link(tx, (Kind.EPISODE, episode.id), "made", (Kind.VERSION, after.challenger))
    audit.record(tx, actor, f"episode.{to.value}", "episode", episode.id, before=episode.state.value, after=after, reason=note)
    _tell(tx, after, episode.state.value)
    return after


def _blame(tx: Transaction, episode: str, alert: str) -> None:
    if alert:
        add_link(tx, (Kind.EPISODE, episode), "caused_by", (Kind.ALERT, alert))


def postpone(tx: Transaction, episode: Episode, due: int) -> None:
    """Look at an episode again later; nothing else changes."""
    store.replace(tx, episode, msgspec.structs.replace(episode, due=due))


def _tell(tx: Transaction, episode: Episode, before: str) -> None:
    emit(
        tx, EpisodeMoved(episode=episode.id, project=episode.project, before=before, after=episode.state.value, note=episode.note)
    )


def get_episode(tx: Transaction, identity: str) -> Episode:
    """Read an episode. Raises NotFound."""
    found = store.find(tx, identity)
    if found is None:
        raise NotFound(f"episode {identity[:100]!r} does not exist", code="episode.not_found", hint="`perenne policy episodes`")
    return found


def open_episode_of(tx: Transaction, project: str) -> Episode | None:
    """Read a project's open episode, if it has one."""
    return store.find_open(tx, project)


def episode_page(
    tx: Transaction, page: Page, *, state: str = "", projects: Iterable[str] | None = None
) -> tuple[list[Episode], int]:
    """Read a window of the episodes, newest first, and how many there are in all.

    Parameters
    ----------
    state : str
        `open`, `closed` or a state; all if empty.
    projects : iterable of str, optional
        Only of these.

    Raises
    ------
    Invalid
        If there is no such state.
    """
    if state not in ("", "open", "closed", *EpisodeState):
        raise Invalid(
            f"{state[:40]!r} is no state of an episode", code="episode.state", hint=", ".join(["open", "closed", *EpisodeState])
        )
    return store.page(tx, page, state, projects)


def list_episodes(tx: Transaction, project: str | None = None, *, limit: int = 50) -> list[Episode]:
    """List episodes, newest first."""
    return store.newest(tx, project, limit)


def count_open_episodes(tx: Transaction) -> dict[str, int]:
    """Count the open episodes by state."""
    return store.count_open(tx)


def newest_of(tx: Transaction, projects: Iterable[str]) -> dict[str, Episode]:
    """Read the newest episode of each of some projects; one that has none is left out."""
    return store.newest_of(tx, projects)


def newest_states(tx: Transaction, projects: Iterable[str]) -> dict[EpisodeState, int]:
    """Count the newest episodes of some projects by their state: how their last retraining ended, or where it is."""
    return store.count_newest(tx, projects)


def matching(tx: Transaction, text: str, limit: int, projects: Collection[str] = ()) -> list[Episode]:
    """Find episodes by a piece of their id, of some projects if named."""
    ids = store.find_ids(tx, text, limit, projects)
    found = {episode.id: episode for episode in store.some(tx, ids)}
    return [found[identity] for identity in ids]


def some(tx: Transaction, ids: Iterable[str]) -> dict[str, Episode]:
    """Read episodes by their ids; what does not exist is left out."""
    return {episode.id: episode for episode in store.some(tx, ids)}


def history(tx: Transaction, identity: str) -> list[Step]:
    """List an episode's transitions, oldest first."""
    return store.steps(tx, identity)
