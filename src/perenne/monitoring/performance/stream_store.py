"""The SQL of label streams: one row for each deployment, version, variant and segment, with the state of its detectors."""

import msgspec
import sqlalchemy as sa

from perenne.core.errors import Conflict
from perenne.monitoring.model import Stream
from perenne.monitoring.rightness import Firing
from perenne.stats.adwin import Adwin
from perenne.stats.sequential import Cusum
from perenne.storage.database import JsonColumn, Transaction, metadata

FIRINGS_KEPT = 50


class StreamState(msgspec.Struct, kw_only=True):
    """Where the detectors of a label stream stand.

    Attributes
    ----------
    labels, losses : int, float
        Labels so far, and the sum of their losses from 0 to 1.
    cusum : Cusum or None
        None for losses that are not 0 or 1, and before the rate is known.
    firings : list of Firing
        Oldest first.
    """

    labels: int = 0
    losses: float = 0.0
    cusum: Cusum | None = None
    adwin: Adwin = msgspec.field(default_factory=Adwin)
    firings: list[Firing] = []


stream_table = sa.Table(
    "monitor_stream",
    metadata,
    sa.Column("deployment", sa.Text, primary_key=True),
    sa.Column("variant", sa.Text, primary_key=True),
    sa.Column("version", sa.Text, primary_key=True),
    sa.Column("segment", sa.Text, primary_key=True),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("body", JsonColumn(StreamState), nullable=False),
)


def states(tx: Transaction, stream: Stream) -> dict[str, tuple[int, StreamState]]:
    """Read the revision and the state of every segment of a stream."""
    columns = stream_table.c
    query = sa.select(columns.segment, columns.revision, columns.body).where(*_of(stream)).order_by(columns.segment)
    return {row.segment: (row.revision, row.body) for row in tx.execute(query)}


def save(tx: Transaction, stream: Stream, segment: str, revision: int, state: StreamState) -> None:
    """Keep the next state of a segment; `revision` is the one it follows, 0 for none. Raises Conflict if another was first."""
    if revision == 0:
        keys = {"deployment": stream.deployment, "variant": stream.variant, "version": stream.version}
        tx.execute(stream_table.insert(), keys | {"segment": segment, "revision": 1, "body": state})
        return
    unmoved = (*_of(stream), stream_table.c.segment == segment, stream_table.c.revision == revision)
    if tx.execute(stream_table.update().where(*unmoved).values(revision=revision + 1, body=state)).rowcount == 0:
        raise Conflict(f"labels of {stream.version} were taken by another", code="labels.raced", hint="they are taken again")


def _of(stream: Stream) -> "tuple[sa.ColumnElement[bool], ...]":
    columns = stream_table.c
    return columns.deployment == stream.deployment, columns.variant == stream.variant, columns.version == stream.version
