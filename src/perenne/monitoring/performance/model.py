"""What is known of how right answers are, in shapes that travel."""

import msgspec

from perenne.stats.outcomes import Inside
from perenne.stats.slices import Slice


class Contribution(msgspec.Struct, frozen=True):
    """How closely an input goes with the answer, in the reference and in a window: eta, and r with its sign."""

    feature: str
    state: str
    reference: float
    window: float
    correlation_reference: float
    correlation_window: float


class Contributions(msgspec.Struct, frozen=True):
    """What became of the relations between inputs and answer.

    Attributes
    ----------
    largest, mean : float
        The largest change of any input's index, and the mean of all, weighted by the reference's index.
    moved : tuple of Contribution
        Those that changed most, alarms first.
    """

    largest: float
    mean: float
    moved: tuple[Contribution, ...] = ()


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """How far an estimate lies from what came true on the same labelled rows.

    Attributes
    ----------
    gap, low, high : float
        Estimated less realised, and its interval.
    limit : float
        From where on it matters: material, and beyond what the reference's own parts did.
    wide : bool
        Whether the model does worse than its estimate, materially and beyond chance and the reference's own spread.
    """

    metric: str
    estimated: float
    realised: float
    gap: float
    low: float
    high: float
    rows: int
    limit: float
    wide: bool


class Labelled(msgspec.Struct, frozen=True):
    """What the labelled rows of a window say beyond its metrics; `loss` is their mean loss, from 0 to 1."""

    loss: float
    gaps: tuple[Gap, ...] = ()
    slices: tuple[Slice, ...] = ()
    inside: Inside | None = None


class Firing(msgspec.Struct, frozen=True, kw_only=True):
    """A detector that saw the loss of a label stream change for the worse.

    Attributes
    ----------
    detector, segment : str
        `cusum` or `adwin`; of which group, empty for all.
    at, labels : int
        When the label came, and how many had come by then.
    window : int
        Start of the window of its prediction.
    before, after : float
        Mean loss before and since, from 0 to 1.
    """

    detector: str
    segment: str
    at: int
    labels: int
    window: int
    before: float
    after: float


class Concept(msgspec.Struct, frozen=True):
    """What label streams say of a window: detectors that fired in it, and whether an earlier firing is not over yet."""

    firings: tuple[Firing, ...] = ()
    lasting: bool = False
