"""Labels from where others keep them: a table, a query or files, read by the calendar of a source, whose new rows are labels."""

from pathlib import Path

import msgspec

from perenne import data
from perenne.auth.principals import Principal, PrincipalKind
from perenne.auth.roles import Role
from perenne.monitoring.labels import LabelBatch, accept_labels, label_table, with_key, write_labels
from perenne.storage import jobs
from perenne.storage.database import Transaction
from perenne.storage.jobs import Job
from perenne.storage.workspace import Workspace

TAKE_JOB = "monitor.labels"
PREFIX = "labels/"
"""Datasets of this name hold labels; after it the deployment they are for, and after a colon the column that is its key."""


class ToTake(msgspec.Struct, frozen=True):
    """The payload of a job: a snapshot whose last rows are new labels."""

    dataset: str
    snapshot: str
    added: int


def dataset_of(deployment: str, key: str = "") -> str:
    """Name the dataset of a deployment's labels.

    >>> dataset_of("churn"), dataset_of("churn", "customer")
    ('labels/churn', 'labels/churn:customer')
    """
    return f"{PREFIX}{deployment}{f':{key}' if key else ''}"


def source_of(
    deployment: str, key: str, uri: str, query: str, watermark: str, every: str, *, trusted: bool
) -> "data.ingest.Source":
    """Say where a deployment's labels are: what grows is read from where it ended, anything else whole."""
    grows = bool(watermark) or (not query and bool(set("*?[") & set(uri) or Path(uri).is_dir()))
    return data.ingest.Source(
        dataset=dataset_of(deployment, key),
        uri=uri,
        query=query,
        mode=data.ingest.Mode.APPEND if grows else data.ingest.Mode.FULL,
        watermark=watermark,
        every=data.ingest.calendar_of(every) if every else "",
        trusted=trusted,
    )


def on_rows_arrived(tx: Transaction, event: "data.ingest.events.RowsArrived") -> None:
    """Queue the taking of labels that a source brought."""
    if event.dataset.startswith(PREFIX) and event.added:
        payload = ToTake(event.dataset, event.snapshot, event.added)
        jobs.enqueue(tx, TAKE_JOB, payload, key=f"{TAKE_JOB}:{event.dataset}:{event.snapshot}", attempts_allowed=4)


def take_labels(workspace: Workspace, job: Job) -> None:
    """Take the new rows of a source as a batch of labels; that and the end of the job are one transaction."""
    asked = msgspec.json.decode(job.payload, type=ToTake)
    table = data.snapshots.read_snapshot(workspace.objects, asked.snapshot)
    new = table.slice(max(0, table.num_rows - asked.added))
    deployment, _, key = asked.dataset.removeprefix(PREFIX).partition(":")
    labels = label_table(with_key(new, deployment, key), workspace.clock.now())
    batch = LabelBatch(workspace.objects.put(write_labels(labels)), labels.num_rows)
    actor = Principal(asked.dataset, PrincipalKind.SYSTEM, frozenset({Role.CONTRIBUTOR}))

    def keep(tx: Transaction) -> None:
        accept_labels(tx, actor, batch, now=workspace.clock.now())
        jobs.finish(tx, job)

    workspace.database.write(keep)
