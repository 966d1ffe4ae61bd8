"""Several processes log to the same run at the same moment. `many_loggers.py URL PROCESSES BATCHES`.

Each logs points of the same metrics, new names among them, a tag that all set and a parameter of which only the first value
stands. Prints how many points the run has in all, how often a parameter was refused, and how many names there are.
"""

import os
import sys
from functools import partial

import sqlalchemy as sa

from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.storage.database import Database
from perenne.tracking import history, logs, service
from perenne.tracking.errors import ParamChanged
from perenne.tracking.model import Metric, Param, Tag
from perenne.tracking.tables import key, run_point

ME = Principal("writer", roles=frozenset(Role))
METRICS = 20


def log(url: str, run: str, process: int, batches: int) -> int:
    """Log batches, the last of which has the greatest steps; return how often a parameter was refused."""
    refused = 0
    with Database.open(url) as database:
        for batch in range(batches):
            points = [Metric(f"{batch % 4}/{place}", float(process), batch, process) for place in range(METRICS)]
            tags = [Tag("last", str(process)), Tag(f"t{batch}", "x")]
            database.write(partial(logs.log_batch, actor=ME, identity=run, metrics=points, tags=tags), durable=False, alone=False)
            param = Param(f"p{batch}", str(process))
            try:
                database.write(partial(logs.log_param, actor=ME, identity=run, param=param), durable=False, alone=False)
            except ParamChanged:
                refused += 1
            single = Metric("single", float(batch), 0, process * batches + batch)
            database.write(partial(logs.log_metric, actor=ME, identity=run, metric=single), durable=False, alone=False)
    return refused


def main(url: str, processes: int, batches: int) -> None:
    """Fork the processes, let them go at once, wait, and look."""
    with Database.open(url) as database:
        run = database.write(lambda tx: service.create_run(tx, ME, 0)).id
    wait, go = os.pipe()
    children = []
    for process in range(processes):
        child = os.fork()
        if child == 0:
            os.close(go)
            os.read(wait, 1)  # returns when the parent lets go of the other end
            status = 255
            try:
                status = log(url, run, process, batches)
            finally:
                os._exit(status)
        children.append(child)
    os.close(go)
    statuses = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert all(status <= batches for status in statuses), statuses
    with Database.open(url) as database, database.read() as tx:
        found = service.get_logged(tx, ME, run)
        latest = {metric.key: (metric.step, metric.time) for metric in found.metrics}
        assert latest.pop("single") == (processes * batches - 1, 0)
        for batch in range(max(0, batches - 4), batches):
            assert {latest[f"{batch % 4}/{place}"] for place in range(METRICS)} == {(processes - 1, batch)}, latest
        assert len(history.history(tx, ME, run, "single")) == processes * batches
        assert len(found.params) == batches
        names = list(tx.execute(sa.select(key.c.name)).scalars())
        assert len(names) == len(set(names))
        print(tx.scalar(sa.select(sa.func.count()).select_from(run_point)), sum(statuses), len(names))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
