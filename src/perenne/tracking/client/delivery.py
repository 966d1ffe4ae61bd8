"""Delivering a spool: its records in their order, in as few requests as their limits allow."""

import contextlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from perenne.core.errors import PerenneError, Unavailable
from perenne.tracking.client.batch import MAX_METRICS, MAX_OTHERS, MAX_TOGETHER, Batch
from perenne.tracking.client.destination import Destination
from perenne.tracking.client.records import Artifact, Begin, Close, End, Input, Metrics, Params, Record, Tags
from perenne.tracking.client.spool import Spool

log = logging.getLogger("perenne.client")

V = TypeVar("V")
AT_ONCE = 2_000
"""Records read from a spool at a time."""


class Delivery:
    """Brings one spool to its destination.

    Parameters
    ----------
    spool : Spool
        What is to be delivered.

    Attributes
    ----------
    refused : int
        Records that the destination does not take; they and the reasons are kept in `RUN.TOKEN.refused` beside the spool.
    closed : bool
        Whether the last record was delivered.
    """

    def __init__(self, spool: Spool) -> None:
        self.spool = spool
        self.refused = 0
        self.closed = False
        self._destination: Destination
        self._objects = spool.path.parent / "objects"
        self._sent: list[Path] = []

    def run(self, destination: Destination) -> int:
        """Deliver what waits to its destination, and return how many records that were.

        Raises
        ------
        Unavailable
            If the destination cannot take it now; what was taken before is noted.
        """
        self._destination, count = destination, 0
        while (piece := self.spool.pending(AT_ONCE)).records:
            self._deliver(piece.records)
            self.spool.mark(piece.end, compact=not self.closed)
            self._forget_sent()
            count += len(piece.records)
        if waiting := self.spool.take_waiting():
            self._deliver(waiting)
            self.spool.drop_waiting(len(waiting))
            self._forget_sent()
        return count + len(waiting)

    def _deliver(self, records: Sequence[Record]) -> None:
        batch: list[Record] = []
        counts = [0, 0, 0]
        for record in records:
            if isinstance(record, Begin | Artifact | End | Close):
                self._log(batch)
                batch, counts = [], [0, 0, 0]
                self._try(record)
                continue
            for part in _parts(record):
                more = [_size(part, Metrics), _size(part, Params), _size(part, Tags)]
                sums = [have + add for have, add in zip(counts, more, strict=True)]
                if sums[0] > MAX_METRICS or max(sums[1:]) > MAX_OTHERS or sum(sums) > MAX_TOGETHER:
                    self._log(batch)
                    batch, sums = [], more
                batch.append(part)
                counts = sums
        self._log(batch)

    def _log(self, records: Sequence[Record]) -> None:
        """Log records as one batch; if it is refused, each by itself, so that one bad record keeps no other back."""
        if not records:
            return
        try:
            self._destination.log(self.spool.begin.run, _batch(records))
        except Unavailable:
            raise
        except PerenneError as error:
            if len(records) == 1:
                self._refuse(records[0], error)
                return
            half = len(records) // 2
            self._log(records[:half])
            self._log(records[half:])

    def _try(self, record: Begin | Artifact | End | Close) -> None:
        try:
            self._one(record)
        except Unavailable:
            raise
        except (PerenneError, FileNotFoundError) as error:
            if isinstance(record, Begin):  # without its run nothing else is taken either: all of it waits
                raise Unavailable(f"the run is refused: {error}", code="client.refused", hint="it stays in the spool") from error
            self._refuse(record, error)

    def _one(self, record: Begin | Artifact | End | Close) -> None:
        run = self.spool.begin.run
        match record:
            case Begin():
                self._destination.begin(record, self._objects)
            case Artifact(path, file):
                kept = self.spool.folder / Path(file).name
                self._destination.put(run, path, kept)
                self._sent.append(kept)
            case End():
                self._destination.end(run, record)
                self.closed = True
            case Close():
                self.closed = True

    def _forget_sent(self) -> None:
        """Delete the copies of files that were sent, now that this is noted: before, they might have to be sent again."""
        for path in self._sent:
            path.unlink(missing_ok=True)
        self._sent.clear()

    def _refuse(self, record: Record, error: Exception) -> None:
        self.refused += 1
        if self.refused == 1:
            log.warning("run %s: a record was refused: %s", self.spool.begin.run, error)
        line = {"reason": str(error), "record": msgspec.to_builtins(record)}
        with contextlib.suppress(OSError), self.spool.path.with_suffix(".refused").open("ab") as stream:
            stream.write(msgspec.json.encode(line) + b"\n")


def _parts(record: Record) -> list[Record]:
    """Cut a record of more values than a batch holds into several."""
    if isinstance(record, Metrics) and len(record.values) > MAX_METRICS:
        return [Metrics(record.time, record.step, part) for part in _cut(record.values, MAX_METRICS)]
    if isinstance(record, Params) and len(record.values) > MAX_OTHERS:
        return [Params(part) for part in _cut(record.values, MAX_OTHERS)]
    if isinstance(record, Tags) and len(record.values) > MAX_OTHERS:
        return [Tags(part) for part in _cut(record.values, MAX_OTHERS)]
    return [record]


def _cut(values: dict[str, V], size: int) -> list[dict[str, V]]:
    items = list(values.items())
    return [dict(items[at : at + size]) for at in range(0, len(items), size)]


def _size(record: Record, kind: type[Metrics] | type[Params] | type[Tags]) -> int:
    return len(record.values) if isinstance(record, kind) else 0


def _batch(records: Sequence[Record]) -> Batch:
    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    for record in records:
        if isinstance(record, Params):
            params |= record.values
        elif isinstance(record, Tags):
            tags |= record.values
    metrics = [record for record in records if isinstance(record, Metrics)]
    return Batch(metrics, params, tags, [record for record in records if isinstance(record, Input)])
