"""What needs a person, with the decision in place: each need carries the requests that its buttons send."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from perenne import automation, labels
from perenne.auth.principals import Principal, PrincipalKind
from perenne.auth.roles import Action, allowed, sees
from perenne.automation import Episode
from perenne.core.addresses import address_of
from perenne.monitoring import AlertLine
from perenne.registry import Dossier, Evidence, Verdict
from perenne.storage import outbox
from perenne.storage.database import Transaction
from perenne.storage.outbox import StoredEvent
from perenne.web.screens import queues
from perenne.web.screens.queues import Waiting

SHOWN = 20
SHOWN_EVENTS = 10
Thing: TypeAlias = Dossier | AlertLine | StoredEvent | labels.sets.Differing | Waiting
TONES = {"critical": "crit", "warning": "warn", "info": "info"}


class Button(msgspec.Struct, frozen=True, kw_only=True):
    """Something a person can do: the request that does it.

    Attributes
    ----------
    label, tone : str
        What the button says, and how it looks.
    path, body : str, dict
        Where to POST, and what. With `reason` the field of that name is what the person says why; `required` if they must.
    confirm : str
        What is asked first, if anything.
    allowed : bool
        Whether a role of whoever looks allows it; the server asks again.
    """

    label: str
    path: str
    body: dict[str, Any] = {}
    tone: str = ""
    reason: str = ""
    required: bool = False
    confirm: str = ""
    allowed: bool = True


class Need(msgspec.Struct, frozen=True, kw_only=True):
    """Something a person has to decide or look at.

    Attributes
    ----------
    kind, id : str
        A version, an alert, labels, a queue or an event, and which.
    urgency : int
        Smaller is sooner.
    title, text, note : str
        What it is about, the evidence in a sentence, and by whom or since when in words; `at` in microseconds.
    path : str
        Where to look closer.
    """

    kind: str
    id: str
    project: str
    urgency: int
    tone: str
    title: str
    text: str
    by: str
    at: int | None
    path: str
    buttons: tuple[Button, ...]


def needs(
    tx: Transaction,
    actor: Principal,
    waiting: Sequence[Dossier],
    alerts: Sequence[AlertLine],
    projects: Mapping[str, str],
    *,
    everything: bool = True,
) -> tuple[tuple[Need, ...], int]:
    """Return what is most urgent, and how much more there is.

    Parameters
    ----------
    waiting, alerts : sequence
        The versions that wait, and the open alerts, of what may be seen.
    projects : mapping
        The project of each deployment.
    everything : bool
        Whether to tell also of what belongs to no project: events that could not be delivered.
    """
    firing = [line for line in alerts if line.fired is not None and not line.acknowledged_by and not line.parent]
    events = outbox.events(tx, state="set_aside", limit=SHOWN_EVENTS) if everything and sees(actor, "") else []
    ranked: list[tuple[int, int, Thing]] = [(1, -found.version.created, found) for found in waiting]
    ranked += [(3 - line.severity.level, -(line.fired or 0), line) for line in firing]
    ranked += [(1, -event.created, event) for event in events]
    if everything and allowed(actor, Action.ADJUDICATE):
        ranked += [(3, -found.items, found) for found in labels.sets.differing(tx, actor, limit=SHOWN)]
    if allowed(actor, Action.ADJUDICATE):
        ranked += [(0, found.since, found) for found in queues.waiting(tx, projects)]
    shown = [thing for _, _, thing in sorted(ranked, key=lambda item: item[:2])[:SHOWN]]
    alarmed = {projects.get(line.deployment, "") for line in shown if isinstance(line, AlertLine)} - {""}
    episodes = automation.episodes.newest_of(tx, alarmed)
    found = tuple(_need(actor, thing, projects, episodes) for thing in shown)
    return found, len(ranked) - len(found)


def _need(actor: Principal, thing: Thing, projects: Mapping[str, str], episodes: Mapping[str, Episode]) -> Need:
    if isinstance(thing, Dossier):
        return _approval(actor, thing)
    if isinstance(thing, AlertLine):
        project = projects.get(thing.deployment, thing.project)
        return _alert(actor, thing, project, episodes.get(project))
    if isinstance(thing, labels.sets.Differing):
        return _labels(thing)
    if isinstance(thing, Waiting):
        return _queue(thing)
    return _event(actor, thing)


def _approval(actor: Principal, found: Dossier) -> Need:
    version = found.version
    path = f"/api/model/version/{version.id}/decision"
    may = actor.kind is PrincipalKind.USER and allowed(actor, Action.APPROVE_BUSINESS)
    asked = "Why (kept in the audit trail)"
    return Need(
        kind="version",
        id=version.id,
        project=version.project,
        urgency=1,
        tone="warn",
        title=version.id,
        text=evidence_sentence(found),
        by=f"for {version.policy.approve_by} to decide",
        at=version.created,
        path=address_of("version", version.id),
        buttons=(
            Button(label="Approve", path=path, body={"approve": True}, tone="primary", reason=asked, allowed=may),
            Button(label="Reject", path=path, body={"approve": False}, reason=asked, required=True, allowed=may),
        ),
    )


def evidence_sentence(found: Dossier) -> str:
    """Say in a sentence what a version stands on: how many checks passed, and how it did against the champion or the limit."""
    newest = {item.check: item for item in found.evidence}
    asked = [newest.get(check) for check in found.version.policy.required]
    passed = sum(item is not None and item.verdict is Verdict.PASS for item in asked)
    counted = f"{passed} of {len(asked)} checks passed" if asked else "no check was asked for"
    compared = next((item.detail for item in newest.values() if item.check.startswith("compare:") and item.detail), "")
    told = compared or next((_figure(item) for item in newest.values() if item.check.startswith("objective:")), "")
    return f"{counted}; {told}." if told else f"{counted}."


def _figure(item: Evidence) -> str:
    name = item.check.partition(": ")[2]
    return "" if item.value is None else f"{name} came to {item.value:.3g}"


def _alert(actor: Principal, line: AlertLine, project: str, episode: Episode | None) -> Need:
    path, may = f"/api/alert/{line.id}", allowed(actor, Action.COMMENT)
    retraining = f" A retraining is {episode.state.value.replace('_', ' ')}." if episode is not None and episode.open else ""
    return Need(
        kind="alert",
        id=line.id,
        project=project,
        urgency=3 - line.severity.level,
        tone=TONES[line.severity.value],
        title=line.deployment or line.rule,
        text=f"{line.summary}.{retraining}",
        by="",
        at=line.fired,
        path=address_of("alert", line.id),
        buttons=(
            Button(label="Acknowledge", path=f"{path}/acknowledge", allowed=may),
            Button(
                label="Silence 1 h",
                path=f"{path}/silence",
                body={"for": "1h"},
                tone="quiet",
                reason="Why nobody needs to be told",
                required=True,
                allowed=may,
            ),
        ),
    )


def _labels(found: labels.sets.Differing) -> Need:
    number = f"{found.items:,} item{'' if found.items == 1 else 's'}"
    return Need(
        kind="labels",
        id=found.label_set,
        project=found.project,
        urgency=3,
        tone="warn",
        title=found.label_set,
        text=f"people differ on {number}, and somebody decides.",
        by="",
        at=None,
        path=f"{address_of('label set', found.label_set)}/decide",
        buttons=(),
    )


def _queue(found: Waiting) -> Need:
    number = f"{found.requests:,} request{' waits' if found.requests == 1 else 's wait'}"
    return Need(
        kind="queue",
        id=found.deployment,
        project=found.project,
        urgency=0,
        tone="crit",
        title=found.deployment,
        text=f"{number} for a person, for the model is stopped.",
        by="",
        at=found.since,
        path=found.path,
        buttons=(),
    )


def _event(actor: Principal, event: StoredEvent) -> Need:
    path, may = f"/api/events/{event.id}", allowed(actor, Action.DEPLOY)
    return Need(
        kind="event",
        id=str(event.id),
        project="",
        urgency=1,
        tone="warn",
        title=f"Event {event.id}, {event.name}",
        text=f"could not be delivered, so what should have followed has not happened: {event.error or 'no reason is kept'}.",
        by=f"after {event.attempts} tries",
        at=event.created,
        path="/job",
        buttons=(
            Button(label="Try again", path=f"{path}/retry", allowed=may),
            Button(label="Give up", path=f"{path}/drop", tone="quiet", reason="Why", required=True, allowed=may),
        ),
    )
