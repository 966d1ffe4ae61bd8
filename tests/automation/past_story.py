"""A project in service for some days, in a world that changes: windows, logged rows and labels of every day."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from perenne import inference, registry, serving
from perenne.app.wiring import Platform
from perenne.auth.principals import Principal
from perenne.automation.rounds import run_round
from perenne.core.clock import DAY, ManualClock, format_time, parse_time
from perenne.formats.windows import LATENCY_EDGES_US, WindowPost, encode_window
from perenne.monitoring.labels import LabelRow, submit_labels
from perenne.projects import load_project
from perenne.serving.request_ids import RequestIds
from perenne.serving.row_log import Batch, RowLog, to_table
from perenne.stats.cells import Reference
from perenne.stats.columns import Field, FieldKind, Task
from perenne.stats.profile import Profile
from perenne.storage.trees import fetch_tree
from perenne.storage.workspace import Workspace

OPENING, CHANGE = parse_time("2026-03-01"), parse_time("2026-03-05")
DAYS, BEFORE, ROWS = 13, 20, 220
CLASSES = ("no", "yes")
FIELDS = (Field("one", FieldKind.NUMBER), Field("two", FieldKind.NUMBER))

PROJECT = """
from pathlib import Path

import perenne as pn

project = pn.Project(
    "signals", problem="Tell good signals from bad ones.", owner="ada", window="1d",
    objectives=[pn.Objective("roc_auc", at_least=0.75)],
)


@project.dataset(time="day")
def rows():
    return Path(__file__).parent / "rows.csv"


@project.model(target="good", data=rows)
def model(X, y, params):
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression()


project.retrain(
    on=[pn.drift(), pn.missed()], cooldown="6h", holdout="1d", history="3d", label_delay="1d", shadow="1h", shadow_rows=50,
    soak="1d", minimum_labels=30, cpu_hour_costs=0.5,
)
"""


def rows_of(day: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.str_]]:
    """Return the rows of a day; from the change on the other input decides, and the first is shifted."""
    rng = np.random.default_rng(1_000 + day)
    late = OPENING + day * DAY >= CHANGE
    one, two = rng.normal(2.0 if late else 0.0, 1.0, ROWS), rng.normal(size=ROWS)
    drives = two if late else one
    return one, two, np.where(rng.random(ROWS) < 1 / (1 + np.exp(-2.5 * drives)), "yes", "no")


def write_project(folder: Path) -> None:
    """Write the project and every row that there will ever be; what is later than an instant is not used by then."""
    folder.mkdir(parents=True)
    (folder / "project.py").write_text(PROJECT)
    lines = ["day,one,two,good"]
    for day in range(-BEFORE, DAYS):
        for place, (one, two, good) in enumerate(zip(*rows_of(day), strict=True)):
            instant = OPENING + day * DAY + place * (DAY // ROWS)
            lines.append(f"{format_time(instant)[:19]},{one:.6f},{two:.6f},{good}")
    (folder / "rows.csv").write_text("\n".join(lines) + "\n")


def live(workspace: Workspace, clock: ManualClock, actor: Principal, folder: Path) -> str:
    """Train, serve and live through the days; the policy was never asked, for no job is done. Return the champion."""
    write_project(folder)
    clock.advance_to(OPENING)
    version = run_round(workspace, actor, load_project(folder), now=OPENING).version
    platform = Platform(workspace)
    platform.loop.settle()
    with workspace.database.read() as tx:
        deployment = serving.service.get_deployment(tx, "signals")
    assert deployment.champion.version == version.id
    fetch_tree(workspace.objects, version.tree, folder.parent / "package")
    day = _Day(workspace, clock, actor, version, folder.parent / "package")
    for number in range(DAYS):
        day.answer(number)
    clock.advance_to(OPENING + (DAYS + 2) * DAY)
    platform.loop.settle()
    return version.id


class _Day:
    """Leaves what a model server and its observer leave of a day, and the labels that come a day later."""

    def __init__(
        self, workspace: Workspace, clock: ManualClock, actor: Principal, version: registry.Version, package: Path
    ) -> None:
        self._workspace, self._clock, self._actor, self._version = workspace, clock, actor, version
        self._reference = Reference.from_bytes(workspace.objects.get(version.reference))
        self._predictor = inference.load(package)
        self._log, self._ids = RowLog(workspace.settings.logs, "server1"), RequestIds()
        (workspace.settings.spool / "windows").mkdir(parents=True, exist_ok=True)

    def answer(self, number: int) -> None:
        """Answer a day's rows."""
        one, two, good = rows_of(number)
        columns = {"one": one, "two": two}
        said = self._predictor.predict(columns)
        assert said.scores is not None
        start = OPENING + number * DAY
        arrivals = start + np.linspace(0, DAY - 1, ROWS).astype(np.int64)
        requests = [self._ids.next(int(at)) for at in arrivals]
        batch = Batch(
            version=self._version.id, tree=self._version.tree, request_ids=requests, row_numbers=np.zeros(ROWS, np.int32),
            arrivals=arrivals, event_times=arrivals, deployment="signals", variant="champion", reasons=[""] * ROWS,
            propensities=np.ones(ROWS, np.float32), sticky_hashes=np.zeros(ROWS, np.uint64),
            statuses=np.full(ROWS, 200, np.int16), latencies=np.full(ROWS, 900, np.int32), batch_rows=np.ones(ROWS, np.int32),
            columns=columns,
            predictions=[CLASSES[place] for place in said.predictions.tolist()], score=said.scores[:, 1], scores=said.scores,
            outputs={},
        )  # fmt: skip
        self._log.add(self._version.id, to_table(batch, FIELDS, Task.BINARY))
        for file in self._log.stage(number + 1):
            file.hidden.rename(file.final)
        self._log.clear()
        self._post(number, columns, said)
        labels = [LabelRow(f"{request}-0", str(label), start + DAY) for request, label in zip(requests, good, strict=True)]
        self._clock.advance_to(start + DAY)
        submit_labels(self._workspace, self._actor, labels)

    def _post(self, number: int, columns: dict[str, NDArray[np.float64]], said: inference.Prediction) -> None:
        profile = Profile.empty(self._reference)
        profile.add(columns, said.predictions, said.scores)
        latency = [0] * (len(LATENCY_EDGES_US) + 1)
        latency[14] = ROWS
        start = OPENING + number * DAY
        post = WindowPost(
            observer="host-1", boot="b1", sequence=number, deployment="signals", variant="champion", version=self._version.id,
            reference=self._version.reference, window_start=start, window_length=DAY, rows=ROWS, dropped=0, errors=0, first=start,
            last=start + DAY - 1, latency=latency, profile=profile.to_bytes(),
        )  # fmt: skip
        (self._workspace.settings.spool / "windows" / f"b1-{number:012d}.post").write_bytes(encode_window(post))
