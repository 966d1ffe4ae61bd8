"""The same runs in both databases, put there by SQL: what is measured is how they are found, not how they came."""

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

from perenne.storage.database import Database
from perenne.tracking import sealing

MODELS, TEAMS = 10, 7
START = 1_700_000_000_000
AT_ONCE = 2_000
STATES = ("FINISHED", "FAILED", "RUNNING")

_MLFLOW_RUN = (
    "run_uuid name source_type source_name entry_point_name user_id status start_time end_time lifecycle_stage artifact_uri "
    "experiment_id source_version"
)
_RUN = "number id experiment project name started_by kind state data provenance flow outcome artifact_uri started ended"


class FilledRun(NamedTuple):
    """A run; times in milliseconds."""

    id: str
    name: str
    state: str
    started: int
    ended: int
    metrics: dict[str, float]
    params: dict[str, str]
    tags: dict[str, str]


def runs(count: int) -> Iterator[FilledRun]:
    """Make runs that differ: five metrics, five parameters, four tags each."""
    for i in range(count):
        share = (i * 7919 % 10_007) / 10_007
        metrics = {"auc": share, "loss": 1 - share, "f1": share / 2, "mae": 1 / (1 + i % 97), "seconds": float(i % 1_000)}
        params = {
            "model": f"m{i % MODELS}",
            "lr": f"{(i % 50 + 1) / 1000}",
            "depth": str(i % 12),
            "seed": str(i),
            "data": "flights",
        }
        tags = {"team": f"t{i % TEAMS}", "note": f"run number {i}", "mlflow.user": "ada", "mlflow.runName": f"run-{i}"}
        started = START + i * 1_000
        yield FilledRun(f"{i:032x}", f"run-{i}", STATES[i % 10 // 8], started, started + 500, metrics, params, tags)


class Sink:
    """A database by its driver.

    Parameters
    ----------
    url : str
        `sqlite:///path` or `postgresql://…`.
    """

    def __init__(self, url: str) -> None:
        self._postgres = url.startswith("postgresql")
        self.connection: Any
        if self._postgres:
            import psycopg

            self.connection = psycopg.connect(url)
        else:
            self.connection = sqlite3.connect(url.removeprefix("sqlite:///"), timeout=60)

    def insert(self, table: str, columns: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Add rows; `columns` are named with blanks between."""
        names = columns.split()
        quoted = ", ".join(f'"{name}"' for name in names)
        if self._postgres:
            with self.connection.cursor() as cursor, cursor.copy(f'COPY "{table}" ({quoted}) FROM STDIN') as copy:
                for row in rows:
                    copy.write_row(row)
        else:
            places = ", ".join("?" for _ in names)
            self.connection.executemany(f'INSERT INTO "{table}" ({quoted}) VALUES ({places})', rows)

    def query(self, text: str) -> list[tuple[Any, ...]]:
        """Ask."""
        return list(self.connection.execute(text).fetchall())

    def finish(self, *tables: str) -> None:
        """Commit, and let the database count what it has."""
        self.connection.commit()
        with contextlib.suppress(Exception):
            self.connection.execute("ANALYZE")
            self.connection.commit()
        self.connection.close()


def fill_mlflow(url: str, count: int, points: int) -> tuple[str, str]:
    """Fill MLflow's tables; return the experiment and the run with a long curve."""
    sink = Sink(url)
    sink.insert(
        "experiments",
        "experiment_id name artifact_location lifecycle_stage creation_time last_update_time workspace",
        [(7, "filled", "mlflow-artifacts:/7", "active", START, START, "default")],
    )
    for some in _batches(runs(count)):
        rows = ((r.id, r.name, "UNKNOWN", "", "", "", r.state, r.started, r.ended, "active", _artifacts(r), 7, "") for r in some)
        sink.insert("runs", _MLFLOW_RUN, rows)
        values = [(r.id, key, value, r.started, 0, False) for r in some for key, value in r.metrics.items()]
        sink.insert("metrics", "run_uuid key value timestamp step is_nan", values)
        sink.insert("latest_metrics", "run_uuid key value timestamp step is_nan", values)
        sink.insert("params", "run_uuid key value", ((r.id, key, value) for r in some for key, value in r.params.items()))
        sink.insert("tags", "run_uuid key value", ((r.id, key, value) for r in some for key, value in r.tags.items()))
    curve = ((f"{0:032x}", "curve", 1 / (i + 1), START + i, i, False) for i in range(points))
    sink.insert("metrics", "run_uuid key value timestamp step is_nan", curve)
    sink.finish()
    return "7", f"{0:032x}"


def fill_perenne(url: str, count: int, points: int) -> tuple[str, str]:
    """Fill perenne's tables; return the experiment and the run with a long curve."""
    sink = Sink(url)
    names = ["auc", "loss", "f1", "mae", "seconds", "model", "lr", "depth", "seed", "data", "team", "note"]
    names += ["mlflow.user", "mlflow.runName", "curve"]
    known = dict(sink.query("SELECT name, id FROM key"))
    free = 1 + max(known.values(), default=0)
    keys = known | {name: free + i for i, name in enumerate(name for name in names if name not in known)}
    sink.insert("key", "id name", ((number, name) for name, number in keys.items() if name not in known))
    sink.insert(
        "experiment",
        "id name project artifact_location created updated",
        [(7, "filled", "filled", "mlflow-artifacts:/7", START * 1_000, START * 1_000)],
    )
    base = 1 + (sink.query("SELECT coalesce(max(number), 0) FROM run")[0][0] or 0)
    for some in _batches(enumerate(runs(count), base)):
        rows = (
            (
                n, r.id, 7, "filled", r.name, "ada", "", f'"{r.state.lower()}"', "[]", "{}", "", "", _artifacts(r),
                r.started * 1_000, r.ended * 1_000,
            )
            for n, r in some
        )  # fmt: skip
        sink.insert("run", _RUN, rows)
        values = [(n, keys[key], value, r.started, 0, False) for n, r in some for key, value in r.metrics.items()]
        sink.insert("run_point", "run key value time step nan", values)
        sink.insert("run_latest", "run key value time step nan", values)
        params = ((n, keys[key], value, _number(value)) for n, r in some for key, value in r.params.items())
        sink.insert("run_param", "run key value number", params)
        sink.insert("run_tag", "run key value", ((n, keys[key], value) for n, r in some for key, value in r.tags.items()))
    curve = ((base, keys["curve"], 1 / (i + 1), START + i, i, False) for i in range(points))
    sink.insert("run_point", "run key value time step nan", curve)
    sink.finish()
    with Database.open(url) as database:  # what happens by itself when a run grows long
        sealing.seal_run(database, base)
    return "7", f"{0:032x}"


def _artifacts(found: FilledRun) -> str:
    return f"mlflow-artifacts:/7/{found.id}/artifacts"


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _batches(items: Iterable[Any]) -> Iterator[list[Any]]:
    rest = iter(items)
    while some := list(islice(rest, AT_ONCE)):
        yield some
