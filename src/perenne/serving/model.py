"""What is served: a deployment and its variants, and the pure rules by which they change.

Each rule returns the deployment after the change, one generation later, or refuses.
"""

from enum import StrEnum
from typing import ClassVar, TypeAlias

import msgspec

from perenne.core.clock import HOUR
from perenne.core.errors import Conflict, NotFound
from perenne.core.events import Event

Constant: TypeAlias = str | int | float | bool
"""An answer that needs no model: one of the classes, or a number."""

DEFAULT_WINDOW = HOUR


class Role(StrEnum):
    """What a variant does: answers, answers nobody yet, or stands by."""

    CHAMPION = "champion"
    CHALLENGER = "challenger"
    PREVIOUS = "previous"


class Variant(msgspec.Struct, frozen=True):
    """A model version in a deployment.

    Attributes
    ----------
    name : str
        `champion`, `previous`, or `challenger-<version>`.
    role : Role
        What it does.
    version : str
        `name@number` in the registry.
    tree : str
        Digest of its package.
    reference : str
        SHA-256 of the reference in its package, by whose cells it is watched; empty if it has none.
    """

    name: str
    role: Role
    version: str
    tree: str
    reference: str = ""


class StopMode(StrEnum):
    """Who answers while a deployment is stopped."""

    CONSTANT = "constant"
    PREVIOUS = "previous"


class Stop(msgspec.Struct, frozen=True):
    """That a deployment is stopped: who answers meanwhile, why, since when and by whom."""

    mode: StopMode
    reason: str
    since: int
    by: str


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint and what answers there.

    Attributes
    ----------
    name : str
        The name callers use.
    project : str
        Whose it is.
    generation : int
        Grows by one with every change.
    variants : tuple of Variant
        Exactly one champion, at most one previous, any number of challengers.
    window_length : int
        Microseconds of a monitoring window.
    answer : str, number, bool or None
        What is answered if no model can, and while the deployment is stopped; None if there is no such answer.
    stop : Stop or None
        Set while the deployment is stopped.
    """

    name: str
    project: str
    generation: int
    variants: tuple[Variant, ...]
    window_length: int = DEFAULT_WINDOW
    answer: Constant | None = None
    stop: Stop | None = None

    @property
    def champion(self) -> Variant:
        """The variant that answers."""
        return next(variant for variant in self.variants if variant.role is Role.CHAMPION)

    @property
    def previous(self) -> Variant | None:
        """The champion before, kept warm."""
        return next((variant for variant in self.variants if variant.role is Role.PREVIOUS), None)

    @property
    def stand_in(self) -> Variant | None:
        """The previous version while it answers for a stopped champion."""
        return self.previous if self.stop is not None and self.stop.mode is StopMode.PREVIOUS else None

    @property
    def answering(self) -> tuple[Variant, ...]:
        """Whose answers are at stake: the champion's, stopped or not, and those of the version that stands in for it."""
        return (self.champion,) if self.stand_in is None else (self.champion, self.stand_in)

    @property
    def challengers(self) -> tuple[Variant, ...]:
        """The variants in shadow."""
        return tuple(variant for variant in self.variants if variant.role is Role.CHALLENGER)


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """What a model server reads: a deployment, and whether requests may say when they happened (`x-event-time`)."""

    deployment: Deployment
    replay: bool = False


class DeploymentChanged(Event, frozen=True):
    """A deployment has a new generation. `change` is deployed, challenger_set, challenger_removed, promoted, rolled_back, …"""

    name: ClassVar[str] = "deployment.changed"

    deployment: str
    project: str
    generation: int
    change: str
    version: str


def crowned(deployment: Deployment, champion: Variant) -> Deployment:
    """Make a variant champion; the one before stands by as previous, and a stop, which was meant for it, ends.

    Raises
    ------
    Conflict
        If it is champion already.
    """
    before = deployment.champion
    if before.version == champion.version:
        raise Conflict(
            f"{champion.version} is already the champion of {deployment.name}",
            code="deployment.champion",
            hint="nothing is left to do",
        )
    rest = [variant for variant in deployment.challengers if variant.version != champion.version]
    stand_by = msgspec.structs.replace(before, name=Role.PREVIOUS.value, role=Role.PREVIOUS)
    crown = msgspec.structs.replace(champion, name=Role.CHAMPION.value, role=Role.CHAMPION)
    return _changed(deployment, variants=(crown, stand_by, *rest), stop=None)


def shadowed(deployment: Deployment, challenger: Variant) -> Deployment:
    """Add a challenger.

    Raises
    ------
    Conflict
        If the version answers or is in shadow already.
    """
    if any(v.version == challenger.version and v.role is not Role.PREVIOUS for v in deployment.variants):
        raise Conflict(
            f"{challenger.version} is already part of {deployment.name}",
            code="deployment.challenger",
            hint="`perenne deploy show NAME` tells as what",
        )
    variant = msgspec.structs.replace(challenger, name=f"challenger-{challenger.version}", role=Role.CHALLENGER)
    return _changed(deployment, variants=(*deployment.variants, variant))


def unshadowed(deployment: Deployment, version: str) -> Deployment:
    """Remove a challenger. Raises NotFound if it is none."""
    gone = find_challenger(deployment, version)
    return _changed(deployment, variants=tuple(variant for variant in deployment.variants if variant is not gone))


def find_challenger(deployment: Deployment, version: str) -> Variant:
    """Return the variant of a version in shadow. Raises NotFound if it is none."""
    for variant in deployment.challengers:
        if variant.version == version:
            return variant
    raise NotFound(
        f"{version} is no challenger of {deployment.name}",
        code="deployment.challenger_not_found",
        hint="`perenne deploy show NAME` tells who answers in shadow",
    )


def rolled_back(deployment: Deployment) -> Deployment:
    """Make the previous champion answer again; the present one leaves.

    Raises
    ------
    Conflict
        If none stands by.
    """
    before = require_previous(deployment)
    crown = msgspec.structs.replace(before, name=Role.CHAMPION.value, role=Role.CHAMPION)
    rest = [variant for variant in deployment.challengers if variant.version != crown.version]
    return _changed(deployment, variants=(crown, *rest), stop=None)


def require_previous(deployment: Deployment) -> Variant:
    """Return the previous champion. Raises Conflict if none stands by."""
    if deployment.previous is None:
        raise Conflict(
            f"{deployment.name} has no previous version to go back to",
            code="deployment.no_previous",
            hint="deploy another version, or stop it with a constant answer",
        )
    return deployment.previous


def stopped(deployment: Deployment, stop: Stop, answer: Constant | None) -> Deployment:
    """Stop the champion's answers; or, while the previous version stands in, that one's as well: the constant is left.

    Raises
    ------
    Conflict
        If it is stopped already, or the one that is to answer does not exist.
    """
    if deployment.stop is not None and (deployment.stand_in is None or stop.mode is not StopMode.CONSTANT):
        raise Conflict(
            f"{deployment.name} is stopped already",
            code="deployment.stopped",
            hint="`perenne deploy resume NAME` lets it answer again",
        )
    answer = deployment.answer if answer is None else answer
    if stop.mode is StopMode.PREVIOUS:
        require_previous(deployment)
    elif answer is None:
        raise Conflict(f"{deployment.name} has no constant answer", code="deployment.no_answer", hint="give one with the stop")
    return _changed(deployment, stop=stop, answer=answer)


def resumed(deployment: Deployment) -> Deployment:
    """Let the champion answer again. Raises Conflict if it is not stopped."""
    if deployment.stop is None:
        raise Conflict(
            f"{deployment.name} is not stopped",
            code="deployment.not_stopped",
            hint="`perenne deploy show NAME` tells how it stands",
        )
    return _changed(deployment, stop=None)


def _changed(deployment: Deployment, **values: object) -> Deployment:
    return msgspec.structs.replace(deployment, generation=deployment.generation + 1, **values)
