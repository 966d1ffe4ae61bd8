"""The Python client: a run that is logged in microseconds and never lost.

`starting` starts a run, `run` is what one logs to, `active` the same for the run that is active; `session` is what a process has.
What is logged lies in a `spool` of `records` until the `sender`'s thread has brought it, by a `delivery` of one `batch` after the
other, to its `destination`: a `server`, or the `local` workspace. `names` and `contents` check and write what is handed in,
`system` watches the machine.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perenne.tracking.client.active import (
        end_run,
        log_artifact,
        log_dict,
        log_figure,
        log_input,
        log_metric,
        log_metrics,
        log_param,
        log_params,
        log_table,
        log_text,
        set_tag,
        set_tags,
    )
    from perenne.tracking.client.run import ActiveRun
    from perenne.tracking.client.session import active_run, flush
    from perenne.tracking.client.starting import AlreadyDone, start_run

_ROOMS = {
    "ActiveRun": "run",
    "AlreadyDone": "starting",
    "active_run": "session",
    "end_run": "active",
    "flush": "session",
    "log_artifact": "active",
    "log_dict": "active",
    "log_figure": "active",
    "log_input": "active",
    "log_metric": "active",
    "log_metrics": "active",
    "log_param": "active",
    "log_params": "active",
    "log_table": "active",
    "log_text": "active",
    "set_tag": "active",
    "set_tags": "active",
    "start_run": "starting",
}

__all__ = [
    "ActiveRun",
    "AlreadyDone",
    "active_run",
    "end_run",
    "flush",
    "log_artifact",
    "log_dict",
    "log_figure",
    "log_input",
    "log_metric",
    "log_metrics",
    "log_param",
    "log_params",
    "log_table",
    "log_text",
    "set_tag",
    "set_tags",
    "start_run",
]


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
