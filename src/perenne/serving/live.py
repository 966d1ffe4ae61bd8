"""What the running model servers of a deployment say of themselves now: signs of life, and their figures if they answer."""

import re
from pathlib import Path
from urllib.parse import quote

import msgspec

from perenne.core.clock import SystemClock
from perenne.net.asking import ask
from perenne.serving.status import ServerStatus, describe, read_statuses
from perenne.telemetry.heartbeats import Sign, State, signs, state_of

ANSWER_SECONDS = 0.6
_LINE = re.compile(r"^(perenne_\w+?)(?:_bucket)?\{(.*)\} (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """A server's counts since it started, over all its workers.

    Attributes
    ----------
    requests : dict
        By outcome: ok, fallback, invalid, unavailable, failed.
    rows : int
        Rows asked for.
    latency : tuple of (float, int)
        Seconds, and how many requests took at most so long.
    in_flight : int
        Requests being answered.
    cpu_seconds, resident_bytes : float, int
        Of all its processes.
    """

    requests: dict[str, int]
    rows: int
    latency: tuple[tuple[float, int], ...]
    in_flight: int
    cpu_seconds: float
    resident_bytes: int


class ProcessLine(msgspec.Struct, frozen=True):
    """A process below a model server, such as a worker or the observer."""

    name: str
    pid: int | None
    silent_seconds: float | None


class LiveServer(msgspec.Struct, frozen=True, kw_only=True):
    """A model server: where, how it stands in a few words, its processes, and its figures or why there are none."""

    url: str
    host: str
    pid: int | None
    version: str
    state: str
    words: str
    generation: int
    ready: int
    workers: int
    dropped: int
    problem: str
    seen: int
    processes: tuple[ProcessLine, ...]
    figures: Figures | None
    silent_because: str


class _Metadata(msgspec.Struct):
    parameters: dict[str, str] = {}


class LiveView(msgspec.Struct, frozen=True):
    """The model servers of a deployment, and when they were asked."""

    servers: tuple[LiveServer, ...]
    now: int


def live(home: Path, spool: Path, deployment: str) -> LiveView:
    """Ask every model server of a deployment how it does; one that does not answer at once is shown without figures."""
    now = SystemClock().now()
    beating = {sign.address: sign for sign in signs(home) if sign.kind == "model-server" and sign.name == deployment}
    alive = {address: sign for address, sign in beating.items() if state_of(sign, now) is not State.GONE}
    statuses = {status.url: status for status in read_statuses(spool, deployment, now)}
    return LiveView(tuple(_server(url, alive.get(url), statuses.get(url), now) for url in sorted(alive | statuses)), now)


def forms(url: str, deployment: str) -> str:
    """Ask a model server which forms answer how many rows; empty if it does not say."""
    try:
        status, body = ask(url, f"/v2/models/{quote(deployment, safe='')}", ANSWER_SECONDS)
        said = msgspec.json.decode(body, type=_Metadata) if status == 200 else _Metadata()
    except (OSError, msgspec.DecodeError):
        return ""
    return said.parameters.get("forms", "")


def _server(url: str, sign: Sign | None, status: ServerStatus | None, now: int) -> LiveServer:
    figures, why = _figures(url) if sign is None or state_of(sign, now) is State.ALIVE else (None, "it gives no sign of life")
    return LiveServer(
        url=url,
        host=sign.host if sign else "",
        pid=sign.pid if sign else None,
        version=sign.version if sign else "",
        state=(state_of(sign, now) if sign else State.UNKNOWN).value,
        words=describe(status, now) if status else "no word of what it serves",
        generation=status.generation if status else 0,
        ready=status.ready if status else 0,
        workers=status.workers if status else 0,
        dropped=status.dropped if status else 0,
        problem=status.problem if status else "",
        seen=max(status.seen if status else 0, sign.beat if sign else 0),
        processes=_processes(sign) if sign else (),
        figures=figures,
        silent_because=why,
    )


def _processes(sign: Sign) -> tuple[ProcessLine, ...]:
    names = sorted({key.rpartition(".")[0] for key in sign.detail if "." in key})
    found = []
    for name in names:
        pid, silent = sign.detail.get(f"{name}.pid"), sign.detail.get(f"{name}.silent_seconds")
        found.append(ProcessLine(name, int(pid) if pid is not None else None, float(silent) if silent is not None else None))
    return tuple(found)


def _figures(url: str) -> tuple[Figures | None, str]:
    try:
        status, body = ask(url, "/metrics", ANSWER_SECONDS)
    except OSError:
        return None, "it does not answer"
    if status != 200:
        return None, "it asks for a token, and the page has none to show" if status == 401 else f"it answers {status}"
    return read_figures(body.decode("utf-8", "replace")), ""


def read_figures(text: str) -> Figures:
    """Read a model server's own exposition."""
    requests: dict[str, int] = {}
    latency: dict[float, int] = {}
    sums = {"perenne_predictions_total": 0.0, "perenne_in_flight": 0.0}
    sums |= {"perenne_process_cpu_seconds_total": 0.0, "perenne_process_resident_memory_bytes": 0.0}
    for name, labels, value in _LINE.findall(text):
        said = dict(_LABEL.findall(labels))
        if name == "perenne_requests_total":
            requests[said["outcome"]] = requests.get(said["outcome"], 0) + int(float(value))
        elif name == "perenne_predict_seconds" and "le" in said and said["le"] != "+Inf":
            latency[float(said["le"])] = latency.get(float(said["le"]), 0) + int(float(value))
        elif name in sums:
            sums[name] += float(value)
    rows, in_flight, cpu, resident = sums.values()
    return Figures(
        requests=requests,
        rows=int(rows),
        latency=tuple(sorted(latency.items())),
        in_flight=int(in_flight),
        cpu_seconds=cpu,
        resident_bytes=int(resident),
    )
