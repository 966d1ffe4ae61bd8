"""What answers people: deployments, the release folder, the model server and its observer.

The control plane's side: `model` holds deployments and their rules, `service` changes them, `releases` writes the folder from
which model servers run. The server's side, which reads nothing but that folder: `supervisor` starts the processes; a `worker`
answers (`application`, `runtime`, `batching`, `loading`, `counters`, `metrics`); the `observer` keeps the `row_log` and the
`windows`, makes `checkpoints` of both and runs the `challengers` in shadow; `mirror` and `messages` are the wire between them.
`handover` replaces a server by another one, `status` tells the control plane how it does and `live` asks it for its figures,
`calling` says how it is called; `background` and `explaining` what a version knows of its inputs, and what each did to an answer.
`log` reads the row log back. The protocols spoken are in `perenne.protocols`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perenne.serving import service
    from perenne.serving.background import Background
    from perenne.serving.calling import Calling
    from perenne.serving.handover import find_predecessor
    from perenne.serving.log import LogPart, Sift, log_parts, read_predictions
    from perenne.serving.model import Bandit, Deployment, DeploymentChanged, Role, StopMode, Variant
    from perenne.serving.processes import run_process
    from perenne.serving.releases import release
    from perenne.serving.runtime import Answer, Rows, Runtime
    from perenne.serving.status import read_statuses
    from perenne.serving.supervisor import ModelServer

_ROOMS = {
    "Answer": "runtime",
    "Background": "background",
    "Bandit": "model",
    "Calling": "calling",
    "Deployment": "model",
    "LogPart": "log",
    "DeploymentChanged": "model",
    "ModelServer": "supervisor",
    "Role": "model",
    "Rows": "runtime",
    "Runtime": "runtime",
    "Sift": "log",
    "StopMode": "model",
    "Variant": "model",
    "find_predecessor": "handover",
    "log_parts": "log",
    "read_predictions": "log",
    "read_statuses": "status",
    "release": "releases",
    "run_process": "processes",
}
__all__ = [
    "Answer",
    "Background",
    "Bandit",
    "Calling",
    "Deployment",
    "DeploymentChanged",
    "LogPart",
    "ModelServer",
    "Role",
    "Rows",
    "Runtime",
    "Sift",
    "StopMode",
    "Variant",
    "find_predecessor",
    "log_parts",
    "read_predictions",
    "read_statuses",
    "release",
    "run_process",
    "service",
]


def __getattr__(name: str) -> Any:
    if name == "service":
        return import_module(f"{__name__}.{name}")
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
