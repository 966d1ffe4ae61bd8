"""When which version of a model answered people, answered unseen, or stood by: read from the audit trail of its deployments."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from perenne.auth import audit
from perenne.auth.audit import AuditRecord
from perenne.automation import Episode
from perenne.core import json
from perenne.registry import Decision, Dossier, GateState
from perenne.serving import Deployment
from perenne.storage.database import Transaction

MOST_RECORDS = 1_000
TONES = {"rolled_back": "crit", "stopped": "crit", "resumed": "info", "challenger_removed": "warn"}
WORDS = {
    "deployed": "deployed",
    "challenger_set": "in shadow",
    "challenger_removed": "taken out of the shadow",
    "promoted": "promoted",
    "rolled_back": "rolled back",
    "stopped": "stopped",
    "resumed": "answers again",
}


ENDS = {"rejected": "crit", "rolled back": "crit", "expired": "warn", "failed": "crit", "settled": "ok"}
"""How a retraining may end for its challenger."""


class Span(msgspec.Struct, frozen=True):
    """A stretch of time in one role: review, champion, challenger or previous. `end` is None while it goes on."""

    deployment: str
    role: str
    start: int
    end: int | None


class Mark(msgspec.Struct, frozen=True):
    """Something that happened to a version at an instant, who did it, and why."""

    time: int
    what: str
    tone: str
    by: str
    reason: str


class Lane(msgspec.Struct, frozen=True):
    """The life of one version."""

    version: str
    number: int
    spans: tuple[Span, ...]
    marks: tuple[Mark, ...]


def lanes(
    tx: Transaction, dossiers: Sequence[Dossier], deployments: Iterable[Deployment], episodes: Sequence[Episode]
) -> tuple[Lane, ...]:
    """Read the lives of some versions of a model, oldest first."""
    spans: dict[str, list[Span]] = {}
    marks: dict[str, list[Mark]] = {}
    for deployment in deployments:
        trail = audit.trail(tx, entity="deployment", entity_id=deployment.name, limit=MOST_RECORDS)
        _follow(deployment.name, trail[::-1], spans, marks)
    for found in dossiers:
        marks.setdefault(found.version.id, []).extend(_decided(found))
    for version, mark in _ended(tx, episodes):
        marks.setdefault(version, []).append(mark)
    for record in audit.of_things(tx, "version", [found.version.id for found in dossiers], ["version.bar"]):
        marks.setdefault(record.entity_id, []).append(Mark(record.time, "barred", "crit", record.actor, record.reason))
    return tuple(_lane(found, spans, marks) for found in sorted(dossiers, key=lambda found: found.version.number))


def _lane(found: Dossier, spans: Mapping[str, list[Span]], marks: Mapping[str, list[Mark]]) -> Lane:
    version = found.version
    happened = sorted(marks.get(version.id, ()), key=lambda mark: mark.time)
    return Lane(version.id, version.number, (*_review(found), *spans.get(version.id, ())), tuple(happened))


def _decided(found: Dossier) -> list[Mark]:
    version = found.version
    made = Mark(version.created, "registered", "none", version.created_by, "")
    return [made, *(_decision(item) for item in found.decisions)]


def _decision(item: Decision) -> Mark:
    word, tone = ("approved", "ok") if item.approved else ("rejected", "crit")
    return Mark(item.time, word, tone, item.approver, item.reason)


def _review(found: Dossier) -> list[Span]:
    """Return how long a version waited for a person, or still does."""
    version = found.version
    if found.gate.state is GateState.WAITING:
        return [Span("", "review", version.created, None)]
    if not (version.policy.approve_by and found.decisions):
        return []
    return [Span("", "review", version.created, found.decisions[0].time)]


def _ended(tx: Transaction, episodes: Sequence[Episode]) -> Iterator[tuple[str, Mark]]:
    """Go through what became of the challengers of some retrainings, as the audit trail has it."""
    challengers = {item.id: item.challenger for item in episodes if item.challenger}
    ends = {f"episode.{word.replace(' ', '_')}": (word, tone) for word, tone in ENDS.items()}
    for record in audit.of_things(tx, "episode", list(challengers), list(ends)):
        word, tone = ends[record.action]
        yield challengers[record.entity_id], Mark(record.time, word, tone, record.actor, record.reason)


def _follow(name: str, trail: Sequence[AuditRecord], spans: dict[str, list[Span]], marks: dict[str, list[Mark]]) -> None:
    """Go through the changes of a deployment, oldest first: a role begins with the first change that shows it."""
    holding: dict[tuple[str, str], int] = {}
    for record in trail:
        change = record.action.removeprefix("deployment.")
        if change not in WORDS or record.after is None:
            continue
        before = None if record.before is None else json.decode(record.before, Deployment, what="deployment")
        after = json.decode(record.after, Deployment, what="deployment")
        now = {(variant.version, variant.role.value) for variant in after.variants}
        for gone in sorted(set(holding) - now):
            spans.setdefault(gone[0], []).append(Span(name, gone[1], holding.pop(gone), record.time))
        holding |= {role: record.time for role in now if role not in holding}
        version = _subject(change, before, after)
        said = Mark(record.time, WORDS[change], TONES.get(change, "ok"), record.actor, record.reason)
        marks.setdefault(version, []).append(said)
    for (version, role), start in holding.items():
        spans.setdefault(version, []).append(Span(name, role, start, None))


def _subject(change: str, before: Deployment | None, after: Deployment) -> str:
    """Return the version a change was about: of a roll-back the one that was sent away."""
    known = {variant.version for variant in before.variants} if before else set()
    shown = {variant.version for variant in after.variants}
    if change == "rolled_back" and before is not None:
        return before.champion.version
    if change == "challenger_removed":
        return next(iter(sorted(known - shown)), after.champion.version)
    if change == "challenger_set":
        return next(iter(sorted(shown - known)), after.champion.version)
    return after.champion.version
