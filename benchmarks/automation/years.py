"""Simulated years: a stream whose truth is known, answered by models that are really fitted and really judged.

A year is 365 windows of a day. Rows have four inputs; the answer is one of two, drawn with a probability that a concept (a
direction in the space of three of the inputs) gives it, so that how good a model truly is can be computed instead of estimated.
Models are logistic regressions on the last 90 days. Profiles, drift, bounds, paired tests and decisions are those of perenne.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from perenne.automation.backtest.model import Compared, Measured, Stretch, Trained
from perenne.automation.backtest.replay import Beside, Heard
from perenne.core.clock import DAY, HOUR, parse_time
from perenne.formats.windows import LATENCY_EDGES_US
from perenne.monitoring import replaying
from perenne.projects import Mode, Objective, Promotion, RetrainPolicy
from perenne.registry import Verdict
from perenne.stats.cells import Reference
from perenne.stats.columns import Field, FieldKind, Task
from perenne.stats.fairness import wilson
from perenne.stats.profile import Profile
from perenne.stats.promotion import Demand, Shown, by_counts, combined

Array = NDArray[np.float64]
BEGIN = parse_time("2025-01-06")
DAYS, BEFORE, ROWS = 365, 120, 250
HISTORY, HOLDOUT = 90, 14
INPUTS = ("one", "two", "three", "idle")
STEEP = 3.0
SECONDS_A_FIT = 60.0
LATENCY = (0,) * 14 + (ROWS,) + (0,) * (len(LATENCY_EDGES_US) - 14)
_FIELDS = tuple(Field(name, FieldKind.NUMBER) for name in INPUTS)


@dataclass(frozen=True)
class Day:
    """What a day is like: the concept, a shift of the inputs, the share of wrong labels, and whether sources are broken."""

    angle: float = 0.0
    shift: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    noise: float = 0.0
    broken: bool = False


Scenario = Callable[[int], Day]


def no_change(day: int) -> Day:
    """Nothing changes."""
    return Day()


def harmless(day: int) -> Day:
    """An input that nothing depends on shifts for good."""
    return Day(shift=(0, 0, 0, 1.0 if day >= 150 else 0.0))


def gradual(day: int) -> Day:
    """The concept turns by a quarter over eight months, and the inputs wander."""
    done = min(1.0, max(0.0, (day - 60) / 240))
    return Day(angle=90 * done, shift=(0.6 * done, 0, 0, 0))


def sudden(day: int) -> Day:
    """The concept turns within a day, and an input jumps."""
    return Day(angle=60, shift=(0.8, 0, 0, 0)) if day >= 150 else Day()


def unseen(day: int) -> Day:
    """The concept turns within a day, and no input tells."""
    return Day(angle=50) if day >= 150 else Day()


def recurring(day: int) -> Day:
    """Two seasons take turns, two months each."""
    return Day(angle=50, shift=(0.8, 0, 0, 0)) if max(0, day) // 60 % 2 else Day()


def noisy(day: int) -> Day:
    """For two months a fifth of the labels are wrong."""
    return Day(noise=0.2) if 150 <= day < 210 else Day()


def broken(day: int) -> Day:
    """From some day on what is trained on has two inputs swapped; what is answered has not."""
    return Day(broken=day >= 150)


SCENARIOS: dict[str, Scenario] = {
    "no change": no_change,
    "harmless shift": harmless,
    "gradual": gradual,
    "sudden": sudden,
    "sudden, unseen": unseen,
    "recurring": recurring,
    "label noise": noisy,
    "refit is worse": broken,
}


def weights(angle: float) -> Array:
    """Return the direction of a concept."""
    turned = np.deg2rad(angle)
    return STEEP * np.array([np.cos(turned), np.sin(turned), 0.5, 0.0])


@dataclass
class Rows:
    """A day's rows: inputs, the true probabilities, the labels as they come, and the inputs as training sees them."""

    x: Array
    p: Array
    y: NDArray[np.int64]
    seen: Array


@dataclass
class Fitted:
    """A logistic regression, with its monitoring reference."""

    name: str
    beta: Array
    holdout: tuple[Array, NDArray[np.int64]]

    def scores(self, x: Array) -> Array:
        """Return the probability of the second class."""
        found: Array = 1 / (1 + np.exp(-np.clip(x @ self.beta[:-1] + self.beta[-1], -30, 30)))
        return found

    @cached_property
    def reference(self) -> Reference:
        """The cells of its holdout."""
        x, y = self.holdout
        p = self.scores(x)
        return Reference.fit(
            columns_of(x), _FIELDS, chunks=HOLDOUT, scores=np.column_stack([1 - p, p]), predictions=(p >= 0.5).astype(np.int64),
            labels=np.array(["no", "yes"], object)[y], task=Task.BINARY, classes=("no", "yes"),
        )  # fmt: skip


def columns_of(x: Array) -> dict[str, Array]:
    """Return inputs by name."""
    return {name: x[:, place] for place, name in enumerate(INPUTS)}


def fit(name: str, x: Array, y: NDArray[np.int64], holdout: tuple[Array, NDArray[np.int64]]) -> Fitted:
    """Fit by Newton's method."""
    design = np.column_stack([x, np.ones(len(x))])
    beta = np.zeros(design.shape[1])
    for _ in range(12):
        p = 1 / (1 + np.exp(-np.clip(design @ beta, -30, 30)))
        slope = design.T @ (y - p) - 0.5 * beta
        curve = (design * (p * (1 - p))[:, None]).T @ design + 0.5 * np.eye(len(beta))
        step = np.linalg.solve(curve, slope)
        beta = beta + step
        if np.abs(step).max() < 1e-6:
            break
    return Fitted(name, beta, holdout)


@dataclass
class Year:
    """One year of a scenario: a `World` of perenne's replay."""

    scenario: Scenario
    seed: int
    objective: float = 0.80
    days: int = DAYS
    clear: int = 1
    lag: int = 1
    fits: int = 0
    models: dict[str, Fitted] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        self._rows = {day: self._draw(rng, day) for day in range(-BEFORE, self.days)}
        self.stretches = tuple(Stretch(BEGIN + day * DAY, DAY) for day in range(self.days))
        self._heard: dict[tuple[str, int, bool], Heard] = {}
        self._verdicts: dict[tuple[str, int], Any] = {}
        self._watch = replaying.Watch(
            deployment="year", version="", project="year", reference="", window_length=DAY,
            objectives=(Objective("accuracy", at_least=self.objective),), confirm=1, clear=1,
        )  # fmt: skip
        self.first = self._fit(0).name

    def _draw(self, rng: np.random.Generator, day: int) -> Rows:
        state = self.scenario(day)
        x = rng.normal(size=(ROWS, len(INPUTS))) + np.array(state.shift)
        p = 1 / (1 + np.exp(-x @ weights(state.angle)))
        y = (rng.random(ROWS) < p).astype(np.int64)
        wrong = rng.random(ROWS) < state.noise
        seen = x[:, [1, 0, 2, 3]] if state.broken else x
        return Rows(x, p, np.where(wrong, 1 - y, y), seen)

    @property
    def objectives(self) -> Sequence[Objective]:
        """What the models are held to."""
        return self._watch.objectives

    def labelled_at(self, window: int) -> int | None:
        """Tell when the labels of a day have come."""
        return self.stretches[window].end + self.lag * DAY

    def labels(self, window: int) -> int:
        """Count the labelled rows of a day: all of them."""
        return ROWS

    def hear(self, model: str, window: int, *, labels: bool) -> Heard:
        """Judge a day as if a model had answered it."""
        key = (model, window, labels)
        if key not in self._heard:
            self._heard[key] = self._judge(self.models[model], window, labels=labels)
        return self._heard[key]

    def _judge(self, model: Fitted, day: int, *, labels: bool) -> Heard:
        rows, start = self._rows[day], self.stretches[day].start
        watch = msgspec.structs.replace(self._watch, version=model.name)
        right = int(((model.scores(rows.x) >= 0.5) == rows.y).sum())
        (low, high), value = wilson(right, ROWS, 1.96), right / ROWS
        metric = replaying.WindowMetric(
            deployment="year", variant="champion", version=model.name, window_start=start, window_length=DAY, metric="accuracy",
            n_labelled=ROWS, rows_labelled=ROWS, watermark=start + DAY, value=value, low=low, high=high, rows=ROWS,
        )  # fmt: skip
        verdict = replaying.with_labels(watch, self._verdict(model, day), [metric] if labels else [])
        found = tuple(replaying.findings(watch, verdict))
        return Heard(verdict, found, Measured(value, low, high, ROWS, value < self.objective))

    def _verdict(self, model: Fitted, day: int) -> Any:
        """Judge a day by its profile; once for each model."""
        if (model.name, day) not in self._verdicts:
            rows, start, p = self._rows[day], self.stretches[day].start, model.scores(self._rows[day].x)
            profile = Profile.empty(model.reference)
            profile.add(columns_of(rows.x), (p >= 0.5).astype(np.int64), np.column_stack([1 - p, p]))
            window = replaying.Window(
                deployment="year", variant="champion", version=model.name, window_start=start, window_length=DAY, reference="",
                rows=ROWS, dropped=0, errors=0, first=start, last=start + DAY - 1, latency=LATENCY, agreed=0, compared=0,
                profile=profile.to_bytes(), revision=1,
            )  # fmt: skip
            watch = msgspec.structs.replace(self._watch, version=model.name)
            self._verdicts[model.name, day] = replaying.judge_again(watch, model.reference, window, start + DAY)
        return self._verdicts[model.name, day]

    def train(self, now: int, champion: str, policy: RetrainPolicy, terms: Promotion, since: int) -> Trained:
        """Fit on the days whose labels have come, and hold the result against a champion on the newest of them."""
        day = (now - BEGIN) // DAY - self.lag
        made = self._fit(day)
        self.fits += 1
        shown, detail, compared = self._contest(made, self.models[champion], day, terms, since)
        verdict = {Shown.PASS: Verdict.PASS, Shown.FAIL: Verdict.FAIL, Shown.UNKNOWN: Verdict.UNKNOWN}[shown]
        return Trained(model=made.name, verdict=verdict, detail=detail, compared=compared, cpu_seconds=SECONDS_A_FIT, length=HOUR)

    def _fit(self, day: int) -> Fitted:
        name = f"day {day}"
        if name not in self.models:
            learnt = [self._rows[one] for one in range(max(-BEFORE, day - HISTORY - HOLDOUT), day - HOLDOUT)]
            held = [self._rows[one] for one in range(max(-BEFORE, day - HOLDOUT), day)]
            x, y = np.concatenate([rows.seen for rows in learnt]), np.concatenate([rows.y for rows in learnt])
            holdout = np.concatenate([rows.seen for rows in held]), np.concatenate([rows.y for rows in held])
            self.models[name] = fit(name, x, y, holdout)
        return self.models[name]

    def _contest(
        self, made: Fitted, champion: Fitted, day: int, terms: Promotion, since: int
    ) -> tuple[Shown, str, Compared | None]:
        """Hold two models against each other on the days of the holdout; after drift the days since then are the new ones."""
        days = range(max(-BEFORE, day - HOLDOUT), day)
        begin = (since - BEGIN) // DAY
        superior = Demand("superior", terms.alpha, terms.min_effect)
        parts = {"all": (list(days), superior)}
        if terms.mode is Mode.FRESH:
            new, old = [one for one in days if one >= begin], [one for one in days if one < begin]
            parts = {"new": (new or list(days), superior)}
            if old:
                parts["old"] = (old, Demand("non_inferior", terms.alpha, margin=terms.margin))
        elif terms.mode is Mode.NON_INFERIOR:
            parts = {"all": (list(days), Demand("non_inferior", terms.alpha, margin=terms.margin))}
        found = [by_counts(*self._counts(made, champion, chosen), demand, part=part) for part, (chosen, demand) in parts.items()]
        rows, wins, losses = self._counts(made, champion, list(days))
        difference = (wins - losses) / rows
        half = 1.96 * np.sqrt(max(wins + losses - (wins - losses) ** 2 / rows, 1e-9)) / rows
        compared = Compared(difference, difference - half, difference + half, rows)
        return combined(found), "; ".join(one.sentence for one in found), compared

    def _counts(self, made: Fitted, champion: Fitted, days: Sequence[int]) -> tuple[int, int, int]:
        """Count rows, and those that only the one or only the other has right, on what training sees."""
        rows = [self._rows[day] for day in days]
        x, y = np.concatenate([one.seen for one in rows]), np.concatenate([one.y for one in rows])
        one, two = (((model.scores(x) >= 0.5) == y) for model in (made, champion))
        return len(y), int((one & ~two).sum()), int((two & ~one).sum())

    def beside(self, challenger: str, champion: str, window: int) -> Beside:
        """Let a challenger answer a day unseen, on what people send."""
        rows = self._rows[window]
        one, two = (((self.models[name].scores(rows.x) >= 0.5) == rows.y) for name in (challenger, champion))
        return Beside(ROWS, ROWS, int((one & ~two).sum()), int((two & ~one).sum()))

    def later(self, challenger: str, champion: str, since: int) -> Compared | None:
        """Compare two models on the four weeks after an instant, by how often they truly are right: no chance is left."""
        begin = max(0, (since - BEGIN) // DAY)
        days = range(begin, min(self.days, begin + 28))
        if len(days) < 7:
            return None
        gain = float(np.mean([self.true(challenger, day) - self.true(champion, day) for day in days]))
        return Compared(gain, gain, gain, len(days) * ROWS)

    def true(self, model: str, day: int) -> float:
        """Return how often a model is right on the rows of a day, by the probabilities they were drawn with."""
        rows = self._rows[day]
        said = self.models[model].scores(rows.x) >= 0.5
        return float(np.where(said, rows.p, 1 - rows.p).mean())

    def best(self, day: int) -> float:
        """Return how often the best of all models would be right on the rows of a day."""
        p = self._rows[day].p
        return float(np.maximum(p, 1 - p).mean())
