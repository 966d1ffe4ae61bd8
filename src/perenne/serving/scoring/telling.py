"""Answers of a batch, told to monitoring as a model server tells its own: the row log, the windows, the challengers in shadow.

While parts are answered, what would go over the wire goes to a file beside each part. When all are there, an observer in this
process takes the files, one after the other. If that is cut off, it is done again from the beginning: rows may then stand in the
log twice, under the same prediction ids.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from perenne.inference import Prediction, Signature
from perenne.serving.counters import Counters, Gauge
from perenne.serving.messages import (
    MAX_MESSAGE,
    Served,
    pack_answers,
    pack_columns,
    pack_message,
    rows_of,
    served_decoder,
    served_encoder,
)
from perenne.serving.observer import Observer
from perenne.serving.options import ObserverOptions, socket_pair
from perenne.stats.columns import Columns

_LENGTH = 4


def write_messages(
    path: Path,
    *,
    request: str,
    version: str,
    tree: str,
    arrival: int,
    times: Sequence[int],
    signature: Signature,
    columns: Columns,
    prediction: Prediction,
) -> None:
    """Write what is to be told of a part: messages that fit the wire, each of rows that happened at one time."""
    predictions, scores = pack_answers(prediction)
    whole = Served(
        request_id=request, first_row=0, rows=len(times), arrival=arrival, event_time=arrival, latency_us=0,
        batch_rows=len(times), status=200, role="champion", reason="", version=version, tree=tree, dropped=0,
        columns=pack_columns(columns, signature.fields), predictions=predictions, scores=scores, variant="champion",
    )  # fmt: skip
    with path.open("wb") as sink:
        for start, end in _runs(times):
            run = rows_of(whole, signature, start, end)
            for data in _fitting(_at(run, times[start]), signature):
                sink.write(len(data).to_bytes(_LENGTH, "little") + data)


def _at(served: Served, time: int) -> Served:
    return msgspec.structs.replace(served, event_time=time)


def _runs(times: Sequence[int]) -> Iterator[tuple[int, int]]:
    start = 0
    for row in range(1, len(times) + 1):
        if row == len(times) or times[row] != times[start]:
            yield start, row
            start = row


def _fitting(served: Served, signature: Signature) -> Iterator[bytes]:
    data = served_encoder.encode(served)
    if len(data) <= MAX_MESSAGE or served.rows == 1:
        yield data
        return
    step = max(1, served.rows // -(-len(data) // (MAX_MESSAGE // 2)))
    for start in range(0, served.rows, step):
        yield from _fitting(rows_of(served, signature, start, min(start + step, served.rows)), signature)


def tell(release: Path, logs: Path, spool: Path, files: Sequence[Path], server: str) -> int:
    """Let an observer take what was written beside parts; return how many rows the log has of them, challengers' among them."""
    counters = Counters.create(2)
    (ours, theirs), (control, other) = socket_pair(), socket_pair()
    options = ObserverOptions(
        folder=str(release.absolute()), logs=str(logs), spool=str(spool), wires=(os.dup(theirs.fileno()),),
        control=os.dup(other.fileno()), counters=counters.handle, server=server,
    )  # fmt: skip
    with contextlib.closing(ours), contextlib.closing(theirs), contextlib.closing(control), contextlib.closing(other):
        observer = Observer(options)
        position = 0
        for rows, data in _messages(files):
            message = pack_message(position, data)
            while True:
                try:
                    ours.send(message)
                    break
                except BlockingIOError:
                    observer.step(0)
            position += rows
            counters.set(Gauge.SENT_ROWS, position)
        observer.leave()
        observer.run()
        logged = counters.get(Gauge.LOGGED_ROWS, 1)
    os.close(counters.handle)
    return logged


def _messages(files: Sequence[Path]) -> Iterator[tuple[int, bytes]]:
    for path in files:
        with path.open("rb") as stream:
            while head := stream.read(_LENGTH):
                data = stream.read(int.from_bytes(head, "little"))
                (served,) = served_decoder.decode(b"\x91" + data)
                yield served.rows, data
