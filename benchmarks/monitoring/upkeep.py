"""What watching costs while serving: `python benchmarks/monitoring/upkeep.py`.

A model of 50 inputs (40 numbers, 10 columns of levels) and two classes. CPU seconds of this process: appending a row to a
buffer, for scale (the server sends datagrams); counting it in the observer's profile, in batches of 1,024 rows, sums and scores
included, with rows as columns of an array; the same with the combination of the inputs watched. Then the bytes of a window at
2,000, 100,000 and 1,000,000 rows of 40 features, sums included, the memory a watched version takes, and how fast windows merge.
"""

import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perenne.stats.cells import Reference
from perenne.stats.columns import Field, FieldKind, Task, take
from perenne.stats.layout import Watched
from perenne.stats.profile import Profile

BATCH = 1024


def rows(count: int, seed: int, numbers: int = 40, levels: int = 10) -> tuple[dict[str, NDArray[Any]], NDArray[Any]]:
    """Draw inputs and scores."""
    rng = np.random.default_rng(seed)
    known = np.array([f"level {place}" for place in range(25)], object)
    columns: dict[str, NDArray[Any]] = {f"x{place}": rng.normal(0, 1, count) for place in range(numbers)}
    columns |= {f"c{place}": known[rng.integers(0, 25, count)] for place in range(levels)}
    positive = 1 / (1 + np.exp(-columns["x0"] - rng.normal(0, 1, count)))
    return columns, np.column_stack([1 - positive, positive])


def fitted(numbers: int = 40, levels: int = 10, *, together: bool = False) -> Reference:
    """Make a reference of 20,000 rows."""
    columns, scores = rows(20_000, 0, numbers, levels)
    fields = [Field(name, FieldKind.CATEGORY if c.dtype == object else FieldKind.NUMBER) for name, c in columns.items()]
    labels = scores.argmax(axis=1)
    return Reference.fit(
        columns, fields, chunks=28, scores=scores, predictions=labels, labels=labels, task=Task.BINARY, classes=("no", "yes"),
        watched=Watched(together=together),
    )  # fmt: skip


def cpu(work: Callable[[], object], repeats: int) -> float:
    """Return CPU seconds of one of several calls, the best of three rounds."""
    best = float("inf")
    for _ in range(3):
        began = time.process_time()
        for _ in range(repeats):
            work()
        best = min(best, (time.process_time() - began) / repeats)
    return best


def per_row(reference: Reference) -> float:
    """Return CPU microseconds of counting a row."""
    columns, scores = rows(BATCH, 1)
    answers, profile = scores.argmax(axis=1), Profile.empty(reference)
    return cpu(lambda: profile.add(columns, answers, scores), 40) / BATCH * 1e6


def handed_over() -> float:
    """Return CPU microseconds of appending a row to a buffer that is flushed at its end."""
    row = tuple(range(50))
    buffer: list[Any] = []

    def fill() -> None:
        append = buffer.append
        for _ in range(BATCH):
            append(row)
        buffer.clear()

    return cpu(fill, 200) / BATCH * 1e6


def main() -> None:
    """Measure and print."""
    print("| what | figure |\n|---|---|")
    print(f"| append a row to a buffer, for scale: the server sends datagrams, not measured here | {handed_over():.3f} µs CPU |")
    print(f"| count a row in the observer, batches of {BATCH:,} | {per_row(fitted()):.2f} µs CPU |")
    print(f"| the same with the combination of inputs | {per_row(fitted(together=True)):.2f} µs CPU |")
    reference = fitted(36, 2)
    for count in (2_000, 100_000, 1_000_000):
        profile = Profile.empty(reference)
        for start in range(0, count, 50_000):
            columns, scores = rows(min(50_000, count), start, 36, 2)
            part = slice(0, count - start)
            profile.add(take(columns, part), scores.argmax(axis=1)[part], scores[part])
        data = profile.to_bytes()
        print(f"| bytes of a window of {count:,} rows, 40 features with sums | {len(data) / 1000:.1f} kB |")
    day = Profile.empty(reference)
    print(f"| merge a window of 40 features into another | {cpu(lambda: day.merge(profile), 200) * 1e6:.0f} µs CPU |")
    blob = fitted().to_bytes()
    tracemalloc.start()
    kept = Reference.from_bytes(blob)
    window = Profile.empty(kept)
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    print(f"| memory of a watched version of 50 inputs, with a window being filled | {used / 1e6:.1f} MB |")
    print(f"| its reference on disk | {len(blob) / 1000:.0f} kB |")
    assert window.rows == 0


if __name__ == "__main__":
    main()
