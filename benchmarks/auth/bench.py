"""What log-in costs a request: from the header `Authorization` to "may do this", with everything warm.

    python benchmarks/auth/bench.py [--repeats 20000] [--database postgresql://…]

The model server knows tokens from a file, in memory. The control plane asks its database with each request, so that a revoked
token is refused with the next one on every process; once as it is, and once from an event loop through the door's own thread.
Medians of single calls, in microseconds.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from perenne.auth.doorman import Doorman
from perenne.auth.keyring import Keyring
from perenne.auth.principals import Principal
from perenne.auth.publishing import publish
from perenne.auth.roles import Action, Role, require
from perenne.auth.tokens import authenticate, create_token
from perenne.storage.database import Database

ROOT = Principal("root", roles=frozenset(Role), solo=True)
TOKENS = 200


def median_us(call: Callable[[], object], repeats: int) -> float:
    """Return the median of single calls, in microseconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter_ns()
        call()
        times.append(time.perf_counter_ns() - start)
    return statistics.median(times[repeats // 10 :]) / 1e3


async def median_through_thread_us(call: Callable[[], object], repeats: int) -> float:
    """Return the median of single calls in another thread, awaited by an event loop, in microseconds."""
    loop, times = asyncio.get_running_loop(), []
    with ThreadPoolExecutor(1) as thread:
        for _ in range(repeats):
            start = time.perf_counter_ns()
            await loop.run_in_executor(thread, call)
            times.append(time.perf_counter_ns() - start)
    return statistics.median(times[repeats // 10 :]) / 1e3


def measure(database: Database, folder: Path, repeats: int) -> list[tuple[str, float]]:
    """Measure every way in."""
    now = time.time_ns() // 1_000

    def make(count: int) -> str:
        return database.write(lambda tx: create_token(tx, ROOT, f"t{count}", frozenset({Role.OWNER}), now=now))[1]

    header = "Bearer " + [make(count) for count in range(TOKENS)][TOKENS // 2]
    publish(database, folder / "tokens.json", now)
    keyring = Keyring(folder / "tokens.json")
    keyring.refresh()
    by_file = Doorman(keyring.verify, lambda *_: None)
    by_database = Doorman(lambda text, address: authenticate(database, text, now, address), lambda *_: None)

    def model_server() -> None:
        require(by_file.admit(header, "192.0.2.1"), Action.PREDICT, "churn")

    def control_plane() -> None:
        require(by_database.admit(header, "192.0.2.1"), Action.READ)

    return [
        ("model server, token and role", median_us(model_server, repeats)),
        ("model server, a file that has not changed looked at", median_us(keyring.refresh, repeats)),
        ("control plane, token and role by the database", median_us(control_plane, repeats // 4)),
        ("the same through the door's thread", asyncio.run(median_through_thread_us(control_plane, repeats // 4))),
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=20_000)
    parser.add_argument("--database", help="a PostgreSQL database to measure on; a new SQLite file if not given")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = options.database or f"sqlite:///{folder}/perenne.db"
        with Database.open(url) as database:
            print(f"{url.partition(':')[0]}, {TOKENS} tokens")
            for what, found in measure(database, Path(folder), options.repeats):
                print(f"{found:8.1f} µs  {what}")


if __name__ == "__main__":
    main()
