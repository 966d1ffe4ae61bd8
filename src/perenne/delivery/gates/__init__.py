"""The gates between a version and the world: each looks at one thing and leaves one row of evidence.

`model` says what is found and what many findings come to, `port` what a gate is, `order` which there are; `checks` holds them, a
module each. `subject` is what they look at, `load` asks the real model server, `running` runs them and keeps the evidence,
`reports` writes them for forges, `jobs` lets a worker do it, `workflows` writes the pipelines of a forge.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perenne.delivery.gates.jobs import GATE_JOB, run_gate_job
    from perenne.delivery.gates.model import PREFIX, Finding, GateReport, GateRow
    from perenne.delivery.gates.port import GateCheck, Untold
    from perenne.delivery.gates.running import Wish, check_stated, known_rows, look, run_gates
    from perenne.delivery.gates.subject import Subject

_HOMES = {
    "GATE_JOB": "jobs",
    "run_gate_job": "jobs",
    "Finding": "model",
    "PREFIX": "model",
    "check_stated": "running",
    "GateReport": "model",
    "GateRow": "model",
    "GateCheck": "port",
    "Untold": "port",
    "Wish": "running",
    "known_rows": "running",
    "look": "running",
    "run_gates": "running",
    "Subject": "subject",
}

__all__ = [
    "GATE_JOB",
    "PREFIX",
    "Finding",
    "GateCheck",
    "GateReport",
    "GateRow",
    "Subject",
    "Untold",
    "Wish",
    "check_stated",
    "known_rows",
    "look",
    "run_gate_job",
    "run_gates",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
