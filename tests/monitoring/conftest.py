"""A watched model on two inputs, and posts as an observer leaves them."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np
import pytest

from perenne.auth.principals import Principal
from perenne.core.clock import HOUR, parse_time
from perenne.core.events import Event
from perenne.formats.windows import LATENCY_EDGES_US, WindowPost, encode_window
from perenne.monitoring.model import Watch
from perenne.monitoring.service import watch
from perenne.projects import Guardrail, Objective
from perenne.serving.request_ids import RequestIds
from perenne.serving.row_log import Batch, RowLog, to_table
from perenne.stats.cells import Reference
from perenne.stats.columns import Column, Field, FieldKind, Task
from perenne.stats.profile import Profile
from perenne.storage import outbox
from perenne.storage.workspace import Workspace

FIELDS = (Field("wind", FieldKind.NUMBER), Field("carrier", FieldKind.CATEGORY, "string"))
CLASSES = ("no", "yes")
DEPLOYMENT, VERSION = "flights", "late@1"


class Rows(msgspec.Struct):
    """Rows of the watched model: inputs, what it answered, and what was right."""

    wind: Column
    carrier: Column
    scores: Column
    labels: Column

    @property
    def columns(self) -> dict[str, Column]:
        return {"wind": self.wind, "carrier": self.carrier}

    @property
    def predictions(self) -> Column:
        return (self.scores[:, 1] >= 0.5).astype(np.int64)


E = TypeVar("E", bound=Event)


def events(workspace: Workspace, kind: type[E]) -> list[E]:
    """The events of a kind that were announced, oldest first."""
    with workspace.database.read() as tx:
        stored = outbox.events(tx, limit=1_000)
    return [msgspec.json.decode(event.payload, type=kind) for event in reversed(stored) if event.name == kind.name]


def make_rows(count: int, seed: int, *, shift: float = 0.0, flipped: bool = False) -> Rows:
    """Draw rows: the wind drives the score, and the label follows the score, or its opposite."""
    rng = np.random.default_rng(seed)
    wind = rng.normal(shift, 1.0, count)
    carrier = rng.choice(np.array(["AA", "DL", "UA"], object), count, p=[0.5, 0.3, 0.2])
    positive = 1 / (1 + np.exp(-1.5 * wind))
    hit = rng.random(count) < (1 - positive if flipped else positive)
    return Rows(wind, carrier, np.column_stack([1 - positive, positive]), np.where(hit, "yes", "no").astype(object))


@pytest.fixture(scope="session")
def reference() -> Reference:
    rows = make_rows(6_000, 0)
    return Reference.fit(
        rows.columns,
        FIELDS,
        scores=rows.scores,
        predictions=rows.predictions,
        labels=rows.labels,
        task=Task.BINARY,
        classes=CLASSES,
    )


@pytest.fixture
def watched(workspace: Workspace, actor: Principal, reference: Reference) -> Watch:
    """The model, held to an area under the curve, to an equal share of warnings per carrier, and to its latency."""
    digest = workspace.objects.put(reference.to_bytes())
    return workspace.database.write(
        lambda tx: watch(
            tx,
            actor,
            DEPLOYMENT,
            VERSION,
            digest,
            project="flight-delays",
            window_length=HOUR,
            objectives=(Objective("roc_auc", at_least=0.75), Objective("latency_p99_ms", at_most=50)),
            guardrails=(Guardrail("selection_rate_ratio", by="carrier", at_least=0.5),),
        )
    )


class Spool:
    """Leaves posts where an observer would."""

    def __init__(self, folder: Path, reference: Reference, digest: str) -> None:
        self.folder = folder
        self.folder.mkdir(parents=True)
        self.reference = reference
        self.digest = digest
        self.sequence = 0

    def leave(self, given: Rows, window: int, /, **changes: object) -> Path:
        """Write one post of some rows of the window that starts after so many hours; return its file."""
        self.sequence += 1
        return self.write(msgspec.structs.replace(self.post(given, window), **changes))

    def post(self, rows: Rows, window: int) -> WindowPost:
        profile = Profile.empty(self.reference)
        profile.add(rows.columns, rows.predictions, rows.scores)
        latency = [0] * (len(LATENCY_EDGES_US) + 1)
        latency[14] = len(rows.wind)
        return WindowPost(
            observer="host-1",
            boot="b1",
            sequence=self.sequence,
            deployment=DEPLOYMENT,
            variant="champion",
            version=VERSION,
            reference=self.digest,
            window_start=window * HOUR,
            window_length=HOUR,
            rows=len(rows.wind),
            dropped=0,
            errors=0,
            first=window * HOUR,
            last=window * HOUR + HOUR - 1,
            latency=latency,
            profile=profile.to_bytes(),
        )

    def write(self, post: WindowPost) -> Path:
        path = self.folder / f"{post.boot}-{post.sequence:012d}.post"
        beside = self.folder / f".{path.name}"
        beside.write_bytes(encode_window(post))
        return beside.replace(path)


@pytest.fixture
def spool(workspace: Workspace, watched: Watch, reference: Reference) -> Spool:
    return Spool(workspace.settings.spool / "windows", reference, watched.reference)


class Log:
    """Writes the row log as an observer does, and hands out the prediction ids that callers got."""

    def __init__(self, logs: Path) -> None:
        self.row_log = RowLog(logs, "server1")
        self._checkpoint = 0
        self.ids = RequestIds()

    def roll(self) -> None:
        """Let what waits be seen, as a checkpoint does."""
        self._checkpoint += 1
        for file in self.row_log.stage(self._checkpoint):
            file.hidden.rename(file.final)
        self.row_log.clear()

    def write(
        self, rows: Rows, window: int, *, variant: str = "champion", ids: list[str] | None = None, roll: bool = True
    ) -> list[str]:
        """Log one request per row, spread over the window's hour but arriving in 2026; return the prediction ids."""
        count = len(rows.wind)
        arrivals = np.full(count, parse_time("2026-03-01T10:00:00"), np.int64) + np.arange(count)
        requests = [self.ids.next(int(at)) for at in arrivals] if ids is None else [identity[:26] for identity in ids]
        batch = Batch(
            version=VERSION,
            tree="0" * 64,
            request_ids=requests,
            row_numbers=np.zeros(count, np.int32),
            arrivals=arrivals,
            event_times=window * HOUR + np.linspace(0, HOUR - 1, count).astype(np.int64),
            deployment=DEPLOYMENT,
            variant=variant,
            reasons=[""] * count,
            propensities=np.ones(count, np.float32),
            sticky_hashes=np.zeros(count, np.uint64),
            statuses=np.full(count, 200, np.int16),
            latencies=np.full(count, 900, np.int32),
            batch_rows=np.ones(count, np.int32),
            columns=rows.columns,
            predictions=[CLASSES[place] for place in rows.predictions.tolist()],
            score=rows.scores[:, 1],
            scores=rows.scores,
            outputs={},
        )
        self.row_log.add(VERSION, to_table(batch, FIELDS, Task.BINARY))
        if roll:
            self.roll()
        return [f"{request}-0" for request in requests]


@pytest.fixture
def log(workspace: Workspace) -> Log:
    return Log(workspace.settings.logs)


@pytest.fixture
def count_rows(workspace: Workspace) -> Callable[[], int]:
    """How many rows all windows hold together."""
    from perenne.monitoring.store import window

    def count() -> int:
        import sqlalchemy as sa

        with workspace.database.read() as tx:
            return int(tx.scalar(sa.select(sa.func.coalesce(sa.func.sum(window.c.rows), 0))))

    return count
