"""Runs as programs log them: a sweep with curves, system metrics, children and notes; some failed, one is under way."""

import base64
import math
import random
from collections.abc import Iterator
from typing import NamedTuple

from perenne import registry, tracking
from perenne.auth.principals import Principal
from perenne.core.clock import HOUR, MINUTE
from perenne.storage.database import Database, Transaction
from perenne.storage.workspace import Workspace
from perenne.tracking import Metric, Param, RunState, Tag, UsedDataset

NAME = "gbdt sweep 14"
STEPS = 240
RUNS = 24
USERS = ("ada", "grace", "ken", "linus")
NOTE = "A sweep over **depth** and `lr`.\n\n- trees are boosted\n- see [the data](https://example.org/data)"
BATCH = 900
PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAFUlEQVR4nGNkYPjPgA0wYRUdtBIAO5QBD/xDyPwAAAAASUVORK5CYII="
)
PAGE = (
    "<h1>A page</h1><p id=told>still</p><script>document.getElementById('told').textContent='it ran';"
    "try{parent.document.title='reached'}catch(e){document.body.append('shut in')}fetch('/api/view/runs').then("
    "()=>document.body.append('fetched'),()=>document.body.append(' and cut off'))</script>"
)
FILES: dict[str, bytes] = {
    "plots/curve.png": PICTURE,
    "report.html": PAGE.encode(),
    "model/MLmodel": b"flavors:\n  python_function:\n    loader_module: mlflow.sklearn\n",
    "metrics.json": b'{"auc": 0.91, "rows": 12000}',
    "table.json": b'{"columns": ["text", "score"], "data": [["good", 0.9], ["bad", 0.1]]}',
    "rows.csv": b"city,count\nBern,12\nOslo,9\n",
    "weights.bin": b"\x00\x01\x02",
}


class Sweep(NamedTuple):
    """What was logged: the experiment, and the ids of its runs, oldest first; the last one goes on."""

    experiment: int
    runs: tuple[str, ...]


def log_sweep(database: Database, actor: Principal, now: int, runs: int = RUNS) -> Sweep:
    """Log a sweep that ended an hour before an instant, and one run that goes on."""
    rng = random.Random(5)

    def make(tx: Transaction) -> int:
        made = tracking.experiments.create(tx, actor, NAME)
        tracking.experiments.set_tag(tx, actor, made.id, Tag("mlflow.note.content", NOTE))
        return made.id

    experiment = database.write(make)
    began = now - (runs + 1) * HOUR
    first = log_run(database, actor, experiment, rng, began, parent="", last=False)
    rest = [
        log_run(database, actor, experiment, rng, began + place * HOUR, parent=first if place < 5 else "", last=place == runs - 1)
        for place in range(1, runs)
    ]
    return Sweep(experiment, (first, *rest))


def log_files(workspace: Workspace, actor: Principal, run: str) -> None:
    """Log files of every kind to a run."""
    for path, data in FILES.items():
        with workspace.database.read() as tx:
            place = tracking.artifacts.place_of_run(tx, actor, run, path)
        tracking.artifacts.save(workspace, actor, place, [data])


def log_run(
    database: Database, actor: Principal, experiment: int, rng: random.Random, started: int, *, parent: str, last: bool
) -> str:
    """Log one run: parameters, tags, three curves, system metrics, and how it ended unless it is the last."""
    lr, depth, dropout = 10 ** rng.uniform(-3, -1.2), rng.choice([3, 5, 7, 9]), round(rng.uniform(0, 0.5), 3)
    optimizer = rng.choice(["adam", "sgd"])
    tags = [Tag("mlflow.user", rng.choice(USERS)), Tag("team", "vision"), Tag("mlflow.source.name", "train.py")]
    tags += [Tag("mlflow.source.git.commit", "4f1c9a2d77e0b3c4d5e6f708192a3b4c5d6e7f80")]
    tags += [Tag("mlflow.parentRunId", parent)] if parent else []
    params = [Param("lr", f"{lr:.6f}"), Param("depth", str(depth)), Param("dropout", str(dropout)), Param("optimizer", optimizer)]
    points = [*curves(rng, lr, depth, dropout, started), *system(rng, started)]
    user = tags[0].value

    def work(tx: Transaction) -> str:
        run = tracking.service.create_run(tx, actor, experiment, started=started, user=user, tags=tags)
        tracking.logs.log_batch(tx, actor, run.id, params=params)
        for start in range(0, len(points), BATCH):
            tracking.logs.log_batch(tx, actor, run.id, metrics=points[start : start + BATCH])
        data = UsedDataset(
            name="transactions", digest="4f1c9a2d", source_type="local", source="{}", tags={"mlflow.data.context": "training"}
        )
        tracking.logs.log_inputs(tx, actor, run.id, datasets=[data])
        if not last:
            state = RunState.FAILED if rng.random() < 0.1 else RunState.FINISHED
            tracking.service.update_run(tx, actor, run.id, state=state, ended=started + 40 * MINUTE)
        return run.id

    return database.write(work)


def curves(rng: random.Random, lr: float, depth: int, dropout: float, started: int) -> Iterator[Metric]:
    """Go through the points of a learning curve and its accuracy, which depend on the parameters."""
    best = 0.86 + 0.02 * math.log10(lr * 1000) + 0.008 * depth - 0.05 * dropout + rng.gauss(0, 0.008)
    pace = 18 / (1 + 20 * lr)
    for step in range(STEPS):
        time = started // 1000 + step * 10_000
        rise = 1 - math.exp(-step / pace / 4)
        yield Metric("loss", 0.1 + 0.9 * math.exp(-step / pace / 3) + abs(rng.gauss(0, 0.012)), time, step)
        yield Metric("accuracy", best * rise + rng.gauss(0, 0.004), time, step)
        if step % 20 == 0 or step == STEPS - 1:
            yield Metric("val/auc", min(0.999, best * rise + 0.02 + rng.gauss(0, 0.002)), time, step)


def system(rng: random.Random, started: int) -> Iterator[Metric]:
    """Go through what the machine was measured at meanwhile."""
    for step in range(0, STEPS, 8):
        time = started // 1000 + step * 10_000
        yield Metric("system/cpu_utilization_percentage", 60 + 20 * math.sin(step / 30) + rng.gauss(0, 4), time, step)
        yield Metric("system/system_memory_usage_megabytes", 4000 + 3 * step + rng.gauss(0, 30), time, step)


def register_models(workspace: Workspace, actor: Principal, run: str) -> None:
    """Register a run's model twice, as clients do: with an alias, a stage and a description."""

    def work(tx: Transaction) -> None:
        registry.models.create(tx, actor, "vision", description="What is on a picture.")
        for number in (1, 2):
            made = registry.registrations.create(tx, actor, "vision", f"runs:/{run}/model", run=run, description=f"try {number}")
        registry.placing.set_alias(tx, actor, "vision", "candidate", made.id)
        registry.placing.move_to_stage(tx, actor, "vision@1", "Staging")
        registry.models.create(tx, actor, "empty")

    workspace.database.write(work)
