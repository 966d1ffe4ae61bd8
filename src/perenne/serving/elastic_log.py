"""Predictions as documents for Elasticsearch: the lines of `ecs_log`, each under the id of its prediction."""

from typing import TYPE_CHECKING

from perenne.formats.elastic import Document
from perenne.serving import ecs_log

if TYPE_CHECKING:
    import pyarrow as pa

STREAM = f"logs-{ecs_log.DATASET}-default"


def documents(table: "pa.Table", deployment: str, sample: float) -> list[Document]:
    """Write rows of the log as documents; a challenger's answer to the same row is a document of its own."""
    return [
        Document(STREAM, f"{fields['event.id']}-{fields['ml.model.variant']}", fields)
        for fields in ecs_log.records(table, deployment, sample)
    ]
