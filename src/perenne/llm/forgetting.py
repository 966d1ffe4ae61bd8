"""Letting go of what belonged to an experiment or a run that was removed for good."""

import sqlalchemy as sa

from perenne import tracking
from perenne.llm import assessment_store, review_queues, trace_store
from perenne.llm.tables import (
    evaluation_dataset_experiment,
    issue,
    label_schema,
    review_item,
    review_queue,
    scorer,
    scorer_version,
    trace,
    trace_link,
)
from perenne.storage.database import Transaction

AT_ONCE = 10_000


def on_removed(tx: Transaction, event: "tracking.Removed") -> None:
    """Remove what a run judged and was linked to; of an experiment its traces and all by which they were judged."""
    if event.kind == "run":
        assessment_store.delete_of_run(tx, event.identity)
        tx.execute(trace_link.delete().where(trace_link.c.kind == "run", trace_link.c.target == event.identity))
    elif event.kind == "experiment" and event.identity.isdecimal():
        _forget_experiment(tx, int(event.identity))


def _forget_experiment(tx: Transaction, number: int) -> None:
    """Remove an experiment's traces; evaluation datasets stay, for they may belong to others."""
    some = sa.select(trace.c.number, trace.c.id).where(trace.c.experiment == number).limit(AT_ONCE)
    while rows := list(tx.execute(some)):
        numbers = [row.number for row in rows]
        assessment_store.delete_of_traces(tx, numbers)
        review_queues.forget(tx, [row.id for row in rows])
        trace_store.delete(tx, numbers)
    for parent, child, key in ((scorer, scorer_version, "scorer"), (review_queue, review_item, "queue")):
        mine = sa.select(parent.c.number).where(parent.c.experiment == number)
        tx.execute(child.delete().where(child.c[key].in_(mine)))
    for table in (scorer, review_queue, issue, label_schema, evaluation_dataset_experiment):
        tx.execute(table.delete().where(table.c.experiment == number))
