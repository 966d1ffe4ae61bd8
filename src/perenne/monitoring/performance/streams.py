"""Labels in order of arrival, through detectors that ask whether the model has become worse: CUSUM and ADWIN.

Every label counts once: the state moves in the transaction that takes the labels out of their batch.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perenne.monitoring.model import Stream
from perenne.monitoring.performance import stream_store
from perenne.monitoring.performance.stream_store import FIRINGS_KEPT, StreamState
from perenne.monitoring.rightness import Firing
from perenne.stats.columns import Task
from perenne.stats.outcomes import Outcomes
from perenne.stats.sequential import Cusum
from perenne.storage.database import Transaction

WARM_UP = 1_000
"""Labels whose rate is taken for the usual one where the reference does not know it."""

MAX_SEGMENTS = 40

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Arrived:
    """Labelled rows of one stream that are new, in order of arrival.

    Attributes
    ----------
    losses : float64 (rows,)
        From 0 to 1.
    windows : int64 (rows,)
        Start of the window of each.
    segments : mapping
        By name such as `plan=pro`, which rows are of it.
    """

    losses: Floats
    windows: NDArray[np.int64]
    segments: Mapping[str, NDArray[np.bool_]]


def advance(tx: Transaction, stream: Stream, arrived: Arrived, outcomes: Outcomes | None, task: Task, now: int) -> list[Firing]:
    """Feed the detectors of a stream and of its segments; return what fired. Raises Conflict if another process was first."""
    known = stream_store.states(tx, stream)
    fired: list[Firing] = []
    for segment, rows in _segments(arrived, known):
        revision, state = known.get(segment, (0, StreamState()))
        # The reference knows the rate of all rows, not of each group: a group begins with its own.
        if state.cusum is None and task is not Task.REGRESSION and outcomes is not None and not segment:
            state.cusum = Cusum.from_counts(round(outcomes.loss * outcomes.rows), outcomes.rows)
        found = feed(state, segment, arrived.losses[rows], arrived.windows[rows], now, zero_one=task is not Task.REGRESSION)
        state.firings = [*state.firings, *found][-FIRINGS_KEPT:]
        stream_store.save(tx, stream, segment, revision, state)
        fired += found
    return fired


def _segments(arrived: Arrived, known: Mapping[str, object]) -> "Iterator[tuple[str, NDArray[np.bool_]]]":
    """Yield all rows, then each group that has rows; beyond so many groups new ones are not followed."""
    if len(arrived.losses):
        yield "", np.ones(len(arrived.losses), np.bool_)
    room = MAX_SEGMENTS - sum(1 for name in known if name)
    for name, rows in sorted(arrived.segments.items()):
        if rows.any() and (name in known or room > 0):
            room -= name not in known
            yield name, rows


def feed(
    state: StreamState, segment: str, losses: Floats, windows: NDArray[np.int64], now: int, *, zero_one: bool
) -> list[Firing]:
    """Take losses in, in order of arrival, and return what fired; the state is changed in place."""
    found: list[Firing] = []
    for start, end in _pieces(state, losses, zero_one):
        piece = losses[start:end]
        fires = [("adwin", change.place, change.before, change.after) for change in state.adwin.update(piece) if change.worse]
        if zero_one and state.cusum is not None:
            usual = state.cusum.rate
            fires += [("cusum", place, usual, rate) for place, rate in state.cusum.feed(piece)]
        for detector, place, before, after in sorted(fires, key=lambda fire: fire[1]):
            found.append(
                Firing(
                    detector=detector,
                    segment=segment,
                    at=now,
                    labels=state.labels + place + 1,
                    window=int(windows[start + place]),
                    before=before,
                    after=after,
                )
            )
        state.labels += len(piece)
        state.losses += float(piece.sum())
        if zero_one and state.cusum is None and state.labels >= WARM_UP:
            state.cusum = Cusum.from_counts(round(state.losses), state.labels)
    return found


def _pieces(state: StreamState, losses: Floats, zero_one: bool) -> Iterator[tuple[int, int]]:
    """Cut at the end of the warm-up, so that the same labels give the same state however they are batched."""
    first = WARM_UP - state.labels
    cut = first if zero_one and state.cusum is None and 0 < first < len(losses) else 0
    if cut:
        yield 0, cut
    yield cut, len(losses)


def lasting(firings: Sequence[Firing], window: int, loss: float) -> bool:
    """Tell whether the loss of a window is still nearer to what it was after the newest earlier firing than to before it."""
    earlier = [firing for firing in firings if not firing.segment and firing.window < window]
    return bool(earlier) and loss > (earlier[-1].before + earlier[-1].after) / 2
