"""A version in memory: loaded, checked against its own example, warmed, and its cost known."""

from pathlib import Path

from perenne.core.errors import PerenneError
from perenne.inference import Prediction, Predictor, load
from perenne.serving.model import Release, Variant
from perenne.serving.releases import package_folder
from perenne.stats.columns import Columns


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
    calibration : Calibration
        Which of its forms answers how many rows, and what that costs on this machine.
    """

    def __init__(self, version: str, tree: str, predictor: Predictor) -> None:
        self.version = version
        self.model, _, self.number = version.rpartition("@")
        self.tree = tree
        self.predictor = predictor
        self.signature = predictor.signature
        self.calibration = predictor.calibrate()

    def cost_us(self, rows: int) -> float:
        """Estimate what predicting some rows costs, in microseconds."""
        return self.calibration.cost_us(rows)

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


def load_version(folder: Path, variant: Variant) -> LoadedVersion:
    """Load a variant from a release folder. Raises PerenneError if its package is damaged or answers otherwise than when made."""
    return LoadedVersion(variant.version, variant.tree, load(package_folder(folder, variant.tree)))


def load_lineup(folder: Path, release: Release, present: Lineup | None) -> Lineup:
    """Load what a release needs; versions that are in memory already are taken over.

    A previous version that cannot be loaded is left out: it must not keep the champion from answering. If it is the champion that
    cannot be loaded, and no other release answers yet, the previous version stands in for it.

    Raises
    ------
    PerenneError
        If the champion cannot be loaded and nobody can stand in for it.
    """
    at_hand = {known.tree: known for known in (present.champion, present.previous) if known} if present else {}
    deployment = release.deployment
    previous, problem = None, ""
    if deployment.previous is not None:
        try:
            previous = at_hand.get(deployment.previous.tree) or load_version(folder, deployment.previous)
        except Exception as error:
            problem = f"{deployment.previous.version}, the version before, cannot be loaded: {reason_of(error)}"
    try:
        champion = at_hand.get(deployment.champion.tree) or load_version(folder, deployment.champion)
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
