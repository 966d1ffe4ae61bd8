"""How long searches among many runs take, in process: `python benchmarks/tracking/search.py URL [--runs 100000]`.

The database is filled by `wide.py` if it has no runs. Printed are milliseconds for the ids of a first page of 100, for the page
after it, and for counting all that fit; the best of three.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sa

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.tracking.wide import fill

from perenne.auth.principals import local_principal
from perenne.core.filters import parse_filter
from perenne.storage.database import Database, Transaction
from perenne.tracking.search import search_runs
from perenne.tracking.tables import run
from perenne.tracking.walking import Scope, count_runs

T = TypeVar("T")

SEARCHES: list[tuple[str, list[str]]] = [
    ("", []),
    ("", ["metrics.metric_7 DESC"]),
    ("", ["params.param_0"]),
    ("", ["number.param_0 DESC"]),
    ("", ["end_time DESC"]),
    ("metrics.metric_3 > 0.9 AND params.param_1 = 'choice-3'", ["metrics.metric_5 DESC"]),
    ("tags.tag_0 = 'tag-3' AND status = 'FINISHED'", []),
    ("tags.tag_1 LIKE 'tag-1%' AND metrics.metric_1 < 0.5", ["metrics.metric_1", "start_time DESC"]),
    ("tags.tag_4 = 'tag-77'", ["metrics.metric_7 DESC"]),
    ("params.param_2 < 0.01 OR tags.tag_2 = 'tag-1'", []),
    ("NOT (params.param_2 < 0.5)", []),
    ("tags.tag_4 ILIKE '%g-9999%'", []),
    ("tags.tag_4 RLIKE 'g-9999.$'", []),
    ("tags.none = 'x' OR metrics.metric_1 > 2", []),
    ("duration > '8m'", ["end_time DESC"]),
    ("run_name LIKE 'run-777%'", []),
]


def best(work: Callable[[], T]) -> tuple[float, T]:
    """Return milliseconds and the result."""
    taken = []
    for _ in range(3):
        begun = time.perf_counter()
        result = work()
        taken.append(time.perf_counter() - begun)
    return min(taken) * 1000, result


def measure(tx: Transaction, text: str, order: list[str]) -> str:
    me = local_principal()
    first, found = best(lambda: search_runs(tx, me, filter=text, order=order, limit=100))
    second, _ = best(lambda: search_runs(tx, me, filter=text, order=order, limit=100, token=found.token))
    counting, fitting = best(lambda: count_runs(tx, Scope(), parse_filter(text), most=10_000_000))
    return f"| `{text or 'all'}` | {', '.join(order)} | {first:.1f} | {second:.1f} | {counting:.0f} | {fitting} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", help="sqlite:///path or postgresql://...")
    parser.add_argument("--runs", type=int, default=100_000)
    given = parser.parse_args()
    with Database.open(given.url) as database:
        with database.read() as tx:
            filled = tx.execute(sa.select(run.c.number).limit(1)).first() is not None
        if not filled:
            database.write(lambda tx: fill(tx, given.runs))
            if database.backend.concurrent:
                database.write(lambda tx: tx.execute(sa.text("analyze")))
        print("| filter | order | first page, ms | next | count, ms | fit |\n|---|---|---|---|---|---|")
        with database.read() as tx:
            for text, order in SEARCHES:
                print(measure(tx, text, order))


if __name__ == "__main__":
    main()
