"""The running processes of an installation, by their signs of life, and what those that can be asked say of themselves."""

from pathlib import Path

import msgspec

from perenne.core.clock import SECOND
from perenne.net import asking
from perenne.telemetry.heartbeats import SILENT_SECONDS, Sign, State, signs, state_of

ANSWER_SECONDS = 8.0
_READY = {"control-plane": "/ready", "model-server": "/v2/health/ready"}


class Process(msgspec.Struct, frozen=True):
    """A process: what it is called, how it stands, and what is wrong with it; nothing if nothing is.

    `started` and `beat`, when it last was well, are microseconds since 1970.
    """

    name: str
    pid: int
    host: str
    state: str
    problem: str
    address: str
    version: str
    started: int | None
    beat: int


class _Readiness(msgspec.Struct):
    """What `/ready` answers."""

    checks: dict[str, str] = {}


def processes(home: Path) -> list[Process]:
    """Look at every process that left a sign of life."""
    return [_process(sign) for sign in signs(home)]


def _process(sign: Sign) -> Process:
    state = state_of(sign)
    return Process(
        name=f"{sign.kind} {sign.name}".strip(),
        pid=sign.pid,
        host=sign.host,
        state=state.value,
        problem=_problem(sign, state),
        address=sign.address,
        version=sign.version,
        started=None if sign.started is None else int(sign.started * SECOND),
        beat=sign.beat,
    )


def ask(address: str, path: str) -> tuple[int, bytes]:
    """Ask a process of this installation something, directly; raises OSError if it does not answer in time."""
    return asking.ask(address, path, ANSWER_SECONDS)


def _problem(sign: Sign, state: State) -> str:
    """Return what is wrong; a process that was killed is gone, which is no fault of the installation."""
    if state is State.GONE:
        return ""
    if state is not State.ALIVE:
        return "it runs, but gives no sign of life" if state is State.SILENT else "its machine has been silent"
    return _children(sign) or _asked(sign)


def _children(sign: Sign) -> str:
    """Return which process below it is not well, as a model server tells."""
    for key, value in sign.detail.items():
        name, _, what = key.rpartition(".")
        if what == "pid" and value is None:
            return f"{name} does not run"
        if what == "silent_seconds" and value is not None and float(value) > SILENT_SECONDS:
            return f"{name} gives no sign of life"
    return ""


def _asked(sign: Sign) -> str:
    path = _READY.get(sign.kind)
    if not sign.address or path is None:
        return ""
    try:
        status, body = ask(sign.address, path)
    except OSError as error:
        return f"it does not answer on {sign.address}: {error}"
    if status == 200:
        return ""
    try:
        checks = msgspec.json.decode(body, type=_Readiness).checks
    except msgspec.MsgspecError:
        checks = {}
    return "not ready: " + (", ".join(f"{part} {how}" for part, how in checks.items() if how != "ok") or f"status {status}")
