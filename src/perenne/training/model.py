"""What training decides and finds: the plan of rows and columns, trials, and the evaluation of what will be served."""

from typing import Any

import msgspec

from perenne.core.clock import DAY
from perenne.stats.columns import Field, Task
from perenne.stats.curves import Curves
from perenne.stats.layout import Watched
from perenne.stats.promotion import Contest


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """What the project says about rows and columns, without its functions.

    Attributes
    ----------
    dataset : str
        Its name, for messages.
    time, key : str, optional
        The column that says when a row was known, and the one that names it.
    target : str
        The column to predict.
    ignore : tuple of str
        Columns that may not be used.
    positive : str, optional
        The level of a binary target that counts as positive.
    slices : tuple of str
        Columns by which bounds look at groups.
    holdout : int
        The newest stretch of time that is kept for judging, in microseconds; without a time column, a fifth of the rows.
    window : int
        The length of a monitoring window, in microseconds: the reference is cut into parts of about that length.
    watched : Watched
        What is watched in production beside inputs and answers.
    seed : int
        What everything random starts from.
    """

    dataset: str
    time: str | None = None
    key: str | None = None
    target: str
    ignore: tuple[str, ...] = ()
    positive: str | None = None
    slices: tuple[str, ...] = ()
    holdout: int
    window: int = DAY
    watched: Watched = Watched()
    seed: int


class LeftOut(msgspec.Struct, frozen=True):
    """A column that is not used, and why."""

    column: str
    reason: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows and columns are used for what. Rows are in time order, or shuffled by the seed where there is no time.

    Attributes
    ----------
    task : Task
        What kind of answer is learned.
    target : str
        The column that is predicted.
    classes : tuple
        The labels in the order of their indices; the last of two is the positive one. Empty for a number.
    fields : tuple of Field
        The model's inputs.
    slices : tuple of str
        Columns by which objectives and guardrails look at groups.
    time : str
        The column that orders the rows, or an empty text.
    left_out : tuple of LeftOut
        What is not used.
    rows : int
        Rows with a target.
    unlabelled : int
        Rows without one, which are not used.
    train, validation : int
        Where the training rows end, and where the validation rows end; the rest is the holdout.
    chunks : int
        Into how many parts of time the monitoring reference is cut, to learn how much it varies by itself.
    holdout_start, holdout_end : int, optional
        Time of the first and the last row of the holdout, microseconds.
    seed : int
        What everything random starts from.
    watched : Watched
        What is watched in production beside inputs and answers.
    """

    task: Task
    target: str
    classes: tuple[str | int | float | bool, ...]
    fields: tuple[Field, ...]
    slices: tuple[str, ...]
    time: str
    left_out: tuple[LeftOut, ...]
    rows: int
    unlabelled: int
    train: int
    validation: int
    chunks: int
    holdout_start: int | None
    holdout_end: int | None
    seed: int
    watched: Watched = Watched()


class Trial(msgspec.Struct, frozen=True):
    """One set of parameters tried on the validation rows; `seconds` is the CPU time of the fit."""

    parameters: dict[str, Any]
    metric: str
    value: float | None
    seconds: float
    estimator: str


class Measured(msgspec.Struct, frozen=True):
    """A metric on the holdout with its 95 % interval."""

    metric: str
    value: float | None
    low: float | None
    high: float | None


class BoundCheck(msgspec.Struct, frozen=True):
    """An objective or a guardrail held against the holdout. `met` is None if it could not be measured."""

    kind: str
    check: str
    value: float | None
    low: float | None
    high: float | None
    limit: float
    met: bool | None
    detail: str


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What a challenger has to show against a champion.

    Attributes
    ----------
    mode : str
        `superior`, `non_inferior` or `fresh`: not worse on the older rows of the holdout, better on the newer ones.
    alpha, min_effect, margin : float
        As for `perenne.stats.promotion.Demand`.
    minimum : int
        On fewer labelled rows nothing is decided.
    slices : tuple of str
        Columns in whose groups it must not be worse by `slice_margin`.
    cluster : str
        `day` or a column: rows that belong together; empty if each stands for itself.
    since : int
        Where the newer rows begin, microseconds; half of the holdout where that leaves too few on one side.
    """

    mode: str = "superior"
    alpha: float = 0.05
    min_effect: float = 0.0
    margin: float = 0.0
    minimum: int = 0
    slices: tuple[str, ...] = ()
    slice_margin: float = 0.0
    cluster: str = ""
    since: int = 0


class Compared(msgspec.Struct, frozen=True):
    """Challenger against champion on the same rows; a positive difference is in the challenger's favour.

    `p_superior` is the one-sided p-value of "not better": small means better. `curves` are the champion's, on these rows.
    `contests` are the tests that were asked for, on all rows, on the older and the newer, and in groups.
    """

    metric: str
    champion: float | None
    challenger: float | None
    difference: float | None
    low: float | None
    high: float | None
    p_superior: float | None
    rows: int
    reason: str = ""
    curves: Curves | None = None
    contests: tuple[Contest, ...] = ()


class SliceMetric(msgspec.Struct, frozen=True):
    """A metric in one group of the holdout with its 95 % interval; no value where the group is too small to tell."""

    by: str
    group: str
    rows: int
    metric: str
    value: float | None = None
    low: float | None = None
    high: float | None = None


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """What the packaged model does on rows it has never seen, in the form that will be served.

    `fallback` is the most frequent class or the median: what can be answered without a model. `slices` looks at groups, `curves`
    at all rows; both are None or empty in evaluations of before they were kept.
    """

    rows: int
    metrics: tuple[Measured, ...]
    checks: tuple[BoundCheck, ...]
    parity: str
    fallback: str | int | float | bool | None
    latency_p50_ms: float
    latency_p99_ms: float
    rows_per_second: float
    size_bytes: int
    slices: tuple[SliceMetric, ...] = ()
    curves: Curves | None = None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a round found, kept by content for whoever looks at its run or its version later.

    Attributes
    ----------
    best : int
        Which of the trials was taken.
    champion : str
        The version it was compared with, or an empty text.
    """

    trials: tuple[Trial, ...]
    best: int
    plan: Plan
    evaluation: Evaluation
    champion: str = ""
    compared: Compared | None = None


class Variant(msgspec.Struct, frozen=True):
    """Rows to learn from: a snapshot, whole or without the rows where `column` has the value `without` (None: no value)."""

    name: str
    snapshot: str
    column: str = ""
    without: str | None = None


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """A metric on the held-out rows, or in one group of them, with 95 % intervals; None where there are too few rows to tell.

    `difference` is to the first variant, by the paired bootstrap over the rows; above 0 is better, whichever way the metric runs.
    """

    metric: str
    by: str = ""
    group: str = ""
    rows: int
    value: float | None = None
    low: float | None = None
    high: float | None = None
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None

    @property
    def verdict(self) -> str:
        """What the interval of the difference says: better, worse, or not told apart; unknown without one."""
        if self.difference_low is None or self.difference_high is None:
            return "unknown"
        if self.difference_low > 0:
            return "better"
        return "worse" if self.difference_high < 0 else "not told apart"


class VariantImpact(msgspec.Struct, frozen=True, kw_only=True):
    """What a model learned from one variant of the data did.

    Attributes
    ----------
    rows : int
        Rows it learned from.
    held_out, unknown : int
        Rows kept from it: those held out, or not earlier than these; and those whose label the question does not have.
    lacking : tuple of str
        Columns that this data does not have; they counted as missing in every row.
    seconds : float
        CPU time of the fit.
    effects : tuple of Effect
        Every metric over all held-out rows, then in groups.
    """

    variant: Variant
    rows: int
    held_out: int
    unknown: int
    lacking: tuple[str, ...]
    estimator: str
    seconds: float
    effects: tuple[Effect, ...]


class Impact(msgspec.Struct, frozen=True, kw_only=True):
    """The same model and seed over several variants of the data, judged on the same rows; the first is compared with.

    Attributes
    ----------
    judged_on : str
        The snapshot of which `holdout` rows were held out.
    leave_out : str
        The column whose values were left out one after the other, or an empty text.
    """

    dataset: str
    judged_on: str
    holdout: int
    parameters: dict[str, Any]
    seed: int
    leave_out: str
    variants: tuple[VariantImpact, ...]
