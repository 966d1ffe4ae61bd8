"""Fill a database with runs, quickly and always the same: `python benchmarks/tracking/wide.py URL --runs 100000`.

Each run has 20 metrics, 10 parameters and 5 tags. The values are made by the database itself, from the number of the run.
"""

import argparse
import time

import sqlalchemy as sa

from perenne.storage.database import Database, Transaction
from perenne.tracking.keys import keys_of
from perenne.tracking.tables import experiment, run

METRICS, PARAMETERS, TAGS = 20, 10, 5
FIRST = 1_700_000_000_000_000
"""When the first run began; the others followed a second apart."""

_NUMBERS = "with recursive n(i) as (select :first union all select i + 1 from n where i < :last)"
_RUNS = """
insert into run (id, experiment, project, name, started_by, kind, state, data, provenance, flow, outcome, artifact_uri, started,
  ended)
{numbers} select {hex}, {experiment}, {project}, 'run-' || i, 'user' || (i % 7), '',
  case i % 10 when 0 then '"failed"' when 1 then '"running"' else '"finished"' end, '[]', '{{}}', '', '',
  'mlflow-artifacts:/' || i, {begun} + i * 1000000,
  case i % 10 when 1 then null else {begun} + i * 1000000 + (i % 500) * 1000000 end
from n
"""
_NAMED = """
insert into {table} (run, key, {columns})
{numbers} select run.number, {key}, {values} from n join run on run.id = {hex}
"""


def fill(tx: Transaction, runs: int, experiments: int = 1, first: int = 1) -> list[int]:
    """Add runs, spread evenly over experiments named ``bench-0`` and so on; return the experiments' ids."""
    ids = [_experiment(tx, f"bench-{number}") for number in range(experiments)]
    place = {"first": first, "last": first + runs - 1}
    chosen = " ".join(f"when {number} then {identity}" for number, identity in enumerate(ids))
    texts = {"experiment": f"case i % {experiments} {chosen} end", "project": f"'bench-' || (i % {experiments})", "begun": FIRST}
    _run(tx, _RUNS, place, texts)
    names = _names()
    for name, key in keys_of(tx, names).items():
        kind, _, number = name.partition("_")
        _run(tx, _NAMED, place, _texts(kind, int(number), key))
    return ids


def _names() -> list[str]:
    kinds = (("metric", METRICS), ("param", PARAMETERS), ("tag", TAGS))
    return [f"{kind}_{number}" for kind, count in kinds for number in range(count)]


def _texts(kind: str, number: int, key: int) -> dict[str, object]:
    if kind == "metric":
        value = f"(i * {7919 + 2 * number} % 100003) / 100003.0"
        nan = f"(i + {number}) % 97 = 0"
        values = f"case when {nan} then 0.0 else {value} end, {FIRST} / 1000, 10, {nan}"
        return {"table": "run_latest", "columns": "value, time, step, nan", "key": key, "values": values}
    if kind == "param" and number % 2 == 0:
        value = f"(i * {31 + number} % 1000) / 1000.0"
        return {"table": "run_param", "columns": "value, number", "key": key, "values": f"cast({value} as text), {value}"}
    if kind == "param":
        return {"table": "run_param", "columns": "value, number", "key": key, "values": f"'choice-' || (i % {number * 7}), null"}
    return {"table": "run_tag", "columns": "value", "key": key, "values": f"'tag-' || (i % {10 ** (number + 1)})"}


def _experiment(tx: Transaction, name: str) -> int:
    found = tx.scalar(sa.select(experiment.c.id).where(experiment.c.name == name))
    if found is None:
        values = {"name": name, "project": name, "artifact_location": "mlflow-artifacts:/x", "created": FIRST, "updated": FIRST}
        found = tx.scalar(experiment.insert().returning(experiment.c.id), values)
    return int(found)


def _run(tx: Transaction, text: str, place: dict[str, int], texts: dict[str, object]) -> None:
    on_sqlite = tx.connection.dialect.name == "sqlite"
    hexadecimal = "printf('%032x', i)" if on_sqlite else "lpad(to_hex(i), 32, '0')"
    statement = text.format(**texts, numbers=_NUMBERS, hex=hexadecimal)
    if not on_sqlite:
        statement = statement.replace(":first", "cast(:first as bigint)")
    tx.execute(sa.text(statement), place)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", help="sqlite:///path or postgresql://...")
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--experiments", type=int, default=1)
    given = parser.parse_args()
    begun = time.perf_counter()
    with Database.open(given.url) as database:
        already = database.write(lambda tx: int(tx.scalar(sa.select(sa.func.count()).select_from(run)) or 0))
        database.write(lambda tx: fill(tx, given.runs, given.experiments, already + 1))
        if database.backend.concurrent:
            database.write(lambda tx: tx.execute(sa.text("analyze")))
    print(f"{given.runs} runs in {time.perf_counter() - begun:.1f} s")


if __name__ == "__main__":
    main()
