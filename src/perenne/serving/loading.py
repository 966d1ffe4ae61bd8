"""A version in memory: loaded, checked against its own example, warmed, and its cost known."""

import time
from pathlib import Path

from perenne.core.errors import PerenneError
from perenne.inference import Prediction, Predictor, load
from perenne.serving.admission import Admission
from perenne.serving.model import Release, Variant
from perenne.serving.releases import package_folder
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
    fixed_us, row_us : float
        What a call costs, and what each row adds, in microseconds on this machine.
    """

    def __init__(self, version: str, tree: str, predictor: Predictor) -> None:
        self.version = version
        self.model, _, self.number = version.rpartition("@")
        self.tree = tree
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
    """Who answers now: the release, and its champion and previous version, loaded. Replaced whole, never changed.

    Attributes
    ----------
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
        problem: str = "",
        stand_in: bool = False,
    ) -> None:
        self.release = release
        self.deployment = release.deployment
        self.champion = champion
        self.previous = previous
        self.problem = problem
        self.stand_in = stand_in


class _Loading:
    """Loads the packages of a release that may be loaded; versions that are in memory already are taken over."""

    def __init__(self, folder: Path, release: Release, present: Lineup | None, admission: Admission) -> None:
        self._folder = folder
        self._release = release
        self._admission = admission
        self._at_hand = {known.tree: known for known in (present.champion, present.previous) if known} if present else {}

    def load(self, variant: Variant) -> LoadedVersion:
        """Load a variant. Raises PerenneError if its package may not be loaded, is damaged or answers otherwise than once."""
        admitted = self._admission.admit(self._release, variant.tree)
        known = self._at_hand.get(variant.tree)
        if known is not None:
            return known
        package = load(package_folder(self._folder, variant.tree), manifest=admitted.manifest)
        return LoadedVersion(variant.version, variant.tree, package)


def load_lineup(folder: Path, release: Release, present: Lineup | None, admission: Admission | None = None) -> Lineup:
    """Load what a release needs and `admission` lets in; versions that are in memory already are taken over.

    A previous version that cannot be loaded is left out: it must not keep the champion from answering. If it is the champion that
    cannot be loaded, and no other release answers yet, the previous version stands in for it.

    Raises
    ------
    PerenneError
        If the champion cannot be loaded and nobody can stand in for it.
    """
    loading = _Loading(folder, release, present, admission or Admission())
    deployment = release.deployment
    previous, problem = None, ""
    if deployment.previous is not None:
        try:
            previous = loading.load(deployment.previous)
        except Exception as error:
            problem = f"{deployment.previous.version}, the version before, cannot be loaded: {reason_of(error)}"
    try:
        champion = loading.load(deployment.champion)
    except Exception as error:
        if previous is None or (present is not None and not present.stand_in):
            raise
        problem = (
            f"{previous.version} answers in place of {deployment.champion.version}, which cannot be loaded: {reason_of(error)}"
        )
        return Lineup(release, previous, None, problem=problem, stand_in=True)
    return Lineup(release, champion, previous, problem=problem)


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
