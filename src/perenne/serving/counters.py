"""Counts that outlive the process that counts, and that any process of the server can read: int64 in one shared map.

Each worker and the observer has a block of its own that only it writes. A block holds gauges, a note and a fixed number of
series; a series is named by deployment, version, variant and endpoint. After the blocks comes the observer's `Ledger`.
"""

import mmap
import os
import tempfile
import time
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator
from enum import IntEnum
from typing import NamedTuple

from perenne.formats.windows import LATENCY_EDGES_US
from perenne.telemetry.process import cpu_seconds, resident_bytes


class Gauge(IntEnum):
    """The single figures of a block."""

    GENERATION = 0
    READY = 1
    IN_FLIGHT = 2
    QUEUE_ROWS = 3
    BACKLOG = 4
    SENT = 5
    DROPPED = 6
    LOADS = 7
    LOAD_FAILURES = 8
    LOAD_US = 9
    BATCHES = 10
    BATCH_ROWS = 11
    LOGGED_ROWS = 12
    CHALLENGER_ERRORS = 13
    BEAT_US = 14
    RESTARTS = 15
    CPU_US = 16
    RESIDENT_BYTES = 17
    DRAINING = 18
    SENT_ROWS = 19
    BACKLOG_ROWS = 20
    RUNS = 21
    STANDS_IN = 22
    SERVED = 23
    TRIED = 24
    SWITCHED = 31
    LEFT_OUT = 32
    ECS_LINES = 33
    ECS_DROPPED = 34
    EVENTS_SENT = 35
    EVENTS_DROPPED = 36
    OVER_MEMORY = 37
    INDEXED = 38
    INDEX_LOST = 39
    MIRRORS_DROPPED = 25


class Outcome(IntEnum):
    """How a request ended, counted for who was asked: another one answered if that is FALLBACK (it failed) or LATE."""

    OK = 0
    FALLBACK = 1
    INVALID = 2
    UNAVAILABLE = 3
    FAILED = 4
    LATE = 5


class SeriesKey(NamedTuple):
    """What a series counts."""

    deployment: str
    version: str
    variant: str
    endpoint: str


class Stage(IntEnum):
    """The parts of answering: reading the body, waiting for the model, being predicted, writing the answer."""

    READ = 0
    QUEUE = 1
    PREDICT = 2
    WRITE = 3


class Stages(NamedTuple):
    """How long each part of a request took, in microseconds, and whether it was the first of its batch."""

    read: int
    queue: int
    predict: int
    write: int
    leads: bool


class SeriesCounts(NamedTuple):
    """A series as read.

    Attributes
    ----------
    outcomes : tuple of int
        Requests by outcome.
    rows, latency_us : int
        Rows, and microseconds in all.
    cells : tuple of int
        Requests per latency cell.
    stages : tuple of int
        Microseconds in each stage.
    batches : int
        Calls of the model.
    """

    outcomes: tuple[int, ...]
    rows: int
    latency_us: int
    cells: tuple[int, ...]
    stages: tuple[int, ...]
    batches: int


_OTHER = SeriesKey("", "", "", "other")
_GAUGES = 64
_KEY_WORDS = 32
_CELLS = len(LATENCY_EDGES_US) + 1
_ROWS = len(Outcome)
_LATENCY = _ROWS + 1
_FIRST_CELL = _LATENCY + 1
_FIRST_STAGE = _FIRST_CELL + _CELLS
_BATCHES = _FIRST_STAGE + len(Stage)
_SERIES_WORDS = _KEY_WORDS + _BATCHES + 1
BATCH_EDGES = tuple(2**step for step in range(14))
"""Upper edges of the cells of batch sizes, in rows; one more cell holds what is larger."""
_SERIES = 32
_NOTE_WORDS = 64
_NOTE = _GAUGES + _SERIES * _SERIES_WORDS
_STAGE_CELLS = _NOTE + _NOTE_WORDS
_BATCH_CELLS = _STAGE_CELLS + len(Stage) * _CELLS
_BLOCK_WORDS = _BATCH_CELLS + len(BATCH_EDGES) + 1
_WORD = 8
_RULED_OUT = 16
_ENDED = (
    Gauge.READY,
    Gauge.GENERATION,
    Gauge.IN_FLIGHT,
    Gauge.QUEUE_ROWS,
    Gauge.BACKLOG,
    Gauge.BACKLOG_ROWS,
    Gauge.DRAINING,
    Gauge.STANDS_IN,
    Gauge.TRIED,
    Gauge.SWITCHED,
    Gauge.BEAT_US,
    Gauge.RESIDENT_BYTES,
)


class Series:
    """One series of a block, to count in."""

    __slots__ = ("_at", "_stages", "_words")

    def __init__(self, words: "memoryview[int]", at: int, stages: int) -> None:
        self._words = words
        self._at = at
        self._stages = stages

    def count(self, outcome: Outcome, rows: int, latency_us: int, stages: Stages | None = None) -> None:
        """Count a request; how long its parts took, if it was answered."""
        words, at = self._words, self._at
        words[at + outcome] += 1
        words[at + _ROWS] += rows
        words[at + _LATENCY] += latency_us
        words[at + _FIRST_CELL + bisect_left(LATENCY_EDGES_US, latency_us)] += 1
        if stages is None:
            return
        cells = self._stages
        for place, took in enumerate(stages[:-1]):
            words[at + _FIRST_STAGE + place] += took
            words[cells + bisect_left(LATENCY_EDGES_US, took)] += 1
            cells += _CELLS
        words[at + _BATCHES] += stages.leads


class Account(NamedTuple):
    """What became of the rows that workers sent, up to the observer's last checkpoint.

    Attributes
    ----------
    sequence : int
        Number of the checkpoint.
    logged, dropped : int
        Rows in the log, challengers' among them; and answered rows that are not, because the observer died or could not write.
    untold : int
        Of the dropped rows, those that no window tells yet.
    positions : tuple of int
        Of each worker's wire, how many rows of all that were sent are accounted for.
    """

    sequence: int
    logged: int
    dropped: int
    untold: int
    positions: tuple[int, ...]


class Ledger:
    """The observer's account in the shared map. It outlives the observer, and is replaced whole, by one word.

    Parameters
    ----------
    words : memoryview of int64
        The map.
    at : int
        Where the ledger begins.
    wires : int
        How many workers send.
    """

    def __init__(self, words: "memoryview[int]", at: int, wires: int) -> None:
        self._words = words
        self._at = at
        self._size = 4 + wires

    def read(self) -> Account:
        """Return the account of the last checkpoint."""
        start = self._bank(self._words[self._at])
        sequence, logged, dropped, untold, *positions = self._words[start : start + self._size].tolist()
        return Account(sequence, logged, dropped, untold, tuple(positions))

    def commit(self, account: Account) -> None:
        """Replace the account: written beside, then switched to."""
        other = 1 - self._words[self._at]
        start = self._bank(other)
        for place, value in enumerate((*account[:4], *account.positions)):
            self._words[start + place] = value
        self._words[self._at] = other

    def _bank(self, number: int) -> int:
        return self._at + 1 + number * self._size


class Counters:
    """The shared map.

    Parameters
    ----------
    handle : int
        File descriptor of the map; see `create`.
    blocks : int
        How many blocks it has: one per worker and one for the observer, which is the last.
    own : int
        The block this process writes.
    """

    def __init__(self, handle: int, blocks: int, own: int) -> None:
        self.handle = handle
        self.blocks = blocks
        self.block = own
        self._words = memoryview(mmap.mmap(handle, _size(blocks))).cast("q")
        self._start = own * _BLOCK_WORDS
        self.ledger = Ledger(self._words, blocks * _BLOCK_WORDS, blocks - 1)
        self._ruled_out = len(self._words) - _RULED_OUT
        self._known: dict[SeriesKey, Series] = {}

    @classmethod
    def create(cls, blocks: int) -> "Counters":
        """Make a map that only this process and those it hands the descriptor to can see."""
        with tempfile.TemporaryFile(prefix="perenne-counters-") as stream:
            os.ftruncate(stream.fileno(), _size(blocks))
            return cls(os.dup(stream.fileno()), blocks, 0)

    def set(self, gauge: Gauge, value: int) -> None:
        """Set a figure of this process."""
        self._words[self._start + gauge] = value

    def add(self, gauge: Gauge, value: int = 1) -> None:
        """Add to a figure of this process."""
        self._words[self._start + gauge] += value

    def beat(self) -> None:
        """Say that this process is well now, and what it costs."""
        self.set(Gauge.BEAT_US, time.time_ns() // 1_000)
        self.set(Gauge.CPU_US, int(cpu_seconds() * 1e6))
        self.set(Gauge.RESIDENT_BYTES, resident_bytes())

    def get(self, gauge: Gauge, block: int) -> int:
        """Read a figure of any process."""
        return self._words[block * _BLOCK_WORDS + gauge]

    def own(self, gauge: Gauge) -> int:
        """Read a figure of this process."""
        return self._words[self._start + gauge]

    def mark_running(self, block: int, runs: bool) -> None:
        """Note whether a process is meant to be in a block, and that there was one; for the parent."""
        self._words[block * _BLOCK_WORDS + Gauge.RUNS] = int(runs)
        self._words[block * _BLOCK_WORDS + Gauge.SERVED] = 1

    def mark_over(self, block: int) -> None:
        """Count that a process held more memory than it may; for the parent."""
        self._words[block * _BLOCK_WORDS + Gauge.OVER_MEMORY] += 1

    def mark_gone(self, block: int, died: bool = True) -> None:
        """Take back what a process that has ended can no longer take back itself; what it counted stays.

        Rows that waited in it for the observer are lost, and counted as such; so is its death, unless it was told to go.
        """
        start = block * _BLOCK_WORDS
        self._words[start + Gauge.DROPPED] += self._words[start + Gauge.BACKLOG_ROWS]
        for gauge in _ENDED:
            self._words[start + gauge] = 0
        self._words[start + Gauge.RESTARTS] += int(died)
        self._write_note(start, "")

    def rule_out(self, trees: Collection[str]) -> None:
        """Tell all workers which packages are to be asked no more; for the parent. Those before are forgotten."""
        words = [int(tree[:15], 16) for tree in sorted(trees)][:_RULED_OUT]
        for place, word in enumerate([*words, *[0] * (_RULED_OUT - len(words))]):
            self._words[self._ruled_out + place] = word

    def ruled_out(self, trees: Iterable[str]) -> frozenset[str]:
        """Return which of some packages are to be asked no more."""
        words = {word for word in self._words[self._ruled_out :].tolist() if word}
        return frozenset(tree for tree in trees if int(tree[:15], 16) in words) if words else frozenset()

    def note(self, text: str) -> None:
        """Say what is wrong with this process, in a line; nothing if it is empty."""
        self._write_note(self._start, text)

    def notes(self) -> dict[int, str]:
        """Return what is wrong, by block."""
        starts = {block: block * _BLOCK_WORDS + _NOTE for block in range(self.blocks)}
        texts = {block: bytes(self._words[at : at + _NOTE_WORDS]).rstrip(b"\0") for block, at in starts.items()}
        return {block: text.decode(errors="ignore") for block, text in texts.items() if text}

    def _write_note(self, start: int, text: str) -> None:
        size = _NOTE_WORDS * _WORD
        data = text.encode()[:size].ljust(size, b"\0")
        self._words[start + _NOTE : start + _STAGE_CELLS] = memoryview(data).cast("q")

    def total(self, gauge: Gauge) -> int:
        """Add a figure up over all processes."""
        return sum(self.get(gauge, block) for block in range(self.blocks))

    def series(self, key: SeriesKey) -> Series:
        """Return the series of a key in this process's block; the last place is shared by what finds no other."""
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._open(key)
        return known

    def read(self) -> dict[SeriesKey, SeriesCounts]:
        """Add every series up over all processes."""
        sums: dict[SeriesKey, list[int]] = {}
        for key, values in self._stored():
            total = sums.setdefault(key, [0] * len(values))
            sums[key] = [a + b for a, b in zip(total, values, strict=True)]
        return {
            key: SeriesCounts(
                tuple(v[:_ROWS]),
                v[_ROWS],
                v[_LATENCY],
                tuple(v[_FIRST_CELL:_FIRST_STAGE]),
                tuple(v[_FIRST_STAGE:_BATCHES]),
                v[_BATCHES],
            )
            for key, v in sorted(sums.items())
        }

    def stage(self, stage: Stage) -> list[int]:
        """Return requests by how long a stage took, over all processes, in the latency cells."""
        return self._added(_STAGE_CELLS + stage * _CELLS, _CELLS)

    def set_batch_sizes(self, cells: list[int]) -> None:
        """Say how many calls of the model had how many rows, by the cells of `BATCH_EDGES`."""
        for place, count in enumerate(cells):
            self._words[self._start + _BATCH_CELLS + place] = count

    def own_batch_sizes(self) -> list[int]:
        """Return what this process's block says of batch sizes: of the process before, if it has just begun."""
        return self._words[self._start + _BATCH_CELLS : self._start + _BLOCK_WORDS].tolist()

    def batch_sizes(self) -> list[int]:
        """Return calls of the model by their rows, over all processes."""
        return self._added(_BATCH_CELLS, len(BATCH_EDGES) + 1)

    def _added(self, at: int, size: int) -> list[int]:
        starts = [block * _BLOCK_WORDS + at for block in range(self.blocks)]
        return [sum(column) for column in zip(*(self._words[start : start + size].tolist() for start in starts), strict=True)]

    def _open(self, key: SeriesKey) -> Series:
        """Find a key's place, or a free one, or else the last, which all others share."""
        name = _pack(key)
        for place in range(_SERIES - 1):
            at = self._start + _GAUGES + place * _SERIES_WORDS
            present = self._words[at : at + _KEY_WORDS].tobytes()
            if present == name or not any(present):
                break
        else:
            at, name = self._start + _GAUGES + (_SERIES - 1) * _SERIES_WORDS, _pack(_OTHER)
        self._words[at : at + _KEY_WORDS] = memoryview(name).cast("q")
        return Series(self._words, at + _KEY_WORDS, self._start + _STAGE_CELLS)

    def _stored(self) -> Iterator[tuple[SeriesKey, list[int]]]:
        for block in range(self.blocks):
            for place in range(_SERIES):
                at = block * _BLOCK_WORDS + _GAUGES + place * _SERIES_WORDS
                name = self._words[at : at + _KEY_WORDS].tobytes().rstrip(b"\0")
                if name:
                    values = self._words[at + _KEY_WORDS : at + _SERIES_WORDS].tolist()
                    yield SeriesKey(*name.decode(errors="replace").split("\t", 3)), values


def name_of_block(counters: Counters, block: int) -> str:
    """Return what the process that writes a block is called."""
    return "observer" if block == counters.blocks - 1 else f"worker-{block}"


def _size(blocks: int) -> int:
    """Return the bytes of a map: its blocks, a ledger with two banks and a switch, and the packages that are ruled out."""
    return (blocks * _BLOCK_WORDS + 1 + 2 * (4 + blocks - 1) + _RULED_OUT) * _WORD


def _pack(key: SeriesKey) -> bytes:
    size = _KEY_WORDS * _WORD
    return "\t".join(key).encode()[:size].ljust(size, b"\0")
