"""What is known of how right answers are, in shapes that travel."""

import msgspec

from perenne.stats.outcomes import Inside
from perenne.stats.slices import Slice

MINIMUM_COVERAGE = 0.3
"""With fewer labels a window is shown, and raises nothing."""


class WindowMetric(msgspec.Struct, frozen=True, kw_only=True):
    """A metric of one window from the labels that have come.

    Attributes
    ----------
    by, group : str
        The slice, empty for all rows; of a fairness metric the group that is worst off.
    n_labelled : int
        Rows the metric rests on.
    rows_labelled, rows : int
        Rows of the whole window with a label, and all of them.
    watermark : int
        Time of the newest label.
    """

    deployment: str
    variant: str
    version: str
    window_start: int
    window_length: int
    metric: str
    by: str = ""
    group: str = ""
    n_labelled: int
    rows_labelled: int
    watermark: int
    value: float | None
    low: float | None
    high: float | None
    rows: int = 0

    @property
    def coverage(self) -> float:
        """Share of the window's rows whose label is known."""
        return min(1.0, self.rows_labelled / self.rows) if self.rows else 0.0

    @property
    def trusted(self) -> bool:
        """Whether enough labels have come to judge by; those that come early may be a biased sample."""
        return self.coverage >= MINIMUM_COVERAGE


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
