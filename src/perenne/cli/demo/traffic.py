"""Recorded flights as live traffic: check-ins by HTTP in the order of the day, and what came true posted a day later."""

import http.client
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from perenne.core.clock import DAY, SECOND, format_time
from perenne.core.errors import Unavailable

ROWS_PER_REQUEST = 100
NOT_INPUTS = ("flight_id", "scheduled", "late")


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong upstream of the model: from then on a column is sent otherwise.

    Attributes
    ----------
    column : str
        What is sent otherwise.
    told : str
        What happens, in words.
    send : callable
        Gives the value that is sent of a flight.
    """

    column: str
    told: str
    send: Callable[[dict[str, Any]], Any]

    def of(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return flights as they are sent while the fault lasts."""
        return [{**row, self.column: self.send(row)} for row in rows]


MINUTES = Fault(
    "departure_hour",
    "the check-in desks send the time of departure in minutes since midnight, where the model learned from hours",
    lambda row: row["scheduled"].hour * 60 + row["scheduled"].minute,
)


@dataclass(frozen=True)
class Answered:
    """A flight that was asked about: who answered, whether its passengers were warned, and whether it was late."""

    prediction_id: str
    version: str
    variant: str
    warned: bool
    late: bool


class _Output(msgspec.Struct):
    data: list[Any]


class _Answer(msgspec.Struct):
    outputs: list[_Output]


class Caller:
    """Asks a model server about flights, as a check-in desk would.

    Parameters
    ----------
    port : int
        Where the model server listens on loopback.
    name : str
        The deployment.
    """

    def __init__(self, port: int, name: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self._path = f"/v2/models/{name}/infer"

    def ask(self, rows: list[dict[str, Any]], instant: int) -> list[Answered]:
        """Ask about some flights at once, as they were at an instant, and return the ids of the answers."""
        names = [name for name in rows[0] if name not in NOT_INPUTS]
        inputs = [_tensor(name, [row[name] for row in rows]) for name in names]
        body = msgspec.json.encode({"inputs": inputs})
        headers = {"Content-Type": "application/json", "x-event-time": format_time(instant)}
        self._connection.request("POST", self._path, body, headers)
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise Unavailable(
                f"the model server answered {answer.status}: {text[:300].decode(errors='replace')}",
                code="demo.server",
                hint="the folder of the demo has its log, demo.log",
            )
        identity, variant = answer.headers["x-request-id"], answer.headers["x-variant"]
        version = f"{answer.headers['x-model-name']}@{answer.headers['x-model-version']}"
        answers = msgspec.json.decode(text, type=_Answer).outputs[0].data
        return [
            Answered(f"{identity}-{number}", version, variant, answers[number] in (True, "true"), bool(row["late"]))
            for number, row in enumerate(rows)
        ]

    def close(self) -> None:
        """Hang up; whoever asks again is connected again."""
        self._connection.close()


def _tensor(name: str, values: list[Any]) -> dict[str, Any]:
    datatype = "BYTES" if any(isinstance(value, str) for value in values) else "FP64"
    return {"name": name, "shape": [len(values)], "datatype": datatype, "data": values}


class Archive:
    """The recorded flights, by day.

    Parameters
    ----------
    file : Path
        The Parquet file of flights, in the order of `scheduled`.

    Attributes
    ----------
    end : int
        The midnight after the last flight.
    """

    def __init__(self, file: Path) -> None:
        import duckdb

        self._connection = duckdb.connect()
        self._connection.execute("create table flight as select * from read_parquet($file)", {"file": str(file)})
        ((newest,),) = self._connection.execute("select max(epoch(scheduled)) from flight").fetchall()
        self.end: int = (int(newest) * SECOND // DAY + 1) * DAY

    def day(self, start: int) -> list[dict[str, Any]]:
        """Return the flights scheduled in the 24 hours from an instant, in order."""
        bounds = {"start": start / SECOND, "end": (start + DAY) / SECOND}
        query = "select * from flight where epoch(scheduled) >= $start and epoch(scheduled) < $end order by scheduled, flight_id"
        rows: list[dict[str, Any]] = self._connection.sql(query, params=bounds).to_arrow_table().to_pylist()
        return rows

    def close(self) -> None:
        """Let go of the data."""
        self._connection.close()
