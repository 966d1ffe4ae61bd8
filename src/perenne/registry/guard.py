"""The one function that says whether a version may take a place, leave one, or go: natively and for MLflow clients alike.

A place is an alias or a stage. `champion` and the stage Production are always guarded, by what the version itself asks for;
review policies guard these and others. A place that nobody guards is free.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum

from perenne import tracking
from perenne.core.clock import SystemClock
from perenne.core.errors import Conflict, PerenneError
from perenne.registry import files, review_store, store
from perenne.registry.model import (
    CHAMPION,
    PRODUCTION,
    Decision,
    Evidence,
    Gate,
    GateState,
    ReviewPolicy,
    Target,
    Version,
    VersionForm,
    gate,
)
from perenne.storage.links import Kind, sources_of
from perenne.storage.transaction import Transaction

_ALWAYS = (CHAMPION, PRODUCTION)


class Deed(StrEnum):
    """What is about to happen to a version."""

    TAKE = "take a place"
    LEAVE = "leave a place empty"
    GO = "be deleted"
    CHANGE = "be changed"


def require(tx: Transaction, deed: Deed, *versions: Version, target: Target = CHAMPION) -> None:
    """Go on only if this may happen to each of some versions now.

    Parameters
    ----------
    deed : Deed
        What is about to happen.
    versions : Version
        To what.
    target : Target
        The place that is taken or left.

    Raises
    ------
    Conflict
        With every reason why not, and what would help.
    """
    if deed is Deed.GO:
        _go(tx, versions)
    for version in versions:
        if deed is Deed.TAKE:
            _take(tx, version, target)
        elif deed is Deed.LEAVE:
            _leave(tx, version, target)
        elif deed is Deed.CHANGE:
            _change(tx, version)


def gates(tx: Transaction, versions: Sequence[Version], target: Target = CHAMPION) -> list[Gate]:
    """Ask the gate of a place for each of some versions, in their order."""
    evidence, decisions = store.list_evidence(tx, versions), store.list_decisions(tx, [version.id for version in versions])
    return judged(tx, versions, evidence, decisions, target)


def judged(
    tx: Transaction,
    versions: Sequence[Version],
    evidence: dict[str, list[Evidence]],
    decisions: dict[str, list[Decision]],
    target: Target = CHAMPION,
) -> list[Gate]:
    """Ask the gate of a place for each of some versions whose evidence and decisions are known already."""
    stated = review_store.policies(tx)
    asked = {version.id: demands_of(stated, version.model, target) for version in versions}
    bounded = [version.run for version in versions if any(policy.metrics for policy in asked[version.id])]
    runs = tracking.summary.some(tx, bounded) if bounded else {}
    now = SystemClock().now()
    return [
        gate(
            version,
            evidence[version.id],
            decisions[version.id],
            asked[version.id],
            runs[version.run].metrics if version.run in runs else {},
            now,
        )
        for version in versions
    ]


def demands_of(stated: Iterable[ReviewPolicy], model: str, target: Target) -> list[ReviewPolicy]:
    """Return the review policies that guard a place of a model."""
    return [policy for policy in stated if policy.guards(model, target)]


def guarded(tx: Transaction, model: str, target: Target) -> bool:
    """Tell whether a place is guarded at all."""
    return target in _ALWAYS or bool(demands_of(review_store.policies(tx), model, target))


def places(tx: Transaction, versions: Sequence[Version]) -> dict[str, list[Target]]:
    """Name the guarded places that each of some versions has, by version."""
    stated, aliases = review_store.policies(tx), store.list_aliases(tx, [version.id for version in versions])
    held = {
        version.id: [*(Target("alias", name) for name in aliases[version.id]), Target("stage", version.stage)]
        for version in versions
    }
    return {
        version.id: [place for place in held[version.id] if place in _ALWAYS or demands_of(stated, version.model, place)]
        for version in versions
    }


def _take(tx: Transaction, version: Version, target: Target) -> None:
    if not guarded(tx, version.model, target):
        return
    (found,) = gates(tx, [version], target)
    if found.state is not GateState.OPEN and target == CHAMPION and _served(tx, version):
        found = _own_gate(tx, version)  # a roll-back goes to what was let through before: safety first
    if found.state is not GateState.OPEN:
        raise refused(version, target, found)
    condemned = store.find_condemned(tx, version.model, version.tree) if version.tree else None
    if condemned is not None:
        raise Conflict(
            f"{version.id} has the very files of {condemned}, which was turned down",
            code="model.files",
            hint="a rejection or a bar holds for the files, under whatever number",
        )
    if not files.unchanged(tx, version):
        raise Conflict(
            f"the files of {version.id} are no longer those that were registered",
            code="model.files",
            hint="register them as a version of their own, to be looked at anew",
        )


def _own_gate(tx: Transaction, version: Version) -> Gate:
    """Ask what the version itself asks for, apart from review policies and from what it was held against later."""
    evidence, decisions = store.list_evidence(tx, [version]), store.list_decisions(tx, [version.id])
    own = [item for item in evidence[version.id] if item.check in version.policy.required]
    return gate(version, own, decisions[version.id], now=SystemClock().now())


def refused(version: Version, target: Target, found: Gate) -> PerenneError:
    """Say that a gate is not open, with every reason."""
    place = "" if target == CHAMPION else f" for {target}"
    waits = f"`perenne model approve {version.id}` or `perenne model reject {version.id}`"
    return Conflict(
        f"the gate of {version.id}{place} is {found.state.value}: {'; '.join(found.reasons)}",
        code="model.gate",
        hint=waits if found.state is GateState.WAITING else f"`perenne model show {version.id}` has the evidence",
    )


def _leave(tx: Transaction, version: Version, target: Target) -> None:
    stated = demands_of(review_store.policies(tx), version.model, target)
    if stated or (target == CHAMPION and _served(tx, version)):
        why = f"policy {stated[0].name} guards it" if stated else "it was deployed"
        raise _held(f"{target} of {version.model} may not be taken away: {why}", "move it to another version")


def _go(tx: Transaction, versions: Sequence[Version]) -> None:
    held = places(tx, versions)
    for version in versions:
        if held[version.id]:
            names = " and ".join(map(str, held[version.id]))
            raise _held(f"{version.id} may not be deleted: it has {names}", "move that to another version")
    ids = [version.id for version in versions]
    for kind in (Kind.DEPLOYMENT, Kind.EPISODE):
        for link in sources_of(tx, kind, Kind.VERSION, ids):
            raise _held(f"{link.target} may not be deleted: {link.source_kind} {link.source} knows it", "archive it instead")


def _change(tx: Transaction, version: Version) -> None:
    held = places(tx, [version])[version.id]
    if held:
        raise _held(
            f"{version.id} may not be changed: it has {' and '.join(map(str, held))}", "register another version in its place"
        )


def _held(message: str, hint: str) -> PerenneError:
    return Conflict(message, code="model.held", hint=hint)


def _served(tx: Transaction, version: Version) -> bool:
    """Tell whether a version has answered people: only what was let through does."""
    if version.form is not VersionForm.PACKAGE:
        return False
    found = sources_of(tx, Kind.DEPLOYMENT, Kind.VERSION, [version.id])
    return any(link.relation == "serves" for link in found)
