"""A fleet of 2,000 deployments with 50 features each, judged hourly: `python benchmarks/monitoring/fleet.py [sqlite|postgresql]`.

Prints, in CPU seconds of this process (the database's own, where it is another process, are not in them):

- the check of every deployment's newest window from the database (`perenne monitor check`), first with references to be read,
  then with them at hand; model-window checks per core-minute;
- the normal turn of one hour: every window due, with verdict rows, bounds and alerts, by leases, in batches of 64;
- an idle turn of judging, and how the schedules of 2,000 readings fall over an hour.
"""

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.core.clock import HOUR, ManualClock
from perenne.core.config import load_settings
from perenne.monitoring import store
from perenne.monitoring.baselines.merging import empty_window
from perenne.monitoring.elsewhere.model import calendar
from perenne.monitoring.fleet.checking import check
from perenne.monitoring.judge import judge_due
from perenne.monitoring.model import Stream, WindowKey
from perenne.monitoring.service import watch
from perenne.projects import Objective
from perenne.stats.cells import Reference
from perenne.stats.columns import Column, Field, FieldKind, Task
from perenne.stats.profile import Profile
from perenne.storage.database import Transaction
from perenne.storage.workspace import Workspace

DEPLOYMENTS, REFERENCES, FEATURES, CATEGORIES, ROWS = 2_000, 25, 50, 10, 2_000
HOURS = 4
ACTOR = Principal("bench", roles=frozenset(Role), solo=True)
FIELDS = tuple(
    Field(f"x{place}", FieldKind.CATEGORY, "string") if place < CATEGORIES else Field(f"x{place}", FieldKind.NUMBER)
    for place in range(FEATURES)
)


def rows(rng: np.random.Generator, count: int, shift: float) -> tuple[dict[str, Column], Column]:
    """Draw rows and scores."""
    levels = np.array([f"level {place}" for place in range(30)], object)
    shares = np.arange(30, 0, -1) / np.arange(1, 31).sum()
    columns: dict[str, Column] = {}
    for place, field in enumerate(FIELDS):
        values = rng.choice(levels, count, p=shares) if field.kind is FieldKind.CATEGORY else rng.gamma(2.0, 1.0, count)
        columns[field.name] = values if place != FEATURES - 1 else values + shift
    positive = 1 / (1 + np.exp(1.5 - columns[f"x{CATEGORIES}"]))
    return columns, np.column_stack([1 - positive, positive])


def learned(rng: np.random.Generator) -> tuple[Reference, list[Profile]]:
    """Make a reference and the profiles of four windows, the last of them drifted."""
    columns, scores = rows(rng, 8_000, 0.0)
    labels = np.array(["no", "yes"], object)[(rng.random(8_000) < scores[:, 1]).astype(int)]
    reference = Reference.fit(
        columns,
        FIELDS,
        chunks=14,
        scores=scores,
        predictions=(scores[:, 1] > 0.5).astype(int),
        labels=labels,
        task=Task.BINARY,
        classes=("no", "yes"),
    )
    profiles = []
    for shift in (0.0, 0.0, 0.0, 0.6):
        given, made = rows(rng, ROWS, shift)
        profile = Profile.empty(reference)
        profile.add(given, (made[:, 1] > 0.5).astype(int), made)
        profiles.append(profile)
    return reference, profiles


def fleet(workspace: Workspace) -> None:
    """Watch deployments; every twentieth has drifted in the newest window."""
    rng = np.random.default_rng(1)
    for number in range(REFERENCES):
        reference, profiles = learned(rng)
        digest = workspace.objects.put(reference.to_bytes())
        for place in range(number, DEPLOYMENTS, REFERENCES):
            workspace.database.write(partial(_add, place=place, digest=digest, reference=reference, profiles=profiles))


def _add(tx: Transaction, *, place: int, digest: str, reference: Reference, profiles: list[Profile]) -> None:
    name = f"model-{place:04}"
    bounds = (Objective("roc_auc", at_least=0.5),)
    watch(tx, ACTOR, name, f"{name}@1", digest, project=name, window_length=HOUR, objectives=bounds)
    for hour in range(HOURS):
        drifted = hour == HOURS - 1 and place % 20 == 0
        profile = profiles[3] if drifted else profiles[hour % 3]
        key = WindowKey(Stream(name, "champion", f"{name}@1"), hour * HOUR, HOUR)
        window = empty_window(key, reference, 42, profile)
        store.save_window(tx, msgspec.structs.replace(window, rows=ROWS, revision=1))


def cpu(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """Do some work; return its result, CPU seconds and seconds."""
    wall, start = time.perf_counter(), time.process_time()
    result = work()
    return result, time.process_time() - start, time.perf_counter() - wall


def told(what: str, windows: int, seconds: float, wall: float) -> None:
    """Print a line."""
    rate = f"{windows / seconds * 60:>12,.0f} per core-minute" if windows else ""
    print(f"{what:46} {windows:>7,} windows {seconds:>8.3f} s CPU {wall:>8.3f} s {rate}")


def measure(workspace: Workspace) -> None:
    """Print the figures of a fleet."""
    found, seconds, wall = cpu(lambda: check(workspace))
    told("check of the fleet, references to be read", len(found), seconds, wall)
    best = min((cpu(lambda: check(workspace)) for _ in range(5)), key=lambda one: one[1])
    told("check of the fleet, references at hand", len(best[0]), best[1], best[2])
    print(" " * 46, dict(Counter(one.state for one in best[0])))
    for hour in range(HOURS):
        done, seconds, wall = 0, 0.0, 0.0
        while True:
            count, spent, took = cpu(lambda hour=hour: judge_due(workspace, (hour + 1) * HOUR))  # type: ignore[misc]
            if not count:
                break
            done, seconds, wall = done + count, seconds + spent, wall + took
        told(f"turn of hour {hour + 1}, verdicts and alerts kept", done, seconds, wall)
        print(" " * 46, f"{seconds / 36:.2f} % of a core, if every hour is like it")
    _, seconds, wall = cpu(lambda: [judge_due(workspace, HOURS * HOUR) for _ in range(100)])
    print(f"{'idle turn of judging':46} {seconds * 10:.2f} ms CPU")
    minutes = Counter(calendar(f"model-{place:04}", HOUR).split()[0] for place in range(DEPLOYMENTS))
    print(f"{'readings each hour, in the busiest minute':46} {max(minutes.values())} of {DEPLOYMENTS}")


def main(kind: str) -> None:
    """Build a fleet and measure it."""
    with tempfile.TemporaryDirectory() as name:
        settings, server = load_settings(Path(name), {"PERENNE_HOME": name}), None
        if kind == "postgresql":
            from tests.postgres import PostgresServer

            server = PostgresServer()
            settings = msgspec.structs.replace(settings, database=server.database())
        try:
            with Workspace(settings, ManualClock(HOURS * HOUR)) as workspace:
                fleet(workspace)
                print(f"{DEPLOYMENTS:,} deployments, {FEATURES} features, {kind}")
                measure(workspace)
        finally:
            if server is not None:
                server.stop()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "sqlite")
