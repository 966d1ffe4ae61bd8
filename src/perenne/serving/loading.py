"""A version in memory: loaded, checked against its own example, warmed, and its cost known."""

import time
from collections.abc import Mapping
from pathlib import Path

from perenne.core.errors import Invalid, PerenneError
from perenne.inference import Prediction, Predictor, Signature, load
from perenne.serving.model import Release, Variant
from perenne.serving.releases import package_folder
from perenne.serving.routing import Chooser
from perenne.stats.columns import Columns, absent

_PROBE_ROWS = 64
_PROBES = 5


class LoadedVersion:
    """A version that can answer.

    Attributes
    ----------
    version, model, number : str
        `name@number`, and its two parts.
    tree : str
        Digest of its package.
    predictor : Predictor
        Answers columns.
    folder : Path
        Where its package lies; it may be gone later.
    fixed_us, row_us : float
        What a call costs, and what each row adds, in microseconds on this machine.
    """

    def __init__(self, version: str, tree: str, predictor: Predictor, folder: Path) -> None:
        self.version = version
        self.model, _, self.number = version.rpartition("@")
        self.tree = tree
        self.folder = folder
        self.predictor = predictor
        self.signature = predictor.signature
        self.fixed_us, self.row_us = _cost(predictor)

    def cost_us(self, rows: int) -> float:
        """Estimate what predicting some rows costs, in microseconds."""
        return self.fixed_us + rows * self.row_us

    def accepts(self, columns: Columns) -> bool:
        """Tell whether the columns, read for another version, hold all this one takes."""
        return columns.keys() >= set(self.signature.names)

    def predict(self, columns: Columns) -> Prediction:
        """Answer rows."""
        return self.predictor.predict(columns)


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
        self.chooser: Chooser | None = None
        self.rule_out(frozenset(), None)

    @property
    def loaded(self) -> tuple[LoadedVersion, ...]:
        """Every version in memory, each once."""
        every = (self.champion, self.previous, self.fallback, *self.canaries.values())
        return tuple({version.tree: version for version in every if version is not None}.values())

    def rule_out(self, trees: frozenset[str], shares: Mapping[str, float] | None) -> None:
        """Ask some versions no more, which failed on this server, and take over a bandit's shares."""
        self.ruled_out = trees
        choice = bool(self.canaries) and not self.stand_in and self.champion.tree not in trees
        missing = {variant.tree for variant in self.deployment.canaries} - self.canaries.keys()
        self.chooser = Chooser(self.deployment, trees | missing, shares) if choice else None


def load_version(folder: Path, variant: Variant) -> LoadedVersion:
    """Load a variant from a release folder. Raises PerenneError if its package is damaged or answers otherwise than when made."""
    package = package_folder(folder, variant.tree)
    return LoadedVersion(variant.version, variant.tree, load(package), package)


def load_lineup(folder: Path, release: Release, present: Lineup | None) -> Lineup:
    """Load what a release needs; versions that are in memory already are taken over.

    A version beside the champion that cannot be loaded is left out: it must not keep the champion from answering. If it is the
    champion that cannot be loaded, and no other release answers yet, the previous version stands in for it.

    Raises
    ------
    PerenneError
        If the champion cannot be loaded and nobody can stand in for it.
    """
    beside = _Beside(folder, {known.tree: known for known in present.loaded} if present else {})
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

    def __init__(self, folder: Path, at_hand: dict[str, LoadedVersion]) -> None:
        self._folder = folder
        self._at_hand = at_hand
        self.problems: list[str] = []

    def require(self, variant: Variant) -> LoadedVersion:
        if variant.tree not in self._at_hand:
            self._at_hand[variant.tree] = load_version(self._folder, variant)
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


def check_inputs(champion: Signature, other: Signature) -> None:
    """Check that a version takes nothing that callers of the champion do not send. Raises Invalid."""
    sent = {field.name: (field.kind, field.shape) for field in champion.fields}
    lacking = [field.name for field in other.fields if sent.get(field.name) != (field.kind, field.shape)]
    if lacking:
        raise Invalid(
            f"it takes inputs the champion does not: {', '.join(lacking)}",
            code="challenger.inputs",
            hint="a challenger is asked what the champion is asked: train it on the same columns",
        )


def reason_of(error: Exception) -> str:
    """Say in a line why something could not be loaded; others' errors by their kind alone, for their text may hold a path."""
    return error.message if isinstance(error, PerenneError) else type(error).__name__


def _cost(predictor: Predictor) -> tuple[float, float]:
    one, many = (_fastest(predictor, rows) for rows in (1, _PROBE_ROWS))
    row = max(0.0, (many - one) / (_PROBE_ROWS - 1))
    return max(one - row, 0.1), row


def _fastest(predictor: Predictor, rows: int) -> float:
    columns = {field.name: absent(field, rows) for field in predictor.signature.fields}
    best = float("inf")
    for _ in range(_PROBES):
        start = time.perf_counter_ns()
        predictor.predict(columns)
        best = min(best, (time.perf_counter_ns() - start) / 1_000)
    return best
