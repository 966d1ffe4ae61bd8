"""A version in memory: loaded, checked against its own example, warmed, and its cost known."""

from pathlib import Path

from perenne.core.errors import Invalid, PerenneError
from perenne.inference import Prediction, Predictor, Signature, load
from perenne.serving.model import ReleasedPackage, Variant
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
    folder : Path
        Where its package lies; it may be gone later.
    calibration : Calibration
        Which of its forms answers how many rows, and what that costs on this machine.
    """

    def __init__(self, version: str, tree: str, predictor: Predictor, folder: Path) -> None:
        self.version = version
        self.model, _, self.number = version.rpartition("@")
        self.tree = tree
        self.folder = folder
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


def load_version(folder: Path, variant: Variant, admitted: ReleasedPackage) -> LoadedVersion:
    """Load a variant from a release folder as it was admitted: by its manifest, and pickles only if they may be loaded.

    Raises
    ------
    PerenneError
        If its package is damaged, another one, or answers otherwise than when made.
    """
    package = package_folder(folder, variant.tree)
    return LoadedVersion(
        variant.version, variant.tree, load(package, manifest=admitted.manifest, code=admitted.unpickle), package
    )


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
