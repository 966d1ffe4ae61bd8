"""Who answers now: the versions of a release in memory, whom a request goes to, and who stands in for whom."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from perenne.serving.admission import Admission
from perenne.serving.loading import LoadedVersion, check_inputs, load_version, reason_of
from perenne.serving.messages import CONSTANT, HOLDOUT, PERSON
from perenne.serving.model import Release, Role, StopMode, Variant
from perenne.serving.routing import Chooser
from perenne.stats.columns import Columns

if TYPE_CHECKING:
    from perenne.net.asgi import Headers


class Target(NamedTuple):
    """Who is to answer a request, as what and why.

    Attributes
    ----------
    loaded : LoadedVersion
        The version.
    variant : str
        Its role, or `constant`.
    reason : str
        Why, if not as usual: as `messages.Served` has it.
    name : str
        The variant's name, if that is not its role.
    seconds : float
        How long it may take; 0 for as long as the request may.
    propensity, sticky_hash : float, int
        The chance with which it was chosen, and the place of the caller's key.
    asks : bool
        Whether the version is asked; else a constant is answered.
    """

    loaded: LoadedVersion
    variant: str
    reason: str = ""
    name: str = ""
    seconds: float = 0.0
    propensity: float = 1.0
    sticky_hash: int = 0
    asks: bool = True

    @property
    def shown(self) -> str:
        """What callers read of who answered."""
        return self.name or self.variant


class Lineup:
    """Who answers now: the release, and the versions in it that can, loaded. Replaced whole, but for who is ruled out.

    Attributes
    ----------
    fallback : LoadedVersion or None
        The version named to stand in for another one, else the previous one.
    canaries : dict of str to LoadedVersion
        By package.
    chooser : Chooser or None
        Chooses between champion and canaries; None if there is nothing to choose.
    problem : str
        What could not be loaded; empty if nothing.
    stand_in : bool
        Whether `champion` is the previous version, because the champion itself cannot be loaded.
    default : Target
        Who answers if nothing is chosen.
    """

    def __init__(
        self,
        release: Release,
        champion: LoadedVersion,
        previous: LoadedVersion | None,
        *,
        fallback: LoadedVersion | None = None,
        canaries: Mapping[str, LoadedVersion] | None = None,
        problem: str = "",
        stand_in: bool = False,
    ) -> None:
        self.release = release
        self.deployment = release.deployment
        self.champion = champion
        self.previous = previous
        self.fallback = fallback or previous
        self.canaries = dict(canaries or {})
        self.problem = problem
        self.stand_in = stand_in
        self.ruled_out: frozenset[str] = frozenset()
        self.shares: Mapping[str, float] | None = None
        self.chooser: Chooser | None = None
        self.rule_out(frozenset(), None)

    @property
    def loaded(self) -> tuple[LoadedVersion, ...]:
        """Every version in memory, each once."""
        every = (self.champion, self.previous, self.fallback, *self.canaries.values())
        return tuple({version.tree: version for version in every if version is not None}.values())

    def rule_out(self, trees: frozenset[str], shares: Mapping[str, float] | None) -> None:
        """Ask some versions no more, which failed on this server, and take over a bandit's shares."""
        self.ruled_out, self.shares = trees, shares
        deployment = self.deployment
        self.default = self._default()
        missing = {variant.tree for variant in deployment.canaries} - self.canaries.keys()
        chooser = Chooser(deployment, trees | missing, shares)
        choice = len(chooser.shares) > 1 and deployment.stop is None and not self.default.reason
        self.chooser = chooser if choice else None
        others = (self._target(variant) for variant in chooser.variants[1:])
        self._chosen = (self.default, *others, *self._held_out()) if choice else ()

    def choose(self, headers: "Headers", columns: Columns) -> Target:
        """Choose who answers a request: only where there is a `chooser`."""
        assert self.chooser is not None
        choice = self.chooser.choose(headers, columns)
        target = self._chosen[choice.place]
        return target._replace(reason=choice.reason, propensity=choice.propensity, sticky_hash=choice.sticky_hash)

    def explicit(self, word: str) -> Target | None:
        """Find the version that a caller names: by the variant's name, the version, or its number; None if it is not loaded.

        A champion that is stopped, or was ruled out, is not given to those who ask for it by name either.
        """
        named = {variant.tree: variant for variant in reversed(self.deployment.variants)}
        for loaded in self.loaded:
            variant = named.get(loaded.tree)
            name = variant.name if variant else Role.PREVIOUS.value
            if word in (loaded.number, loaded.version, name):
                halted = loaded is self.champion and not self.stand_in and bool(self.default.reason)
                return self.default if halted else self._target(variant, loaded)._replace(reason="explicit")
        return None

    def stand_ins(self, target: Target, columns: Columns) -> Iterator[Target]:
        """Go through those who answer if another one fails or is too late: the champion, then the fallback."""
        champion = None if self.default.reason else self.champion
        for loaded in (champion, self.fallback):
            if loaded is not None and loaded is not target.loaded and loaded.accepts(columns):
                yield self.default if loaded is self.champion else self._fallback(loaded)

    def _default(self) -> Target:
        stop = self.deployment.stop
        if stop is not None:
            previous = self.champion if self.stand_in else self.previous
            if stop.mode is StopMode.PREVIOUS and previous is not None:
                return Target(previous, Role.PREVIOUS.value, "stopped")
            if stop.mode is StopMode.PERSON:
                return Target(self.champion, PERSON, "stopped")
            return Target(self.champion, CONSTANT, "stopped", asks=False)
        if self.stand_in:
            return Target(self.champion, Role.PREVIOUS.value, "fallback")
        if self.champion.tree in self.ruled_out and self.fallback is not None:
            return self._fallback(self.fallback)._replace(reason="fallback")
        return self._target(self.deployment.champion)

    def _held_out(self) -> tuple[Target, ...]:
        """Return who answers callers that are held out: the previous version, or nobody but the constant."""
        holdout = self.deployment.holdout
        if holdout is None:
            return ()
        if holdout.answer is None and self.previous is not None:
            return (Target(self.previous, HOLDOUT),)
        return (Target(self.champion, HOLDOUT, asks=False),)

    def _fallback(self, loaded: LoadedVersion) -> Target:
        variant = self.deployment.fallback
        role = variant.role.value if variant is not None and variant.tree == loaded.tree else Role.PREVIOUS.value
        return Target(loaded, role)

    def _target(self, variant: Variant | None, loaded: LoadedVersion | None = None) -> Target:
        if loaded is None:
            loaded = self.canaries[variant.tree] if variant is not None and variant.role is Role.CANARY else self.champion
        if variant is None or self.stand_in:
            return Target(loaded, Role.PREVIOUS.value)
        return Target(loaded, variant.role.value, name=variant.name, seconds=variant.timeout_ms / 1_000)


def load_lineup(folder: Path, release: Release, present: Lineup | None, admission: Admission | None = None) -> Lineup:
    """Load what a release needs and `admission` lets in; versions that are in memory already are taken over.

    A version beside the champion that cannot be loaded is left out: it must not keep the champion from answering. If it is the
    champion that cannot be loaded, and no other release answers yet, the previous version stands in for it.

    Raises
    ------
    PerenneError
        If the champion cannot be loaded and nobody can stand in for it.
    """
    at_hand = {known.tree: known for known in present.loaded} if present else {}
    beside = _Beside(folder, release, at_hand, admission or Admission())
    deployment = release.deployment
    previous = beside.load(deployment.previous, "the version before")
    try:
        champion = beside.require(deployment.champion)
    except Exception as error:
        if previous is None or (present is not None and not present.stand_in):
            raise
        stands_in = f"{previous.version} answers in place of {deployment.champion.version}"
        beside.problems.append(f"{stands_in}, which cannot be loaded: {reason_of(error)}")
        return Lineup(release, previous, None, problem="; ".join(beside.problems), stand_in=True)
    fallback = beside.load(deployment.fallback, "the fallback")
    asked = [variant for variant in deployment.canaries if not variant.parked]
    canaries = {variant.tree: beside.load(variant, "a canary", champion) for variant in asked}
    known = {tree: loaded for tree, loaded in canaries.items() if loaded is not None}
    return Lineup(release, champion, previous, fallback=fallback, canaries=known, problem="; ".join(beside.problems))


class _Beside:
    """Loads versions, each once, and remembers what is wrong with those that can be done without."""

    def __init__(self, folder: Path, release: Release, at_hand: dict[str, LoadedVersion], admission: Admission) -> None:
        self._folder = folder
        self._release = release
        self._at_hand = at_hand
        self._admission = admission
        self.problems: list[str] = []

    def require(self, variant: Variant) -> LoadedVersion:
        admitted = self._admission.admit(self._release, variant.tree)
        if variant.tree not in self._at_hand:
            self._at_hand[variant.tree] = load_version(self._folder, variant, admitted)
        return self._at_hand[variant.tree]

    def load(self, variant: Variant | None, words: str, champion: LoadedVersion | None = None) -> LoadedVersion | None:
        """Load a version that takes what the champion is asked, if one is given; None if that cannot be."""
        if variant is None:
            return None
        try:
            loaded = self.require(variant)
            if champion is not None:
                check_inputs(champion.signature, loaded.signature)
        except Exception as error:
            self.problems.append(f"{variant.version}, {words}, cannot be loaded: {reason_of(error)}")
            return None
        return loaded
