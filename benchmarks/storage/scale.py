"""A large installation: how long it takes to open it, to list and to claim, beside the same calls on a small one.

    python benchmarks/storage/scale.py [--database sqlite|postgresql] [--scale 1.0] [--calls 30] [--home FOLDER]

One real project is taken round the loop once. Its rows are then multiplied in the database: at scale 1 to 2,000 deployments with
a window for each day of a year, 100,000 versions with their evidence, a million steps of pipelines, and a million jobs done. Each
command is run in this process as the command line runs it, its JSON made and thrown away; opening the database is part of it.
One deployment in twenty has an alert that nobody has acknowledged, and each has fifty that have ended. The turn of the loop finds
nothing to do.

With `--home` the SQLite database is kept in a folder, and the one found there is measured again without building it.
"""

import argparse
import contextlib
import gc
import io
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import sqlalchemy as sa

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.automation.loop_kills import ADA, open_workspace
from tests.automation.loop_story import BEGIN, CHANGED, PROJECT, leave_windows, write_rows
from tests.postgres import PostgresServer

from perenne.app.wiring import Platform
from perenne.automation import run_round
from perenne.cli.root import invoke
from perenne.core.clock import DAY
from perenne.projects import load_project
from perenne.storage import jobs
from perenne.storage.database import Database, Transaction
from perenne.storage.migrations.declared import import_tables
from perenne.storage.schema import metadata
from perenne.storage.workspace import Workspace

import_tables()
COMMANDS = (
    "status", "status signals-1000001", "status --all", "project list", "data list", "runs list",
    "runs list --project signals-1000001", "pipeline list", "pipeline show f10000001",
    "model list", "model list signals-1000001", "model show signals-1000001@10", "deploy list", "deploy list signals-1000001",
    "deploy show signals-1000001", "monitor list", "monitor show signals-1000001", "alert list", "policy list",
    "policy episodes", "job list", "event list", "audit list", "audit list --entity version",
)  # fmt: skip


def multiply(tx: Transaction, table: str, where: str, count: int, **columns: str) -> None:
    """Insert copies of the rows that meet a condition; `{i}` in a column's expression is the copy's number."""
    names = [column.name for column in metadata.tables[table].columns]
    wanted = ", ".join(columns.get(name, f't."{name}"').replace("{i}", "n.i") for name in names)
    listed = ", ".join(f'"{name}"' for name in names)
    tx.execute(
        sa.text(
            f"WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {count}) "
            f'INSERT INTO "{table}" ({listed}) SELECT {wanted} FROM (SELECT * FROM "{table}" WHERE {where}) AS t CROSS JOIN n'
        )
    )


def multiply_alerts(tx: Transaction, projects: int) -> None:
    """Give each project fifty alerts that have ended, and one in twenty one that is open."""
    alert = {"id": "'a' || (1000000 + {i})", "deployment": "'signals-' || (1000000 + {i} * 20)", "version": "''"}
    alert |= {"rule": "'guardrail:made up'", "ended": "NULL"}
    past = {"id": "'0' || (10000000 + {i})", "deployment": "'signals-' || (1000000 + {i} / 50)", "rule": "'past ' || {i}"}
    past |= {"state": "'\"resolved\"'", "ended": "t.latest"}
    multiply(tx, "alert", "id = (SELECT max(id) FROM alert)", projects * 50, **past)
    multiply(tx, "alert", "id = (SELECT max(id) FROM alert)", max(1, projects // 20), **alert)


def grow(database: Database, scale: float) -> None:
    """Multiply what one project left."""
    projects, per_project = max(1, int(2_000 * scale)), 50
    million = int(1_000_000 * scale)

    def of_projects(tx: Transaction) -> None:
        name = "'signals-' || (1000000 + {i})"
        multiply(tx, "project", "name = 'signals'", projects, name=name)
        version = f"{name} || '@1'"
        multiply(tx, "version", "id = 'signals@1'", projects, id=version, model=name, project=name)
        multiply(tx, "alias", "model = 'signals'", projects, model=name, version=version)
        variants = "replace(t.variants, 'signals@', 'signals-' || (1000000 + {i}) || '@')"
        multiply(tx, "deployment", "name = 'signals'", projects, name=name, project=name, variants=variants)
        multiply(tx, "monitor_watch", "version = 'signals@1'", projects, deployment=name, project=name, version=version)
        episode = {"id": "'e' || (1000000 + {i})", "project": name, "open": "FALSE"}
        multiply(tx, "episode", "project = 'signals'", projects, **episode)
        multiply_alerts(tx, projects)

    def of_windows(tx: Transaction) -> None:
        one = "deployment = 'signals' AND window_start = (SELECT max(window_start) FROM {})"
        place = {"deployment": "'signals-' || (1000000 + {i} / 365)", "version": "'signals-' || (1000000 + {i} / 365) || '@1'"}
        times = {"window_start": f"t.window_start - CAST({{i}} % 365 AS BIGINT) * {DAY}"}
        calm = "CASE WHEN {{i}} / 365 % 20 = 0 THEN t.{0} ELSE replace(t.{0}, '{1}', '{2}') END"
        state = calm.format("state", "alarm", "ok")
        body = calm.format("body", '"state":"alarm","rows"', '"state":"ok","rows"')
        multiply(tx, "monitor_window", one.format("monitor_window"), projects * 365, **place, **times)
        multiply(tx, "monitor_verdict", one.format("monitor_verdict"), projects * 365, **place, **times, state=state, body=body)

    def of_versions(tx: Transaction) -> None:
        model, number = f"'signals-' || (1000000 + {{i}} / {per_project})", f"(2 + {{i}} % {per_project})"
        identity = f"{model} || '@' || {number}"
        tree = "(10000000 + {i}) || substr(t.tree, 9)"
        base = {"id": identity, "model": model, "project": model, "number": number, "tree": tree, "run": "'r' || (1000000 + {i})"}
        base |= {"created": "t.created + {i}"}
        base |= {"created": "t.created + {i}"}
        multiply(tx, "version", "id = 'signals@1'", projects * per_project, **base)
        key = "(SELECT max(id) FROM evidence) + 1 + {i} + t.id * 10000000"
        multiply(tx, "evidence", "version = 'signals@1'", projects * per_project, id=key, version=identity, tree=tree)
        run = {"id": "'r' || (1000000 + {i})", "project": model}
        multiply(tx, "run", "id = (SELECT max(id) FROM run)", projects * per_project, **run)

    def of_steps(tx: Transaction) -> None:
        key = "'k' || (10000000 + {i})"
        multiply(tx, "step", "key = (SELECT max(key) FROM step WHERE key NOT LIKE 'k%')", million, key=key, content_key=key)
        multiply(tx, "flow_run", "id = (SELECT max(id) FROM flow_run)", million // 10, id="'f' || (10000000 + {i})")
        visit = {"run": "'f' || (10000000 + {i} / 10)", "ordinal": "100 + {i} % 10", "key": key}
        multiply(tx, "run_step", "run = (SELECT max(run) FROM run_step) AND ordinal = 0", million, **visit)

    def of_jobs(tx: Transaction) -> None:
        done = "id = (SELECT max(id) FROM job WHERE state = 'done')"
        multiply(tx, "job", done, million, id="'j' || (10000000 + {i})", key="'j' || {i}")

    for work in (of_projects, of_windows, of_versions, of_steps, of_jobs):
        started = time.monotonic()
        database.write(work)
        print(f"  {work.__name__}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)


def times(call: Callable[[], object], calls: int) -> tuple[float, float]:
    """Return the median and the 95th percentile in milliseconds; the first call warms up."""
    call()
    gc.collect()
    gc.freeze()  # a command of its own process has nothing of this one to look through
    found = []
    for _ in range(calls):
        started = time.perf_counter()
        call()
        found.append(1_000 * (time.perf_counter() - started))
    return statistics.median(found), sorted(found)[min(len(found) - 1, int(0.95 * len(found)))]


def run_command(words: str) -> None:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as said:
        code = invoke([*words.split(), "--json"])
    assert code in (0, 6, 7), (words, code, said.getvalue())


class Number(msgspec.Struct, frozen=True):
    """The payload of a job."""

    number: int


def claim_rate(database: Database, seconds: float = 2.0) -> float:
    """Return how many jobs a second one worker claims and finishes."""

    def enqueue(tx: Transaction) -> None:
        for number in range(5_000):
            jobs.enqueue(tx, "bench", Number(number))

    database.write(enqueue)
    done, until = 0, time.monotonic() + seconds
    while time.monotonic() < until:
        job = database.write(lambda tx: jobs.claim(tx, "me", ["bench"]), durable=False, alone=False)
        if job is None:
            break
        database.write(lambda tx, job=job: jobs.finish(tx, job), durable=False, alone=False)  # type: ignore[misc]
        done += 1
    rate = done / (seconds - max(0.0, until - time.monotonic()))
    database.write(lambda tx: tx.execute(jobs.table.delete().where(jobs.table.c.kind == "bench")).rowcount)
    return rate


Measured = tuple[dict[str, tuple[float, float]], float]


def measure(url: str, calls: int) -> Measured:
    """Time opening and every command, and the claims."""
    found = {"open the database": times(lambda: Database.open(url).close(), calls)}
    for words in COMMANDS:
        found[f"perenne {words}"] = times(lambda words=words: run_command(words), calls)  # type: ignore[misc]
    with Workspace() as workspace:
        found["one idle turn of the loop"] = times(Platform(workspace).loop.turn, calls)
        return found, claim_rate(workspace.database)


def begin(home: Path, url: str) -> None:
    """Take one project round the loop."""
    (home / "project.py").write_text(PROJECT)
    write_rows(home / "rows.csv")
    with open_workspace(home, url, BEGIN) as workspace:
        run_round(workspace, ADA, load_project(home))
        Platform(workspace).loop.settle()
        leave_windows(workspace, CHANGED)
    with open_workspace(home, url, CHANGED) as workspace:
        platform = Platform(workspace)
        for _ in range(5):
            platform.loop.turn()
            platform.errands.drain()
            platform.trainer.drain()


def main() -> None:
    """Build the small installation, measure it, grow it, measure it again, and print both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--calls", type=int, default=30)
    parser.add_argument("--home", type=Path, help="a folder that keeps the large database")
    options = parser.parse_args()
    server = PostgresServer(safe=True) if options.database == "postgresql" else None
    try:
        with tempfile.TemporaryDirectory(prefix="perenne-bench-", dir=Path.cwd()) as folder:
            home = options.home or Path(folder)
            url = server.database() if server is not None else f"sqlite:///{home.resolve()}/state/perenne.db"
            os.environ |= {"PERENNE_HOME": str(home.resolve() / "state"), "PERENNE_DATABASE": url}
            small = None if (home / "state").exists() else build(home, url, options)
            report(options, url, small, measure(url, options.calls))
    finally:
        if server is not None:
            server.stop()


def build(home: Path, url: str, options: argparse.Namespace) -> Measured:
    """Build the small installation, measure it, and grow it to the large one."""
    home.mkdir(parents=True, exist_ok=True)
    begin(home, url)
    with Database.open(url) as database:
        grow(database, 0.002)
        database.write(lambda tx: tx.execute(sa.text("ANALYZE")).rowcount)
        small = measure(url, options.calls)
        reset(database)
        grow(database, options.scale)
        database.write(lambda tx: tx.execute(sa.text("ANALYZE")).rowcount)
    return small


def reset(database: Database) -> None:
    """Take back what the small installation was grown by."""

    def work(tx: Transaction) -> None:
        for table, column in (
            ("evidence", "version"), ("alias", "model"), ("version", "model"), ("deployment", "name"),
            ("monitor_watch", "deployment"), ("monitor_window", "deployment"), ("monitor_verdict", "deployment"),
            ("project", "name"), ("run", "project"), ("episode", "project"), ("alert", "deployment"),
        ):  # fmt: skip
            tx.execute(sa.text(f"DELETE FROM {table} WHERE {column} LIKE 'signals-%'"))
        for table, column, first in (("step", "key", "k"), ("flow_run", "id", "f"), ("run_step", "run", "f"), ("job", "id", "j")):
            tx.execute(sa.text(f"DELETE FROM {table} WHERE {column} LIKE '{first}1%'"))

    database.write(work)


def report(options: argparse.Namespace, url: str, small: Measured | None, large: Measured) -> None:
    """Print the table; of the small installation nothing is known if the large one was there already."""
    with Database.open(url) as database, database.read() as tx:
        print(f"{database.backend.describe(tx)}; scale {options.scale:g}, {options.calls} calls each\n")
    print("| call | small, median ms | p95 | large, median ms | p95 |")
    print("| --- | --- | --- | --- | --- |")
    for name, (median, high) in large[0].items():
        before = " | " if small is None else f"{small[0][name][0]:.0f} | {small[0][name][1]:.0f}"
        print(f"| {name} | {before} | {median:.0f} | {high:.0f} |")
    print(f"| claim and finish a job, per second | {'' if small is None else f'{small[1]:,.0f}'} | | {large[1]:,.0f} | |")


if __name__ == "__main__":
    main()
