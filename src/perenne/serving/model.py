"""What is served: a deployment and its variants, and the pure rules by which they change.

Each rule returns the deployment after the change, one generation later, or refuses.
"""

from enum import StrEnum
from typing import ClassVar, Literal, TypeAlias

import msgspec

from perenne.core.clock import HOUR, MINUTE
from perenne.core.errors import Conflict, NotFound
from perenne.core.events import Event
from perenne.inference import SignatureState, Signed, TrustedKey
from perenne.serving.log_rules import LogRules

Constant: TypeAlias = str | int | float | bool
"""An answer that needs no model: one of the classes, or a number."""

Requirement: TypeAlias = Literal["off", "warn", "on"]
"""Whether a valid signature is needed."""

DEFAULT_WINDOW = HOUR


class Role(StrEnum):
    """What a variant does: answers, answers a share of the callers, answers nobody yet, or stands by."""

    CHAMPION = "champion"
    CANARY = "canary"
    CHALLENGER = "challenger"
    PREVIOUS = "previous"
    FALLBACK = "fallback"


STANDING_BY = (Role.PREVIOUS, Role.FALLBACK)


class Variant(msgspec.Struct, frozen=True):
    """A model version in a deployment.

    Attributes
    ----------
    name : str
        `champion`, `previous`, `fallback`, `canary-<version>` or `challenger-<version>`.
    role : Role
        What it does.
    version : str
        `name@number` in the registry.
    tree : str
        Digest of its package.
    reference : str
        SHA-256 of the reference in its package, by whose cells it is watched; empty if it has none.
    weight : float
        Of a canary, the share of callers it answers; the champion has what is left.
    slots : bytes
        Of a canary, which of the slots of callers are its own: a bit for each; see `routing`.
    mirror : float
        Of a challenger or canary, the share of the champion's requests that it answers unseen.
    timeout_ms : int
        How long it may take; who is later is stood in for, or not waited for in shadow. 0 for the server's own limit.
    parked : str
        Why it is not asked any more, after it failed; empty if it is.
    since : int
        The generation in which it was last let answer: what was found of it before does not count.
    """

    name: str
    role: Role
    version: str
    tree: str
    reference: str = ""
    weight: float = 0.0
    slots: bytes = b""
    mirror: float = 1.0
    timeout_ms: int = 0
    parked: str = ""
    since: int = 0


class Weighted(msgspec.Struct, frozen=True, tag="weighted", tag_field="kind"):
    """Each request goes to a variant by chance, by their weights."""


class Sticky(msgspec.Struct, frozen=True, tag="sticky", tag_field="kind"):
    """A caller always gets the same variant: by a key in a header of the request, or in one of its inputs.

    Attributes
    ----------
    header, field : str
        Where the key is; one of the two. A request without a key goes by chance.
    salt : str
        Mixed with the key: another salt gives each caller another place.
    """

    header: str = ""
    field: str = ""
    salt: str = ""


class BanditRule(StrEnum):
    """How a bandit weighs what it knows against what it may learn."""

    THOMPSON = "thompson"
    EPSILON = "epsilon"


class Bandit(msgspec.Struct, frozen=True, tag="bandit", tag_field="kind"):
    """Requests go to the variant that earns most, as far as is known; the weights are found from rewards.

    Attributes
    ----------
    rule : BanditRule
        Thompson sampling: by the chance that a variant is the best; or the best one but for a share.
    reward : str
        What is to be large: `correct` (the answer was the label) or `label` (its number or truth), from what comes in late.
    epsilon : float
        The share of requests that goes to all alike, so that each is tried as long as the bandit runs.
    """

    rule: BanditRule = BanditRule.THOMPSON
    reward: str = "correct"
    epsilon: float = 0.1


Route: TypeAlias = Weighted | Sticky | Bandit


class Rollback(msgspec.Struct, frozen=True, kw_only=True):
    """When a canary, or a champion that is new, is taken back without anybody asking.

    Attributes
    ----------
    automatic : bool
        Whether it is at all.
    error_rate : float
        Most of its requests that may fail, or be answered too late; more, beyond chance, ends it.
    p99_ms : float
        What all but one of a hundred requests may take; 0 for `slower` alone.
    slower : float
        How many times the champion's 99th percentile its own may be, where that is above 20 ms; 0 for no such limit.
    min_requests : int
        From how many requests on it is judged.
    agreement : float
        Least share of the same rows on which it answers like the champion; 0 for no such limit. Labels only, not numbers.
    min_rows : int
        From how many compared rows on.
    metric_alpha : float
        The chance that a version that is no worse by labels is ever taken back; 0 to leave labels out.
    window : int
        Microseconds over which requests are counted.
    watch : int
        Microseconds for which a new champion is watched.
    """

    automatic: bool = True
    error_rate: float = 0.02
    p99_ms: float = 0.0
    slower: float = 3.0
    min_requests: int = 50
    agreement: float = 0.5
    min_rows: int = 500
    metric_alpha: float = 0.01
    window: int = 5 * MINUTE
    watch: int = HOUR


class StopMode(StrEnum):
    """Who answers while a deployment is stopped."""

    CONSTANT = "constant"
    PREVIOUS = "previous"
    PERSON = "person"


class Stop(msgspec.Struct, frozen=True):
    """That a deployment is stopped: who answers meanwhile, why, since when and by whom."""

    mode: StopMode
    reason: str
    since: int
    by: str


class Holdout(msgspec.Struct, frozen=True):
    """Callers who get an answer without the model, chosen by chance: what the model does to them is seen by the difference.

    Attributes
    ----------
    share : float
        The share of callers.
    slots : bytes
        Which of the slots of callers are theirs; see `routing`.
    answer : str, number, bool or None
        The constant they get; None if the previous version answers them.
    """

    share: float
    slots: bytes
    answer: Constant | None = None


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
        Exactly one champion, at most one previous and one fallback, any number of canaries and challengers.
    window_length : int
        Microseconds of a monitoring window.
    answer : str, number, bool or None
        What is answered if no model can, and while the deployment is stopped; None if there is no such answer.
    stop : Stop or None
        Set while the deployment is stopped.
    route : Route
        By what a caller gets one of the variants that answer.
    rollback : Rollback
        When a version is taken back by itself.
    crowned : int
        When the champion became it, microseconds since 1970; 0 if that is not known.
    log : LogRules
        What is kept of its predictions, and where it goes.
    holdout : Holdout or None
        Who is answered without the model.
    """

    name: str
    project: str
    generation: int
    variants: tuple[Variant, ...]
    window_length: int = DEFAULT_WINDOW
    answer: Constant | None = None
    stop: Stop | None = None
    route: Route = Weighted()
    rollback: Rollback = Rollback()
    crowned: int = 0
    log: LogRules = LogRules()
    holdout: Holdout | None = None

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

    @property
    def canaries(self) -> tuple[Variant, ...]:
        """The variants that answer a share of the callers, beside the champion."""
        return tuple(variant for variant in self.variants if variant.role is Role.CANARY)

    @property
    def fallback(self) -> Variant | None:
        """The variant that answers where another one fails or is too late: the one named for it, else the previous one."""
        return next((variant for variant in self.variants if variant.role is Role.FALLBACK), self.previous)


class ReleasedPackage(msgspec.Struct, frozen=True):
    """What is known of a package that is served.

    Attributes
    ----------
    manifest : str
        SHA-256 of its `package.json`, which names every other file that is loaded; empty if that is not known.
    signed : Signed
        The verdict on its signature.
    unpickle : bool
        Whether pickles in it may be loaded.
    """

    manifest: str = ""
    signed: Signed = Signed(state=SignatureState.UNKNOWN, detail="it was released before signatures were looked at")
    unpickle: bool = False


class ReleasedTrust(msgspec.Struct, frozen=True):
    """What is asked of the packages of a release, whose signatures count, and what was found when it was written.

    Attributes
    ----------
    require : str
        `off`, `warn` or `on`.
    packages : dict
        By digest of the package.
    mark : str
        Another one whenever any of this is another.
    """

    require: Requirement = "off"
    keys: tuple[TrustedKey, ...] = ()
    packages: dict[str, ReleasedPackage] = {}
    mark: str = ""


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """What a model server reads: a deployment, and whether requests may say when they happened (`x-event-time`).

    `trust` says whose packages may be loaded.
    """

    deployment: Deployment
    replay: bool = False
    trust: ReleasedTrust = ReleasedTrust()


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
    stand_by = msgspec.structs.replace(before, name=Role.PREVIOUS.value, role=Role.PREVIOUS)
    return changed(deployment, variants=(_crown(champion), stand_by, *_beside(deployment, champion.version)), stop=None)


def _crown(variant: Variant) -> Variant:
    """Make a variant answer everybody; what it had of the callers as a canary is nothing beside that."""
    return msgspec.structs.replace(
        variant, name=Role.CHAMPION.value, role=Role.CHAMPION, weight=0.0, slots=b"", mirror=1.0, parked=""
    )


def _beside(deployment: Deployment, version: str) -> list[Variant]:
    """Return who stays when a version becomes champion: all but itself, the champion and the version before."""
    staying = (Role.CANARY, Role.CHALLENGER, Role.FALLBACK)
    return [v for v in deployment.variants if v.role in staying and (v.version != version or v.role is Role.FALLBACK)]


def shadowed(deployment: Deployment, challenger: Variant) -> Deployment:
    """Add a challenger.

    Raises
    ------
    Conflict
        If the version answers or is in shadow already.
    """
    if any(v.version == challenger.version and v.role not in STANDING_BY for v in deployment.variants):
        raise Conflict(
            f"{challenger.version} is already part of {deployment.name}",
            code="deployment.challenger",
            hint="`perenne deploy show NAME` tells as what",
        )
    name, since = f"challenger-{challenger.version}", deployment.generation + 1
    variant = msgspec.structs.replace(challenger, name=name, role=Role.CHALLENGER, since=since)
    return changed(deployment, variants=(*deployment.variants, variant))


def unshadowed(deployment: Deployment, version: str) -> Deployment:
    """Remove a challenger. Raises NotFound if it is none."""
    gone = find_challenger(deployment, version)
    return changed(deployment, variants=tuple(variant for variant in deployment.variants if variant is not gone))


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
    return changed(deployment, variants=(_crown(before), *_beside(deployment, before.version)), stop=None)


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
    """Stop the champion's answers; or, while the previous version stands in, that one's: the constant or people are left.

    Raises
    ------
    Conflict
        If it is stopped already, or the one that is to answer does not exist.
    """
    if deployment.stop is not None and (deployment.stand_in is None or stop.mode is StopMode.PREVIOUS):
        raise Conflict(
            f"{deployment.name} is stopped already",
            code="deployment.stopped",
            hint="`perenne deploy resume NAME` lets it answer again",
        )
    answer = deployment.answer if answer is None else answer
    if stop.mode is StopMode.PREVIOUS:
        require_previous(deployment)
    elif stop.mode is StopMode.CONSTANT and answer is None:
        raise Conflict(f"{deployment.name} has no constant answer", code="deployment.no_answer", hint="give one with the stop")
    return changed(deployment, stop=stop, answer=answer)


def resumed(deployment: Deployment) -> Deployment:
    """Let the champion answer again. Raises Conflict if it is not stopped."""
    if deployment.stop is None:
        raise Conflict(
            f"{deployment.name} is not stopped",
            code="deployment.not_stopped",
            hint="`perenne deploy show NAME` tells how it stands",
        )
    return changed(deployment, stop=None)


def changed(deployment: Deployment, **values: object) -> Deployment:
    """Return the next generation of a deployment, in which some fields have other values."""
    return msgspec.structs.replace(deployment, generation=deployment.generation + 1, **values)
