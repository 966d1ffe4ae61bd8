"""Versions whose answers tell which they are, and callers that hold every answer against what was released at that time."""

import http.client
import json
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from tests.serving.packages import NUMBERS, as_tensors, numbers

from perenne.inference import Encoder, Signature, load, package
from perenne.stats.cells import Reference
from perenne.stats.columns import Task, take

CONSTANT = -1.0
BODY = json.dumps({"inputs": as_tensors(numbers(2, 5), NUMBERS)}).encode()
PATH = "/v2/models/delays/infer"


def telling_package(folder: Path, number: int) -> Path:
    """Make a package whose answers lie about 100 times its number, with a monitoring reference."""
    from sklearn.linear_model import LinearRegression

    columns = numbers(200, number)
    y = 100.0 * number + columns["a"]
    encoder = Encoder.fit(columns, y, NUMBERS, Task.REGRESSION, 0)
    estimator = LinearRegression().fit(encoder.transform(columns), y)
    signature = Signature(NUMBERS, Task.REGRESSION, (), "cost")
    package(folder, signature=signature, encoder=encoder, estimator=estimator, sample=columns, example=take(columns, slice(0, 5)))
    predictions = load(folder).predict(columns).predictions
    reference = Reference.fit(columns, NUMBERS, scores=None, predictions=predictions, labels=y, task=Task.REGRESSION, classes=())
    (folder / "monitor").mkdir()
    (folder / "monitor" / "reference.npz").write_bytes(reference.to_bytes())
    return folder


class Told(NamedTuple):
    """What an answer says: the version's number, who it was, and the version its values tell (0 for the constant)."""

    version: str
    variant: str
    value: int


class Answered(NamedTuple):
    """An answer: between which moments, with which status, what it says, and its prediction ids."""

    start: float
    end: float
    status: int
    told: Told | None
    ids: tuple[str, ...]


class Lost(NamedTuple):
    """A request that got no answer, and when that was known."""

    start: float
    end: float
    error: str


class Possible(NamedTuple):
    """What may be answered, from and until which moment."""

    answers: frozenset[Told]
    start: float
    end: float


def read_answer(start: float, end: float, status: int, headers: Any, body: bytes) -> Answered:
    if status != 200:
        return Answered(start, end, status, None, ())
    outputs = {output["name"]: output["data"] for output in json.loads(body)["outputs"]}
    values = {0 if value == CONSTANT else round(value / 100) for value in outputs["prediction"]}
    assert len(values) == 1, f"one answer mixes versions {values}"
    told = Told(headers["x-model-version"], headers["x-variant"], values.pop())
    return Answered(start, end, status, told, tuple(outputs["prediction_id"]))


class Callers:
    """Callers that keep asking, some over one connection, some over a new one each time; use as a context manager.

    A request that gets no answer is asked once more over a new connection, as any client would.

    Attributes
    ----------
    answers, lost, twice : list
        Answers; requests that got none at first; and those that got none at the second time either.
    """

    def __init__(self, port: int, keeping: int = 3, short: int = 2) -> None:
        self._port = port
        self._done = threading.Event()
        self._changed = threading.Condition()
        self.count = keeping + short
        self.answers: list[Answered] = []
        self.lost: list[Lost] = []
        self.twice: list[Lost] = []
        self._threads = [threading.Thread(target=self._call, args=(place < keeping,)) for place in range(self.count)]

    def __enter__(self) -> "Callers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, more: int) -> None:
        """Wait until so many more requests have been answered."""
        with self._changed:
            goal = len(self.answers) + more
            assert self._changed.wait_for(lambda: len(self.answers) >= goal, timeout=60), "nobody answers any more"

    def _call(self, keeps: bool) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        while not self._done.is_set():
            found = self._ask(connection)
            if isinstance(found, Lost):
                self._note(self.lost, found)
                connection.close()
                found = self._ask(connection)
            self._note(self.answers if isinstance(found, Answered) else self.twice, found)
            if not keeps:
                connection.close()
                time.sleep(0.002)
        connection.close()

    def _ask(self, connection: http.client.HTTPConnection) -> Answered | Lost:
        start = time.monotonic()
        try:
            connection.request("POST", PATH, BODY)
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            return Lost(start, time.monotonic(), repr(error))
        return read_answer(start, time.monotonic(), response.status, response.headers, body)

    def _note(self, where: list[Any], what: Answered | Lost) -> None:
        with self._changed:
            where.append(what)
            self._changed.notify_all()


def wrong_answers(answers: Iterable[Answered], possible: Iterable[Possible]) -> list[Answered]:
    """Return the answers that nothing released between their request's beginning and end accounts for."""
    spans = list(possible)

    def is_right(answer: Answered) -> bool:
        return any(answer.told in span.answers and span.start <= answer.end and answer.start <= span.end for span in spans)

    return [answer for answer in answers if answer.status != 200 or not is_right(answer)]
