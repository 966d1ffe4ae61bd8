"""Processes that answer parts: as many as asked for, with at most one part waiting for each, and gone when their parent is."""

import multiprocessing
import os
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa

from perenne import inference
from perenne.core.clock import SECOND
from perenne.core.errors import PerenneError, Unavailable
from perenne.core.ids import encode_id, time_of_id
from perenne.inference import Prediction
from perenne.serving.scoring.inputs import Part
from perenne.serving.scoring.outputs import answers, write_part
from perenne.serving.scoring.rows import Readable, readable
from perenne.serving.scoring.telling import write_messages
from perenne.stats.columns import Field, FieldKind


class Task(msgspec.Struct, frozen=True):
    """What every part is answered by.

    Attributes
    ----------
    package, manifest, version : str
        The folder of the package, the digest of its manifest, and what it is called.
    code : bool
        Whether code in it, such as a pickle, may run.
    folder, how : str
        Where the parts go, and in which format.
    keep : tuple of str
        Columns that come along.
    tree : str
        The package as monitoring knows it, if it is to be told; empty if not.
    time : str
        The column that says when a row happened, for monitoring; the instant of the scoring if there is none.
    identity : str
        What prediction ids are made from, in hexadecimal digits: an instant, and bits of what is scored by what.
    """

    package: str
    manifest: str
    version: str
    code: bool
    folder: str
    how: str
    keep: tuple[str, ...]
    identity: str
    tree: str = ""
    time: str = ""


class Done(msgspec.Struct, frozen=True):
    """A part that is there: its rows that were answered, its names, and which rows were set aside and why."""

    part: int
    file: str
    rows: int
    names: tuple[str, ...]
    aside: tuple[tuple[int, str], ...] = ()


class Failed(NamedTuple):
    """Why a part could not be answered."""

    message: str
    code: str
    hint: str


def part_file(folder: Path, number: int) -> Path:
    """Return where the answers of a part lie."""
    return folder / f"part-{number:06d}"


def note_file(folder: Path, number: int) -> Path:
    """Return where it lies what became of a part; it is written after the part."""
    return folder / f"part-{number:06d}.json"


class Answerer:
    """Answers parts in this process."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._predictor = inference.load(Path(task.package), manifest=task.manifest, code=task.code)

    def answer(self, part: Part) -> Done:
        """Answer a part, and write answers and note."""
        task, folder = self._task, Path(self._task.folder)
        found = readable(part.table, self._predictor.signature.fields)
        places = [part.places[position] for position in found.positions.tolist()]
        kept = part.table.select(list(task.keep)).take(found.positions) if task.keep else pa.table({})
        prefix = encode_id(int(task.identity, 16) + part.number)
        ids = [f"{prefix}-{row}" for row in range(len(places))]
        prediction = self._predictor.predict(found.columns)
        table = answers(self._predictor, prediction, kept, places, ids, task.version)
        if task.tree and ids:
            self._note_answers(part, found, prediction, prefix)
        write_part(table, part_file(folder, part.number), task.how)
        aside = tuple((part.places[position], reason) for position, reason in sorted(found.reasons.items()))
        done = Done(part.number, part.file, len(ids), tuple(table.column_names), aside)
        note = note_file(folder, part.number)
        beside = note.with_name(f".{note.name}.incoming")
        beside.write_bytes(msgspec.json.encode(done))
        beside.replace(note)
        return done

    def _note_answers(self, part: Part, found: Readable, prediction: Prediction, request: str) -> None:
        """Write what monitoring is to be told of a part."""
        task = self._task
        arrival = time_of_id(request)
        times = [arrival] * len(found.positions)
        if task.time:
            field = Field(task.time, FieldKind.TIME, "timestamp")
            read = readable(part.table.take(found.positions), [field])
            seconds = dict(zip(read.positions.tolist(), read.columns[task.time].tolist(), strict=True))
            times = [_microseconds(seconds.get(row), arrival) for row in range(len(times))]
        write_messages(
            message_file(Path(task.folder), part.number), request=request, version=task.version, tree=task.tree,
            arrival=arrival, times=times, signature=self._predictor.signature, columns=found.columns, prediction=prediction,
        )  # fmt: skip


def _microseconds(seconds: float | None, otherwise: int) -> int:
    return otherwise if seconds is None or seconds != seconds else round(seconds * SECOND)


def message_file(folder: Path, number: int) -> Path:
    """Return where it lies what monitoring is told of a part."""
    return folder / f"part-{number:06d}.messages"


def answer_all(task: Task, parts: Iterator[Part], workers: int, hear: Callable[[Done], None]) -> None:
    """Answer parts as they are read. Raises PerenneError with what a part could not be answered for."""
    if workers == 1:
        answerer = Answerer(task)
        for part in parts:
            hear(answerer.answer(part))
        return
    _Pool(task, workers).run(parts, hear)


class _Pool:
    def __init__(self, task: Task, workers: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._ends: dict[Connection, Any] = {}
        self._idle: list[Connection] = []
        for _ in range(workers):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs, msgspec.json.encode(task)), daemon=True)
            process.start()
            theirs.close()
            self._ends[ours] = process
            self._idle.append(ours)

    def run(self, parts: Iterator[Part], hear: Callable[[Done], None]) -> None:
        try:
            for part in parts:
                while not self._idle:
                    self._hear(hear)
                self._idle.pop().send_bytes(_packed(part))
            while len(self._idle) < len(self._ends):
                self._hear(hear)
        finally:
            for end, process in self._ends.items():
                end.close()
                process.join(5)
                if process.is_alive():
                    process.kill()

    def _hear(self, hear: Callable[[Done], None]) -> None:
        busy = [end for end in self._ends if end not in self._idle]
        for ready in wait(busy):
            assert isinstance(ready, Connection)
            try:
                answer = ready.recv()
            except EOFError:
                raise Unavailable(
                    "a process that scores has died", code="score.worker", hint="is there enough memory? try fewer --workers"
                ) from None
            if isinstance(answer, Failed):
                error = PerenneError(answer.message, code=answer.code, hint=answer.hint)
                raise error
            self._idle.append(ready)
            hear(answer)


def _packed(part: Part) -> bytes:
    sink = pa.BufferOutputStream()
    places = pa.array(part.places, pa.int64())
    table = part.table.append_column("\0places", places).replace_schema_metadata({"number": str(part.number), "file": part.file})
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def _unpacked(data: bytes) -> Part:
    table = pa.ipc.open_stream(data).read_all()
    about = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    places = table.column("\0places").to_numpy().tolist()
    return Part(int(about["number"]), about["file"], places, table.drop_columns(["\0places"]).replace_schema_metadata(None))


def _work(end: Connection, task: bytes) -> None:
    """Be a worker until the parent closes its end, or is gone."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    answerer: Answerer | None = None
    while True:
        try:
            data = end.recv_bytes()
        except (EOFError, OSError):
            return
        try:
            answerer = answerer or Answerer(msgspec.json.decode(task, type=Task))
            end.send(answerer.answer(_unpacked(data)))
        except PerenneError as error:
            end.send(Failed(error.message, error.code, error.hint))
        except Exception as error:
            end.send(Failed(f"a part cannot be answered: {type(error).__name__}: {error}", "score.failed", "is the input right?"))
